"""The paper's recipe for images with the small CLIP of this folder: stills of 60 rendered actions, under MMPretrain.

20 stills an action in a style that the tower was not pre-trained on, one pass. The weights are what
clip_rn-w16_2xb64-8e_rendered-scenes.py leaves; benchmarks/small_clip_images.py has Tables 10 and 11 with it.

Reproduces: no paper's row; Text4Vis on images in the small.
Command: python tools/train.py configs/rendered_scenes/text4vis_clip-rn-w16_stills_1xb8-1e_rendered-scenes.py
Cost: 30 s on two CPU cores beside other work
Our status: run once by us, from the main tower of docs/small_clip.md: top-1 32.2 % after training
"""

_base_ = [
    '../_base_/models/clip_rn-w16.py',
    '../_base_/default_runtime_image.py',
]

pretrained = 'work_dirs/clip_rn-w16_2xb64-8e_rendered-scenes/open_clip/open_clip_model.safetensors'

model = dict(
    _delete_=True,
    type='ImageClassifier',
    backbone=dict(type='CLIPImageBackbone', arch=_base_.clip, pretrained=pretrained),
    head=dict(
        type='TextEmbeddingClsHead',
        in_channels=128,
        classifier=dict(
            type='TextClassifier',
            class_names='rendered_scenes',
            templates='text4vis',
            encoder=dict(type='CLIPTextEncoder', arch=_base_.clip, pretrained=pretrained),
        ),
    ),
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.32316305],
        to_rgb=True,
    ),
)

scenes = dict(
    type='SceneClasses', kinds=('seen',), frames=1, size=72, look='shifted', cache_dir='work_dirs/rendered_scenes'
)
train_pipeline = [
    dict(type='FrameAsImage'),
    dict(type='RandomCrop', crop_size=64),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=False,
    worker_init_fn=dict(type='epoch_worker_init_fn'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**scenes, per_class=20, pipeline=train_pipeline),
)
val_dataloader = test_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **scenes,
        per_class=16,
        split='test',
        pipeline=[dict(type='FrameAsImage'), dict(type='CenterCrop', crop_size=64), dict(type='PackInputs')],
        test_mode=True,
    ),
)
# of images in files, for `textxfer predict --checkpoint`
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=64, edge='short'),
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs'),
]
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1, 5))

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.2),
    paramwise_cfg=dict(custom_keys={'backbone.visual': dict(lr_mult=0.1), 'logit_scale': dict(lr_mult=0.1)}),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=10),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
]
