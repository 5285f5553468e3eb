"""MultiTrain's MViTv2 of 24 blocks on 32 frames with a linear layer for Kinetics-400: the pre-training.

MixUp, CutMix, label smoothing and dropout as in MultiTrain's runs; stochastic depth 0.3 as in the released
pre-training. That its head is linear as in MViT's recipe is our guess.
"""

model = dict(
    type='Recognizer3D',
    backbone=dict(type='MultiTrainMViT', arch='base', temporal_size=32, drop_path_rate=0.3),
    cls_head=dict(
        type='I3DHead',
        in_channels=768,
        num_classes=400,
        dropout_ratio=0.5,
        init_std=0.02,
        label_smooth_eps=0.1,
        average_clips='prob',
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[114.75, 114.75, 114.75],
        std=[57.375, 57.375, 57.375],
        blending=dict(
            type='RandomBatchAugment',
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=400),
                dict(type='CutmixBlending', alpha=1.0, num_classes=400),
            ],
        ),
        format_shape='NCTHW',
    ),
)
