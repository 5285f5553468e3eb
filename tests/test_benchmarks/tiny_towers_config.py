"""A training of seconds: three classes of noise of another brightness, one tower of open_clip, one linear head."""

custom_imports = dict(imports=['textxfer_mm.register', 'tiny_towers_parts'])
default_scope = 'mmaction'
arch = dict(
    embed_dim=32,
    vision_cfg=dict(image_size=32, layers=[1, 1, 1, 1], width=8),
    text_cfg=dict(context_length=8, vocab_size=49408, width=32, heads=2, layers=1),
)
model = dict(
    type='Recognizer3D',
    backbone=dict(type='CLIPBackbone', arch=arch),
    cls_head=dict(type='I3DHead', num_classes=3, in_channels=32, dropout_ratio=0.5, average_clips='prob'),
    data_preprocessor=dict(type='ActionDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, format_shape='NCTHW'),
)
pipeline = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]
train_dataloader = dict(
    batch_size=6,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='TinyFrames', videos=18, pipeline=pipeline),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='TinyFrames', videos=9, seed=1, pipeline=pipeline, test_mode=True),
)
val_evaluator = dict(type='AccMetric')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=2)
val_cfg = dict(type='ValLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
custom_hooks = [
    dict(type='EpochSeedHook'),
    dict(type='InitialValidationHook'),
    dict(type='SaveTower'),
    dict(type='DieOnce'),
]
env_cfg = dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl'))
log_level = 'INFO'
