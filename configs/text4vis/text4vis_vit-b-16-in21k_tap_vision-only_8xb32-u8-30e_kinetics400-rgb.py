"""Text4Vis, ImageNet ViT-B/16, TAP, 8 frames: the vision-only baseline.

Which ImageNet encoder the paper took is not known; here timm's ViT-B/16 of ImageNet-21k under MMAction2's linear head.

Paper's numbers: Table 3, ImageNet-pretrained, Vision-Only: top-1 74.78 (1 view).
Command: bash tools/dist_train.sh
configs/text4vis/text4vis_vit-b-16-in21k_tap_vision-only_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['text4vis_vit-b-16-in21k_tap_8xb32-u8-30e_kinetics400-rgb.py']

model = dict(
    cls_head=dict(
        _delete_=True, type='I3DHead', num_classes=400, in_channels=768, dropout_ratio=0.0, average_clips='prob'
    ),
)
