"""MultiTrain at 312 pixels: MViTv2, 32 x 3 frames, Kinetics-400, MiT, Something-Something V2 and ActivityNet.

The "K400-312p" of the supplementary (Table 4) is such a model. Frames of 312 pixels have 78 x 78 positions; those of
the pre-trained 56 x 56 are resized as they are loaded. Its recipe is not known: here that of 224 pixels, with crops
of 312 out of a short side of 356, and 2 videos on a GPU.

Paper's numbers: none at hand: the main part of the paper is not. Table 4 of the supplementary has words alone.
Command: GPUS=256 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-b-312_256xb2-32x3-50e_kinetics400-mit-sthv2-activitynet-rgb.py --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/multitrain_mvitv2-b.py',
    '../_base_/datasets/multitrain_32x3_312px.py',
    '../_base_/schedules/multitrain_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(spatial_size=312),
    cls_head=dict(datasets=dict(activitynet=dict(num_classes=200)), expander_channels=2048),
)
members = _base_.multitrain
names = ('kinetics400', 'mit', 'sthv2', 'activitynet')
views = [
    dict(type='Resize', scale=(-1, 356), interpolation='bicubic'),
    dict(type='FullResThreeCrop', crop_size=312),
    *_base_.test_pipeline[-2:],
]
for name in names:  # the paper's 3 clips x 3 crops; the short side in proportion
    tested = members[name].test.dataset
    tested.pipeline = [*tested.pipeline[:3], *views]
    tested.pipeline[1].num_clips = 3
test_pipeline = members.kinetics400.test.dataset.pipeline
train_dataloader = dict(batch_size=2, dataset=dict(datasets=[members[name].train for name in names]))
val_dataloader = dict(dataset=dict(datasets=[members[name].val for name in names]))
test_dataloader = dict(dataset=dict(datasets=[members[name].test for name in names]))
default_hooks = dict(checkpoint=dict(save_best='mean/top1'))
del name, tested, views
load_from = 'work_dirs/multitrain_mvitv2-b_128xb4-32x3-200e_kinetics400-rgb/epoch_200.pth'
