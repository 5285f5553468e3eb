"""Text4Vis, CLIP ViT-B/16, TAP, 8 frames, Kinetics-400.

Paper's numbers: Table 2, ViT-B/16, TAP; Table 3, CLIP-pretrained, Vision-Text; Table 8, K400, all; Figure 3,
Vision-Text, all labels; Figure 4, Vision-Text: top-1 80.13, top-5 94.98 (1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(neck=dict(_delete_=True, type='TemporalAveragePool'))
