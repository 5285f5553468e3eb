"""The datasets of MultiTrain as in multitrain_32x3.py, 16 frames, every fourth at 30 frames a second."""

_base_ = ['multitrain_32x3.py']

num_frames, frame_interval, size = 16, 4, 224
pipelines = [_base_[f'{phase}_pipeline'] for phase in ('train', 'val', 'test')]
for phase in ('train', 'val', 'test'):
    tagged = [*_base_[f'{phase}_dataloader'].dataset.datasets, *(each[phase] for each in _base_.multitrain.values())]
    pipelines += [each.dataset.pipeline for each in tagged]
for pipeline in pipelines:
    pipeline[1].clip_len = num_frames
    if pipeline[1].type == 'SampleFrames':
        pipeline[1].frame_interval = frame_interval
del phase, tagged, pipelines, pipeline
