"""Kinetics-400 as in kinetics400_video_8frames.py, 32 frames of 336 x 336 pixels.

The short side is resized to 336 first, as the authors do.
"""

_base_ = ['kinetics400_video_8frames.py']

num_frames, size = 32, 336
_base_.train_pipeline[5].scale = (size, size)
_base_.val_pipeline[4].crop_size = _base_.test_pipeline[4].crop_size = size
for phase in ('train', 'val', 'test'):
    pipeline = _base_[f'{phase}_pipeline']
    pipeline[1].clip_len = num_frames
    pipeline[3].scale = (-1, size)
    _base_[f'{phase}_dataloader'].dataset.pipeline = pipeline
del phase, pipeline
