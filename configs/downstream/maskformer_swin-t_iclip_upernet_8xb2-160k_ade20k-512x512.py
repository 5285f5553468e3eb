# ADE20K segmentation with an iCLIP backbone (iCLIP, section C): MaskFormer's own recipe with windows of 7.
# NOT RUN: MMSegmentation and ADE20K are no requirements of this project.
#   python tools/model_converters/export_backbone.py CHECKPOINT work_dirs/iclip_swin-t/backbone.pth
#   mim train mmsegmentation configs/downstream/maskformer_swin-t_iclip_upernet_8xb2-160k_ade20k-512x512.py
_base_ = 'mmseg::maskformer/maskformer_swin-t_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        window_size=7,
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/iclip_swin-t/backbone.pth'),
    )
)
