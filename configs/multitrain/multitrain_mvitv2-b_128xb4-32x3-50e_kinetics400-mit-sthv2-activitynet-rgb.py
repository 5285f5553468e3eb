"""MultiTrain as in the paper: MViTv2, 32 x 3 frames, Kinetics-400, MiT, Something-Something V2 and ActivityNet.

Initialised from Kinetics-400 (load_from), whose head is left behind. 512 videos a step without accumulation, an
expander of 2048, tests of 3 x 3 views, as the supplementary says (2.1). What else is not in it is as released: CutMix
beside the MixUp it names, repeated augmentation, random erasing, the mixing of datasets.

Paper's numbers: none at hand: the main part of the paper is not. Table 4 of the supplementary shows the largest
projections of such a model, at 312 pixels.
Command: GPUS=128 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-b_128xb4-32x3-50e_kinetics400-mit-sthv2-activitynet-rgb.py --amp
Cost: 2 to 4 days on 128 V100 or A100, says the paper of each of its experiments.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/multitrain_mvitv2-b.py',
    '../_base_/datasets/multitrain_32x3.py',
    '../_base_/schedules/multitrain_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    cls_head=dict(datasets=dict(activitynet=dict(num_classes=200)), expander_channels=2048),
)
members = _base_.multitrain
names = ('kinetics400', 'mit', 'sthv2', 'activitynet')
views = [
    dict(type='Resize', scale=(-1, 256), interpolation='bicubic'),
    dict(type='FullResThreeCrop', crop_size=224),
    *_base_.test_pipeline[-2:],
]
for name in names:  # the paper's views: 3 clips x 3 crops out of a short side of 256
    tested = members[name].test.dataset
    tested.pipeline = [*tested.pipeline[:3], *views]
    tested.pipeline[1].num_clips = 3
test_pipeline = members.kinetics400.test.dataset.pipeline
train_dataloader = dict(dataset=dict(datasets=[members[name].train for name in names]))
val_dataloader = dict(dataset=dict(datasets=[members[name].val for name in names]))
test_dataloader = dict(dataset=dict(datasets=[members[name].test for name in names]))
default_hooks = dict(checkpoint=dict(save_best='mean/top1'))
del name, tested, views
load_from = 'work_dirs/multitrain_mvitv2-b_128xb4-32x3-200e_kinetics400-rgb/epoch_200.pth'
