"""mmaction2's TSN with a backbone of MMPretrain (ViT-B/16, ImageNet by MAE) and frozen CLIP text embeddings.

Any image backbone of MMPretrain goes in like this, under its name with `mmpretrain.`; `projection` maps its width to
that of the text embeddings.

Paper row: none; an ImageNet-pretrained encoder as in Table 3, in a stock config (its schedule and pipelines are
untouched).
Command: bash tools/dist_train.sh
configs/mixing/tsn_mmpretrain-vit-base_text-embedding_8xb32-1x1x8-100e_kinetics400-rgb.py 8
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400.
"""

_base_ = ['mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb.py']

custom_imports = dict(imports=['textxfer_mm.register'])

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='base',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/vit/'
            'vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth',
            prefix='backbone',
        ),
    ),
    cls_head=dict(
        _delete_=True,
        type='TextEmbeddingHead',
        in_channels=768,
        projection='linear',
        classifier=dict(
            type='TextClassifier',
            class_names='kinetics400',
            encoder=dict(type='CLIPTextEncoder', arch='ViT-B-32-quickgelu', pretrained='openai'),
        ),
    ),
)
