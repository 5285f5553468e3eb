"""Text4Vis on images, CLIP ViT-B/16, all images of ImageNet: the vision-only baseline.

MMPretrain's linear head on the same encoder: trained from a random start at the rate of what is new, no normalisation,
no scale. The paper gives no details.

Paper's numbers: Table 10, Vision-Only, all images: top-1 79.70.
Command: bash tools/dist_train.sh configs/image/text4vis_vit-b-16_vision-only_8xb16-10e_in1k.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on ImageNet: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_image_vit-b-16.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/text4vis_image_10e.py',
    '../_base_/default_runtime_image.py',
]

model = dict(
    head=dict(
        _delete_=True,
        type='LinearClsHead',
        num_classes=1000,
        in_channels=512,
        loss=dict(type='CrossEntropyLoss'),
        topk=(1, 5),
    )
)
