"""UniCL, Swin-T, YFCC-14M and ImageNet-21K.

UniCL's bidirectional loss, in which a class has its bare name; see unicl_swin-t_yfcc50-in21k50_32xb128-32e.py.

Paper's numbers: Supplementary Table 2, UniCL, all (the authors' reproduction): MSCOCO IR 17.7, TR 28.0, Flickr30K IR
34.0, TR 50.3.
Command: GPUS=32 bash tools/slurm_train.sh PARTITION iclip configs/iclip/unicl_swin-t_yfcc-in21k_32xb128-32e.py --amp
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
