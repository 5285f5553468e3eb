"""MultiTrain, MViTv2 of 16 blocks, 16 x 4 frames, Kinetics-400, Moments in Time and Something-Something V2.

The released 16 x 4 configs have 16 blocks, wider at 1, 3 and 14, where Table 2 of the supplementary has 24.

Paper's numbers: none at hand: the main part of the paper is not, and the supplementary has none of this row.
Command: GPUS=16 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-s_16xb8-acc4-16x4-50e_kinetics400-mit-sthv2-rgb.py --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/multitrain_mvitv2-b.py',
    '../_base_/datasets/multitrain_16x4.py',
    '../_base_/schedules/multitrain_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(arch='small', temporal_size=16))
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(accumulative_counts=4)
auto_scale_lr = dict(base_batch_size=128)  # what one iteration sees
default_hooks = dict(checkpoint=dict(save_best='mean/top1'))
members = None  # the datasets that were not chosen
load_from = 'work_dirs/multitrain_mvitv2-s_64xb8-16x4-200e_kinetics400-rgb/epoch_200.pth'
