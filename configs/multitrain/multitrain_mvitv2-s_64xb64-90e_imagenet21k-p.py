"""MViTv2 of 16 blocks on ImageNet-21K-P, as clips of one frame: where the fine-tuning of Table 3 starts.

For multitrain_mvitv2-s-in21k-p_64xb8-16x4-75e_kinetics400-rgb.py, which repeats its position of time over the frames
and leaves the head of 10450 classes behind. Of this stage the supplementary gives the number of images and the time
of an epoch; the 90 epochs follow from its costs (our inference), and rate, warm-up and augmentation are ours: those
of MultiTrain's videos, the rate scaled linearly to a batch of 4096.

Paper's numbers: none: the supplementary has none of this stage.
Command: GPUS=64 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-s_64xb64-90e_imagenet21k-p.py --amp
Cost: 11000 s an epoch on 8 V100 in the paper, which 90 epochs make 275 h.
Our status: built and run at tiny size by the tests; not trained by us on ImageNet-21K-P: no number of ours.
"""

_base_ = [
    '../_base_/models/multitrain_mvitv2-b_linear.py',
    '../_base_/datasets/imagenet21k_p_clips.py',
    '../_base_/schedules/multitrain_50e.py',
    '../_base_/default_runtime.py',
]

num_classes = 10450
model = dict(
    backbone=dict(arch='small', temporal_size=1),
    cls_head=dict(num_classes=num_classes),
    data_preprocessor=dict(
        blending=dict(
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=num_classes),
                dict(type='CutmixBlending', alpha=1.0, num_classes=num_classes),
            ]
        )
    ),
)
train_cfg = dict(max_epochs=90, val_begin=5, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=1.6e-3))
warm_up, cosine = _base_.param_scheduler
cosine.update(T_max=80, eta_min=1.6e-5, end=90)
param_scheduler = [warm_up, cosine]
auto_scale_lr = dict(base_batch_size=4096)
default_hooks = dict(checkpoint=dict(save_best='acc/top1'))
del cosine, warm_up
