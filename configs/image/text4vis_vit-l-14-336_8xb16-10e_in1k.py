"""Text4Vis on images, CLIP ViT-L/14 at 336 pixels, all images of ImageNet.

The columns FLOPs and Params of Table 12 leave the attention layers out, as profilers do that know no
nn.MultiheadAttention; python tools/analysis_tools/flops.py counts these and, beside them, all.

Paper's numbers: Table 12, ViT-L/14 at 336 pixels: top-1 87.12, top-5 98.33, 116.5 G FLOPs, 202.1 M parameters, 5.7
A100-days.
Command: bash tools/dist_train.sh configs/image/text4vis_vit-l-14-336_8xb16-10e_in1k.py 8 --amp
Cost: the paper's 5.7 A100-days.
Our status: built and run at tiny size by the tests; not trained by us on ImageNet: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_image_vit-l-14-336.py',
    '../_base_/datasets/imagenet_336px.py',
    '../_base_/schedules/text4vis_image_10e.py',
    '../_base_/default_runtime_image.py',
]
