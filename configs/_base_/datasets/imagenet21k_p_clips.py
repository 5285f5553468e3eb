"""ImageNet-21K-P (Ridnik et al., 2021: 11.06 million images, 10450 classes) as clips of one frame, for video models.

In data/imagenet21k-p, with the lists meta/train.txt and meta/val.txt of lines of path and label, which are the user's
to write. The augmentation is that of MultiTrain's videos, in one copy (multitrain_32x3.py); validation and test see the
centre out of a short side of 256.
"""

size = 224
packed = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ImageAsFrames'),
    dict(type='TimmRandAugment', policy='rand-m7-n4-mstd0.5-inc1'),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0), aspect_ratio_range=(0.75, 1.3333)),
    dict(type='Resize', scale=(size, size), keep_ratio=False, interpolation='bicubic'),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='RandomErasing', erase_prob=0.25, mode='rand', fill_color=(114.75,) * 3, fill_std=(57.375,) * 3),
    *packed,
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ImageAsFrames'),
    dict(type='Resize', scale=(-1, 256), interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=size),
    *packed,
]
images = dict(type='mmpretrain.ImageNet21k', data_root='data/imagenet21k-p')
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=False,
    worker_init_fn=dict(type='epoch_worker_init_fn'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
    dataset=dict(**images, data_prefix='train', ann_file='meta/train.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**images, data_prefix='val', ann_file='meta/val.txt', pipeline=test_pipeline, test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='AccMetric')
del images, packed
