"""ActivityNet as videos, 16 frames: trained on trimmed instances of one class, tested on whole videos by mAP.

The lists are the user's to write, with labels that count the shipped names (`activitynet`): the training list with a
clip and its label a line, the validation list with a video and all its labels. All videos count at once in the mean
average precision, and the scores are those of the head, one softmax.
"""

_base_ = ['kinetics400_video_8frames.py']

num_frames = 16
for phase in ('train', 'val', 'test'):
    _base_[f'{phase}_pipeline'][1].clip_len = num_frames
test_pipeline = _base_.val_pipeline
data_root = 'data/activitynet/instances_train'
data_root_val = 'data/activitynet/videos_val'
ann_file_train = 'data/activitynet/activitynet_train_list_instances.txt'
ann_file_val = 'data/activitynet/activitynet_val_list_videos.txt'
num_classes = 200
several = dict(ann_file=ann_file_val, data_prefix=dict(video=data_root_val), multi_class=True, num_classes=num_classes)
train_dataloader = dict(
    dataset=dict(ann_file=ann_file_train, data_prefix=dict(video=data_root), pipeline=_base_.train_pipeline)
)
val_dataloader = test_dataloader = dict(batch_size=16, dataset=dict(pipeline=_base_.val_pipeline, **several))
val_evaluator = test_evaluator = dict(metric_list=('mean_average_precision',))
del phase, several
