"""Kinetics-400 as in kinetics400_video_8frames.py, with 16 frames."""

_base_ = ['kinetics400_video_8frames.py']

num_frames = 16
for phase in ('train', 'val', 'test'):
    _base_[f'{phase}_pipeline'][1].clip_len = num_frames
    _base_[f'{phase}_dataloader'].dataset.pipeline = _base_[f'{phase}_pipeline']
del phase
