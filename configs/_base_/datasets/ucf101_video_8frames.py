"""UCF-101 as videos, 8 frames, split 1; lists and folders as MMAction2's tools/data/ucf101 makes them.

`acc/mean1` is the mean class accuracy.
"""

_base_ = ['kinetics400_video_8frames.py']

data_root = data_root_val = 'data/ucf101/videos'
ann_file_train = 'data/ucf101/ucf101_train_split_1_videos.txt'
ann_file_val = 'data/ucf101/ucf101_val_split_1_videos.txt'
train_dataloader = dict(dataset=dict(ann_file=ann_file_train, data_prefix=dict(video=data_root)))
val_dataloader = test_dataloader = dict(dataset=dict(ann_file=ann_file_val, data_prefix=dict(video=data_root_val)))
