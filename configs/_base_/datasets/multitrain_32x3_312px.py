"""The datasets of MultiTrain as in multitrain_32x3.py, 312 x 312 pixels.

One crop is cut out of a short side of 356 pixels, three out of one of 312.
"""

_base_ = ['multitrain_32x3.py']

num_frames, frame_interval, size = 32, 3, 312
short_side = size * 8 // 7
pipelines = [_base_[f'{phase}_pipeline'] for phase in ('train', 'val', 'test')]
for phase in ('train', 'val', 'test'):
    tagged = [*_base_[f'{phase}_dataloader'].dataset.datasets, *(each[phase] for each in _base_.multitrain.values())]
    pipelines += [each.dataset.pipeline for each in tagged]
for pipeline in pipelines:
    steps = pipeline[3].get('transforms', pipeline)
    for step in steps:
        if step.type == 'Resize':
            step.scale = tuple({224: size, 256: short_side}.get(side, side) for side in step.scale)
        if 'crop_size' in step:
            step.crop_size = size
del phase, tagged, pipelines, pipeline, steps, step
