"""Text4Vis, CLIP ResNet-50, T-Trans, 8 frames, Kinetics-400.

Paper's numbers: Table 2, ResNet-50, T-Trans; Table 5, ResNet-50, 224 x 224, 8 frames: top-1 74.26, top-5 91.67 (1
view); 75.50, 92.61 (4 x 3 views).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_rn50_ttrans_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_rn50.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]
