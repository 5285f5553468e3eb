"""Text4Vis on images, CLIP ViT-B/16, 1 image a class, ImageNet: the vision-only baseline.

MMPretrain's linear head on the same encoder: trained from a random start at the rate of what is new, no normalisation,
no scale. The paper gives no details. Which images is not known: here a seeded draw, in which more shots hold the fewer
ones. Each is seen once an epoch; 200 epochs are those of the few-shot videos (Table 8), as the paper names none for
images.

Paper's numbers: Table 10, Vision-Only, 1-shot: top-1 4.71.
Command: bash tools/dist_train.sh configs/image/text4vis_vit-b-16_vision-only_1-shot_8xb16-200e_in1k.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on ImageNet: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_image_vit-b-16.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/text4vis_200e.py',
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
train_dataloader = dict(
    dataset=dict(_delete_=True, type='FewShotDataset', shots=1, seed=0, dataset=_base_.train_dataloader.dataset)
)
default_hooks = dict(checkpoint=dict(interval=20))
auto_scale_lr = dict(base_batch_size=128)  # the paper's, as in the other configs of images
