"""HMDB-51 as videos, 8 frames, split 1; lists and folders as MMAction2's tools/data/hmdb51 makes them.

`acc/mean1` is the mean class accuracy.
"""

_base_ = ['kinetics400_video_8frames.py']

data_root = data_root_val = 'data/hmdb51/videos'
ann_file_train = 'data/hmdb51/hmdb51_train_split_1_videos.txt'
ann_file_val = 'data/hmdb51/hmdb51_val_split_1_videos.txt'
train_dataloader = dict(dataset=dict(ann_file=ann_file_train, data_prefix=dict(video=data_root)))
val_dataloader = test_dataloader = dict(dataset=dict(ann_file=ann_file_val, data_prefix=dict(video=data_root_val)))
