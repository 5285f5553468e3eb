"""iCLIP, ViT-B/16 of MMPretrain, YFCC-14M and ImageNet-21K.

Shows another backbone; the recipe is that of the Swin models.

Paper's numbers: none: no row has this backbone.
Command: GPUS=32 bash tools/slurm_train.sh PARTITION iclip configs/iclip/iclip_vit-b-16_yfcc-in21k_32xb128-32e.py
--amp
Cost: not known: the paper has none.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/iclip_swin-t.py',
    '../_base_/datasets/yfcc14m_imagenet21k.py',
    '../_base_/schedules/unicl_32e.py',
    '../_base_/default_runtime_image.py',
]

model = dict(
    backbone=dict(
        _delete_=True, type='VisionTransformer', arch='base', img_size=224, patch_size=16, drop_path_rate=0.1
    ),
    neck=None,
)
