"""What ``benchmarks/robustness.py`` runs without a config of its own: a tiny network on 17 rendered clips, on a CPU."""

_base_ = ['textxfer_mm::_base_/default_runtime.py']

class_names = [f'action {i}' for i in range(17)]
model = dict(
    type='Recognizer2D',
    backbone=dict(type='timm.test_efficientnet', pretrained=False),
    cls_head=dict(
        type='TextEmbeddingHead',
        in_channels=256,
        dropout_ratio=0.2,
        classifier=dict(type='RandomClassifier', class_names=class_names, embed_dims=256),
    ),
    data_preprocessor=dict(type='ActionDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, format_shape='NCHW'),
)

train_pipeline = [
    dict(type='TolerantDecordInit'),
    dict(type='UniformSample', clip_len=2),
    dict(type='TolerantDecordDecode'),
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(32, 32), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='TolerantDecordInit', test_mode=True),
    dict(type='UniformSample', clip_len=2, test_mode=True),
    dict(type='TolerantDecordDecode', test_mode=True),
    dict(type='Resize', scale=(32, 32), keep_ratio=False),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]
loader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=False,
    worker_init_fn=dict(type='epoch_worker_init_fn'),
    dataset=dict(type='VideoDataset', ann_file='data/train.txt', data_prefix=dict(video='data')),
)
train_dataloader = dict(
    loader, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(loader['dataset'], pipeline=train_pipeline)
)
val_dataloader = dict(
    loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(loader['dataset'], ann_file='data/val.txt', pipeline=test_pipeline, test_mode=True),
)
val_evaluator = dict(type='AccMetric')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=8, val_interval=1)
val_cfg = dict(type='ValLoop')
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=8, by_epoch=True, convert_to_iter_based=True)]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))
