"""Text4Vis, ImageNet ViT-B/16, TAP, 8 frames, CLIP text embeddings, Kinetics-400.

Which ImageNet encoder the paper took is not known; here timm's ViT-B/16 of ImageNet-21k. It is 768 wide and the text
embeddings 512: a linear map that is trained lies between.

Paper's numbers: Table 3, ImageNet-pretrained, Vision-Text: top-1 75.63 (1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16-in21k_tap_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='CLIPBackbone',
        arch=dict(
            embed_dim=768,
            vision_cfg=dict(
                timm_model_name='vit_base_patch16_224.augreg_in21k', timm_pool='token', timm_proj='none', image_size=224
            ),
        ),
        pretrained='timm',
    ),
    neck=dict(_delete_=True, type='TemporalAveragePool'),
    cls_head=dict(in_channels=768, projection='linear'),
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
)
