"""MultiTrain with texts for classifiers: Kinetics-400, Moments in Time and Something-Something V2 in one text space.

This is ours, after Text4Vis: the released joint run with the class names of the three datasets, embedded by the text
tower of CLIP ViT-L/14 (768 wide, as the features are) and frozen, in place of heads and projections. A video is
compared with the names of all three without those that are spelled like its class; what else means the same,
`synonyms` of the head can say. The model recognises other names, zero-shot: docs/multitrain_heads.md.

The names of Moments in Time are the user's to write, one a line in the order of the labels: data/mit/class_names.txt.

Paper's numbers: none: the paper has no such model.
Command: GPUS=16 bash tools/slurm_train.sh PARTITION multitrain
configs/multitrain/multitrain_mvitv2-b_text_16xb4-acc8-32x3-50e_kinetics400-mit-sthv2-rgb.py --amp
Cost: unknown.
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
        _delete_=True,
        type='MultiDatasetTextHead',
        in_channels=768,
        classifier=dict(
            type='TextClassifier',
            templates='text4vis',
            encoder=dict(type='CLIPTextEncoder', arch='ViT-L-14-quickgelu', pretrained='openai'),
        ),
        datasets=dict(
            kinetics400=dict(class_names='kinetics400'),
            mit=dict(class_names='data/mit/class_names.txt', num_classes=305),
            sthv2=dict(class_names='sthv2'),
        ),
        compared='union',
        dropout_ratio=0.5,
        label_smooth_eps=0.1,
        max_scale=100.0,
        average_clips='prob',
    )
)
optim_wrapper = dict(
    accumulative_counts=8,
    paramwise_cfg=dict(custom_keys={'logit_scale': dict(decay_mult=0.0)}),  # a scalar, which is no bias to MMEngine
)
auto_scale_lr = dict(base_batch_size=64)  # what one iteration sees
default_hooks = dict(checkpoint=dict(save_best='mean/top1'))
members = None  # the datasets that were not chosen
load_from = 'work_dirs/multitrain_mvitv2-b_128xb4-32x3-200e_kinetics400-rgb/epoch_200.pth'
