"""Text4Vis, CLIP ViT-B/16, TAP, 8 frames, Kinetics-400.

Paper's top-1: 80.13 (TAP, Table 2, ViT-B/16, 8 frames, 1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown; the authors' log is of the run with T-Trans.
Our status: built and stepped at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    neck=dict(_delete_=True, type='TemporalAveragePool'),
)
