"""MViTv2, 32 x 3 frames, Kinetics-700 from scratch.

The start of the joint runs. A batch of 512 videos in two augmented copies each. The paper trains "from scratch" by
the protocol of MViT, 200 epochs.

Paper's numbers: none at hand: the main part of the paper is not, and the supplementary has none of this row.
Command: GPUS=128 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-b_128xb4-32x3-200e_kinetics700-rgb.py --amp
Cost: 6900 s an epoch on 8 V100 in the paper, which 200 epochs make 383 h.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-700: no number of ours.
"""

_base_ = [
    '../_base_/models/multitrain_mvitv2-b_linear.py',
    '../_base_/datasets/multitrain_32x3.py',
    '../_base_/schedules/multitrain_pretrain_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    cls_head=dict(num_classes=700),
    data_preprocessor=dict(
        blending=dict(
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=700),
                dict(type='CutmixBlending', alpha=1.0, num_classes=700),
            ]
        )
    ),
)
members = _base_.multitrain
train_dataloader = dict(dataset=dict(datasets=[members.kinetics700.train]))
val_dataloader = dict(dataset=dict(datasets=[members.kinetics700.val]))
test_dataloader = dict(dataset=dict(datasets=[members.kinetics700.test]))
test_pipeline = members.kinetics700.test.dataset.pipeline
val_evaluator = dict(type='AccMetric')
test_evaluator = dict(type='AccMetric')
default_hooks = dict(checkpoint=dict(save_best='acc/top1'))
