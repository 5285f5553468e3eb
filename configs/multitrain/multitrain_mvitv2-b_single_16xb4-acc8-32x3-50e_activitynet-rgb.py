"""MViTv2, 32 x 3 frames, ActivityNet alone.

What MultiTrain is compared with: the recipe of the joint run on ActivityNet alone, from Kinetics-400 (load_from),
with one head, no projections and no informative loss.

Paper's numbers: none at hand: the main part of the paper is not, and the supplementary has none of this row.
Command: GPUS=16 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-b_single_16xb4-acc8-32x3-50e_activitynet-rgb.py --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/multitrain_mvitv2-b.py',
    '../_base_/datasets/multitrain_32x3.py',
    '../_base_/schedules/multitrain_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(cls_head=dict(datasets=dict(_delete_=True, activitynet=dict(num_classes=200)), informative_weight=0.0))
members = _base_.multitrain
test_pipeline = members.activitynet.test.dataset.pipeline
train_dataloader = dict(dataset=dict(datasets=[members.activitynet.train]))
val_dataloader = dict(dataset=dict(datasets=[members.activitynet.val]))
test_dataloader = dict(dataset=dict(datasets=[members.activitynet.test]))
optim_wrapper = dict(accumulative_counts=8)
auto_scale_lr = dict(base_batch_size=64)  # what one iteration sees
default_hooks = dict(checkpoint=dict(save_best='mean/top1'))
load_from = 'work_dirs/multitrain_mvitv2-b_128xb4-32x3-200e_kinetics400-rgb/epoch_200.pth'
