"""iCLIP, Swin-T, YFCC-14M and ImageNet-21K.

All images of both; half of each batch is of either. That the backbone is Swin-T is our inference.

Paper's numbers: Supplementary Table 2, iCLIP, all: MSCOCO IR 18.5, TR 30.7, Flickr30K IR 37.1, TR 55.7.
Command: GPUS=32 bash tools/slurm_train.sh PARTITION iclip configs/iclip/iclip_swin-t_yfcc-in21k_32xb128-32e.py --amp
Cost: not known: the paper has none.
Our status: built and run at tiny size by the tests; not trained by us on these data: no number of ours.
"""

_base_ = [
    '../_base_/models/iclip_swin-t.py',
    '../_base_/datasets/yfcc14m_imagenet21k.py',
    '../_base_/schedules/unicl_32e.py',
    '../_base_/default_runtime_image.py',
]
