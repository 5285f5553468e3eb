"""ImageNet-1K as in imagenet.py: training and validation on 600 classes, test on the other 400.

The classes are our own draw (textxfer_mm/text/label_maps), as the paper's were never published. The test needs the
names of its classes: textxfer evaluate CONFIG CHECKPOINT --labels imagenet1k_unseen400
"""

_base_ = ['imagenet.py']

# By a draw and not by names, of which ImageNet has two twice; imagenet1k_seen600.txt holds the same classes.
seen = dict(_delete_=True, type='ClassSubsetDataset', count=600, seed=4, class_names='imagenet1k')
train_dataloader = dict(dataset=dict(dataset=_base_.train_dataloader.dataset, **seen))
val_dataloader = dict(dataset=dict(dataset=_base_.val_dataloader.dataset, **seen))
test_dataloader = dict(dataset=dict(dataset=_base_.val_dataloader.dataset, invert=True, **seen))
del seen
