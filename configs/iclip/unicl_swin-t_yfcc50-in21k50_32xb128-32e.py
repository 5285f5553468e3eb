"""UniCL, Swin-T, half of YFCC-14M and half of ImageNet-21K.

UniCL's bidirectional loss, in which a class has its bare name, so that names which classes of ImageNet-21K share are
to be made different in data/imagenet21k/names.txt. The numbers of MSCOCO are those of the CLIP row of Table 1 to the
digit; one of the two may be a copy.

Paper's numbers: Supplementary Table 2, UniCL, half (the authors' reproduction): MSCOCO IR 12.5, TR 21.2, Flickr30K IR
21.5, TR 37.9.
Command: GPUS=32 bash tools/slurm_train.sh PARTITION iclip configs/iclip/unicl_swin-t_yfcc50-in21k50_32xb128-32e.py
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

model = dict(
    head=dict(
        objective=dict(form='unicl', shard_classes=False),
        classifier=dict(class_names='data/imagenet21k/names.txt', glosses=None),
    ),
)

captioned, labelled = _base_.captioned, _base_.labelled
captioned.dataset.fraction = 0.5
labelled.dataset = dict(type='LabelFractionDataset', fraction=0.5, dataset=labelled.dataset)
train_dataloader = dict(sampler=dict(ratios=0.5), dataset=dict(datasets=[captioned, labelled]))
del captioned, labelled
