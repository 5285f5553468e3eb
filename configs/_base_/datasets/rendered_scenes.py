"""Validation and testing on clips of the 60 rendered actions, in the style that no captioned still has.

The configs of configs/rendered_scenes/ say which clips, and train on stills with captions or on clips.
"""

cache = 'work_dirs/rendered_scenes'
scenes = dict(type='SceneClasses', kinds=('seen',), frames=8, size=72, look='shifted', cache_dir=cache)
val_dataloader = test_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **scenes,
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
