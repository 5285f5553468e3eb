"""The paper's recipe with the small CLIP of this folder: TAP and the frozen text embeddings of 60 rendered actions.

20 clips an action in a style that the tower was not pre-trained on, one pass. The weights are what
clip_rn-w16_2xb64-8e_rendered-scenes.py leaves; docs/small_clip.md has the paper's tables with it.

Reproduces: no paper's row; Text4Vis (TAP) in the small.
Command: python tools/train.py configs/rendered_scenes/text4vis_clip-rn-w16_tap_1xb8-u8-1e_rendered-scenes.py
Cost: 85 s on two CPU cores beside other work, with two validations and the rendering of all clips
Our status: run once by us, from the main tower of docs/small_clip.md: top-1 30.0 % before training and 37.2 % after
"""

_base_ = [
    '../_base_/models/clip_rn-w16.py',
    '../_base_/datasets/rendered_scenes.py',
    '../_base_/default_runtime.py',
]

pretrained = 'work_dirs/clip_rn-w16_2xb64-8e_rendered-scenes/open_clip/open_clip_model.safetensors'

model = dict(
    backbone=dict(pretrained=pretrained),
    neck=dict(type='TemporalAveragePool'),
    cls_head=dict(classifier=dict(class_names='rendered_scenes', encoder=dict(pretrained=pretrained))),
)

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=False,
    worker_init_fn=dict(type='epoch_worker_init_fn'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **_base_.scenes,
        per_class=20,
        pipeline=[
            dict(type='UniformSample', clip_len=8),
            dict(type='ArrayDecode'),
            dict(type='RandomCrop', size=64),
            dict(type='Flip', flip_ratio=0.5),
            dict(type='FormatShape', input_format='NCTHW'),
            dict(type='PackActionInputs'),
        ],
    ),
)
val_dataloader = test_dataloader = dict(dataset=dict(per_class=16, split='test'))

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
custom_hooks = [dict(type='EpochSeedHook'), dict(type='InitialValidationHook')]
