"""Kinetics-400 as in kinetics400_video_8frames.py: training and validation on 300 classes, test on the other 100.

The classes are our own draw (textxfer_mm/text/label_maps), as the paper's were never published. The test has one view,
and needs the names of its classes: textxfer evaluate CONFIG CHECKPOINT --labels kinetics400_unseen100
"""

_base_ = ['kinetics400_video_8frames.py']

test_pipeline = _base_.val_pipeline
seen = dict(_delete_=True, type='ClassSubsetDataset', classes='kinetics400_seen300', class_names='kinetics400')
train_dataloader = dict(dataset=dict(dataset=_base_.train_dataloader.dataset, **seen))
val_dataloader = dict(dataset=dict(dataset=_base_.val_dataloader.dataset, **seen))
test_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type='ClassSubsetDataset',
        classes='kinetics400_unseen100',
        class_names='kinetics400',
        dataset=_base_.val_dataloader.dataset,
    ),
)
del seen
