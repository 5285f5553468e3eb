"""MultiTrain, MViTv2, 32 x 3 frames, Kinetics-700, Multi-Moments in Time and ActivityNet.

The released run with a dataset of several labels a video: binary cross-entropy and mAP for Multi-Moments in Time,
whose loss has the weight 10; the others have 1. It starts from Kinetics-700 (load_from), as the paper's second set of
experiments does. The number of classes of Multi-Moments is that of MMAction2's lists, 313; its second version has
292. Its views here are those of Moments in Time. The best checkpoint is that of the mean of top-1 and mAP.

Paper's numbers: none at hand: the main part of the paper is not, and the supplementary has none of this row.
Command: GPUS=16 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-b_16xb4-acc8-32x3-50e_kinetics700-mmit-activitynet-rgb.py --amp
Cost: 2 to 4 days on 128 V100 or A100 in the paper.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/multitrain_mvitv2-b.py',
    '../_base_/datasets/multitrain_32x3.py',
    '../_base_/schedules/multitrain_50e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    cls_head=dict(
        datasets=dict(
            _delete_=True,
            kinetics700=dict(class_names='kinetics700'),
            mmit=dict(num_classes=313, loss='bce', weight=10.0),
            activitynet=dict(num_classes=200),
        )
    )
)
members = _base_.multitrain
mmit = {
    phase: dict(
        type='TaggedDataset',
        name='mmit',
        dataset=dict(
            type='VideoDataset',
            ann_file=f'data/mmit/mmit_{split}_list_videos.txt',
            data_prefix=dict(video='data/mmit/videos'),
            pipeline=members.mit[phase].dataset.pipeline,
            multi_class=True,
            num_classes=313,
            test_mode=phase != 'train',
        ),
    )
    for phase, split in (('train', 'train'), ('val', 'val'), ('test', 'val'))
}
train_dataloader = dict(dataset=dict(datasets=[members.kinetics700.train, mmit['train'], members.activitynet.train]))
val_dataloader = dict(dataset=dict(datasets=[members.kinetics700.val, mmit['val'], members.activitynet.val]))
test_dataloader = dict(dataset=dict(datasets=[members.kinetics700.test, mmit['test'], members.activitynet.test]))
optim_wrapper = dict(accumulative_counts=8)
auto_scale_lr = dict(base_batch_size=64)  # what one iteration sees
default_hooks = dict(checkpoint=dict(save_best='mean/main', rule='greater'))
load_from = 'work_dirs/multitrain_mvitv2-b_128xb4-32x3-200e_kinetics700-rgb/epoch_200.pth'
