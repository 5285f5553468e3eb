"""Text4Vis on images, CLIP ViT-B/16, the mean of the 80 templates of OpenAI in place of the plain one.

Without a checkpoint, textxfer evaluate configs/image/text4vis_vit-b-16_80-templates_8xb16-10e_in1k.py gives CLIP's
zero-shot number with prompt ensembling.

Paper row: none.
Command: bash tools/dist_train.sh configs/image/text4vis_vit-b-16_80-templates_8xb16-10e_in1k.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on ImageNet: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_image_vit-b-16.py',
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/text4vis_image_10e.py',
    '../_base_/default_runtime_image.py',
]

model = dict(head=dict(classifier=dict(templates='imagenet')))
