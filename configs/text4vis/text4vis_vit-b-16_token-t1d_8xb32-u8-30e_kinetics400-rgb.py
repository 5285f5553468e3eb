"""Text4Vis, CLIP ViT-B/16, TokenT1D, 8 frames, Kinetics-400.

Paper's numbers: Table 2, ViT-B/16, TokenT1D: top-1 80.42, top-5 95.03 (1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_token-t1d_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(temporal=dict(type='TokenT1D', init='shift')),
    neck=dict(_delete_=True, type='TemporalAveragePool'),
)
