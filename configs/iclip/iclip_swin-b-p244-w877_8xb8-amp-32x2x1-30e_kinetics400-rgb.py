"""Video Swin-B on Kinetics-400 from the backbone of iCLIP, by the recipe of Video Swin: 30 epochs, 32 x 2 frames.

MMAction2's own config of that recipe, whose weights of images are those of a Swin-B that iCLIP pre-trained. They are
written by python tools/model_converters/export_backbone.py
work_dirs/iclip_swin-b_yfcc-in21k_32xb128-32e/epoch_32.pth work_dirs/iclip_swin-b.pth --layout swin
That the backbone is Swin-B, and that its classifier is linear, is our inference.

Paper's numbers: none at hand: the supplementary's section C tells the recipe, the numbers are in the main part.
Command: bash tools/dist_train.sh configs/iclip/iclip_swin-b-p244-w877_8xb8-amp-32x2x1-30e_kinetics400-rgb.py 8
Cost: not known: the paper has none.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['mmaction::recognition/swin/swin-base-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb.py']

custom_imports = dict(imports=['textxfer_mm.register'])

model = dict(backbone=dict(pretrained='work_dirs/iclip_swin-b.pth'))
