"""iCLIP, Swin-T, 25 % of YFCC-14M and 75 % of ImageNet-21K.

A fixed share of each dataset is drawn (seed 0), so that an epoch has about as many images as YFCC-14M whatever the
shares are, and every batch has the shares as well. That the backbone is Swin-T is our inference. Zero-shot
recognition: textxfer evaluate CONFIG CHECKPOINT --labels imagenet1k --glosses imagenet1k

Paper's numbers: Supplementary Table 1, 25 % + 75 %: ImageNet-1K top-1 44.8, MSCOCO IR 14.1, TR 27.1.
Command: GPUS=32 bash tools/slurm_train.sh PARTITION iclip configs/iclip/iclip_swin-t_yfcc25-in21k75_32xb128-32e.py
--amp
Cost: not known: the paper has none.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/iclip_swin-t.py',
    '../_base_/datasets/yfcc14m_imagenet21k.py',
    '../_base_/schedules/unicl_32e.py',
    '../_base_/default_runtime_image.py',
]

captioned, labelled = _base_.captioned, _base_.labelled
captioned.dataset.fraction = 0.25
labelled.dataset = dict(type='LabelFractionDataset', fraction=0.75, dataset=labelled.dataset)
train_dataloader = dict(sampler=dict(ratios=0.25), dataset=dict(datasets=[captioned, labelled]))
del captioned, labelled
