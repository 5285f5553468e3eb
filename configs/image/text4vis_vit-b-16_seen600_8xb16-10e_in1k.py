"""Text4Vis on images, CLIP ViT-B/16, trained on 600 classes of ImageNet for the names of the other 400.

Encoder and epochs of the table are not named: here ViT-B/16 and 10. The split is our own draw, as the paper's was never
published. Then both numbers of the row: textxfer evaluate configs/image/text4vis_vit-b-16_seen600_8xb16-10e_in1k.py
work_dirs/text4vis_vit-b-16_seen600_8xb16-10e_in1k/epoch_10.pth --labels imagenet1k_unseen400

Paper's numbers: Table 11, IN600 to IN400: top-1 70.28 without training, 72.62 with it.
Command: bash tools/dist_train.sh configs/image/text4vis_vit-b-16_seen600_8xb16-10e_in1k.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on ImageNet: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_image_vit-b-16.py',
    '../_base_/datasets/imagenet_seen600.py',
    '../_base_/schedules/text4vis_image_10e.py',
    '../_base_/default_runtime_image.py',
]

model = dict(head=dict(classifier=dict(class_names='imagenet1k_seen600')))
