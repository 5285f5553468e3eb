"""The paper's recipe with the small CLIP of this folder: TAP and the frozen text embeddings of 60 rendered actions.

20 clips an action in a style that the tower was not pre-trained on, one pass. The weights are what
clip_rn-w16_2xb64-8e_rendered-scenes.py leaves; docs/small_clip.md has the paper's tables with it.

Reproduces: no paper's row; Text4Vis (TAP) in the small.
Command: python tools/train.py configs/rendered_scenes/text4vis_clip-rn-w16_tap_1xb8-u8-1e_rendered-scenes.py
Cost: not measured yet
Our status: not run yet
"""

_base_ = ['../_base_/models/clip_rn-w16.py', '../_base_/default_runtime.py']

pretrained = 'work_dirs/clip_rn-w16_2xb64-8e_rendered-scenes/open_clip/open_clip_model.safetensors'

model = dict(
    backbone=dict(pretrained=pretrained),
    neck=dict(type='TemporalAveragePool'),
    cls_head=dict(classifier=dict(class_names='rendered_scenes', encoder=dict(pretrained=pretrained))),
)

cache = 'work_dirs/rendered_scenes'
common = dict(type='SceneClasses', kinds=('seen',), frames=8, size=72, look='shifted', cache_dir=cache)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=False,
    worker_init_fn=dict(type='epoch_worker_init_fn'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **common,
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
val_dataloader = test_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **common,
        per_class=16,
        split='test',
        pipeline=[
            dict(type='UniformSample', clip_len=8, test_mode=True),
            dict(type='ArrayDecode'),
            dict(type='CenterCrop', crop_size=64),
            dict(type='FormatShape', input_format='NCTHW'),
            dict(type='PackActionInputs'),
        ],
        test_mode=True,
    ),
)
# of videos, for `textxfer predict --checkpoint`; MMAction2's inferencer takes that of the test list, which are scenes
test_pipeline = [
    dict(type='ExactVideoInit'),
    dict(type='UniformSample', clip_len=8, test_mode=True),
    dict(type='ExactVideoDecode'),
    dict(type='Resize', scale=(-1, 64)),
    dict(type='CenterCrop', crop_size=64),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_evaluator = test_evaluator = dict(type='AccMetric', metric_options=dict(top_k_accuracy=dict(topk=(1, 5))))

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
