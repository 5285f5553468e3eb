"""MultiTrain's MViTv2 of 24 blocks on 32 frames, with heads for Kinetics-400, Moments in Time and Something-Something.

MixUp and CutMix as released: partners from other datasets, whose share of the target is lost (``policy='drop'``). The
label smoothing is that of each dataset's own classes; the released code takes 700 for all
(``model.cls_head.label_smooth_classes=700``). The expander is 4096 wide as released; the paper says 2048.
"""

model = dict(
    type='Recognizer3D',
    backbone=dict(type='MultiTrainMViT', arch='base', temporal_size=32, drop_path_rate=0.1),
    cls_head=dict(
        type='MultiDatasetHead',
        in_channels=768,
        datasets=dict(
            kinetics400=dict(class_names='kinetics400'),
            mit=dict(num_classes=305),
            sthv2=dict(class_names='sthv2'),
        ),
        label_smooth_eps=0.1,
        average_clips='prob',
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[114.75, 114.75, 114.75],
        std=[57.375, 57.375, 57.375],
        blending=dict(type='MultiDatasetBlending', policy='drop'),
        format_shape='NCTHW',
    ),
)
