"""MViTv2, 32 x 3 frames, Moments in Time alone.

What MultiTrain is compared with: the recipe of the joint run on Moments in Time alone, from Kinetics-400 (load_from),
with one head, no projections and no informative loss.

Paper's numbers: none at hand: the main part of the paper is not, and the supplementary has none of this row.
Command: GPUS=16 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-b_single_16xb4-acc8-32x3-50e_mit-rgb.py --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/multitrain_mvitv2-b.py',
    '../_base_/datasets/multitrain_32x3.py',
    '../_base_/schedules/multitrain_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(cls_head=dict(datasets=dict(_delete_=True, mit=dict(num_classes=305)), informative_weight=0.0))
members = _base_.multitrain
test_pipeline = members.mit.test.dataset.pipeline
train_dataloader = dict(dataset=dict(datasets=[members.mit.train]))
val_dataloader = dict(dataset=dict(datasets=[members.mit.val]))
test_dataloader = dict(dataset=dict(datasets=[members.mit.test]))
optim_wrapper = dict(accumulative_counts=8)
auto_scale_lr = dict(base_batch_size=64)  # what one iteration sees
default_hooks = dict(checkpoint=dict(save_best='mean/top1'))
load_from = 'work_dirs/multitrain_mvitv2-b_128xb4-32x3-200e_kinetics400-rgb/epoch_200.pth'
