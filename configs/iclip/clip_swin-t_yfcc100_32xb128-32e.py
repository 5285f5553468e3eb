"""CLIP, Swin-T, YFCC-14M alone.

The contrastive loss without the other: batches are of captions alone. The names of ImageNet-1K only serve validation
and testing, which are zero-shot.

Paper's numbers: Supplementary Table 1, 100 % + 0 %: ImageNet-1K top-1 30.1, MSCOCO IR 12.5, TR 21.2.
Command: GPUS=32 bash tools/slurm_train.sh PARTITION iclip configs/iclip/clip_swin-t_yfcc100_32xb128-32e.py --amp
Cost: not known: the paper has none.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/iclip_swin-t.py',
    '../_base_/datasets/yfcc14m_imagenet21k.py',
    '../_base_/schedules/unicl_32e.py',
    '../_base_/default_runtime_image.py',
]

model = dict(
    head=dict(
        text_batch_size=None,
        objective=dict(shard_classes=False),
        classifier=dict(class_names='imagenet1k', glosses=None),
    ),
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DatasetRatioSampler', ratios=dict(captioned=1)),
    dataset=dict(datasets=[_base_.captioned]),
)
val_dataloader = _base_.test_dataloader
val_evaluator = _base_.test_evaluator
val_cfg = dict(type='ValLoop')
