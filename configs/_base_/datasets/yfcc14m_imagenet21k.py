"""Captions of YFCC-14M and classes of ImageNet-21K, half of a batch each; tested on ImageNet-1K by class names.

`captioned` and `labelled` are the two datasets; configs on top of this take shares of them. The list of captions is a
table with the columns `path` and `caption`; that of ImageNet-21K has lines of path and label, in the order of
data/imagenet21k/glosses.csv. Both are the user's to write. An epoch has as many images as both datasets together.

Training sees random crops and flips and no stronger augmentation, as UniCL's released models.
"""

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs', meta_keys=('caption', 'img_path')),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=224, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

captioned = dict(
    type='TaggedDataset',
    name='captioned',
    dataset=dict(
        type='CaptionedImages',
        ann_file='data/yfcc14m/captions.csv',
        data_prefix=dict(img_path='data/yfcc14m/images'),
        pipeline=train_pipeline,
    ),
)
labelled = dict(
    type='TaggedDataset',
    name='labelled',
    dataset=dict(
        type='ImageNet21k',
        data_root='data/imagenet21k',
        data_prefix='train',
        ann_file='meta/train.txt',
        pipeline=train_pipeline,
    ),
)
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=False,
    sampler=dict(type='DatasetRatioSampler', ratios=0.5),
    batch_sampler=dict(type='DatasetRatioBatchSampler'),
    dataset=dict(type='MultiDataset', datasets=[captioned, labelled]),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageNet', data_root='data/imagenet', split='val', pipeline=test_pipeline),
)
test_evaluator = dict(type='Accuracy', topk=(1, 5))
