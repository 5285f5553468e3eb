"""Charades as videos, 16 frames, several labels a video, tested by mAP over all videos at once.

The lists (a video and all its labels a line) and the names of the 157 classes are the user's to write. The head of a
config on top of this has multi_class=True: sigmoids with a learned scale and bias, and binary cross-entropy.
"""

_base_ = ['kinetics400_video_8frames.py']

num_frames = 16
for phase in ('train', 'val', 'test'):
    _base_[f'{phase}_pipeline'][1].clip_len = num_frames
data_root = data_root_val = 'data/charades/videos'
ann_file_train = 'data/charades/charades_train_list_videos.txt'
ann_file_val = 'data/charades/charades_val_list_videos.txt'
num_classes = 157
several = dict(data_prefix=dict(video=data_root), multi_class=True, num_classes=num_classes)
train_dataloader = dict(dataset=dict(ann_file=ann_file_train, pipeline=_base_.train_pipeline, **several))
val_dataloader = dict(dataset=dict(ann_file=ann_file_val, pipeline=_base_.val_pipeline, **several))
test_dataloader = dict(dataset=dict(ann_file=ann_file_val, pipeline=_base_.test_pipeline, **several))
val_evaluator = test_evaluator = dict(metric_list=('mean_average_precision',))
del phase, several
