"""Text4Vis, CLIP ResNet-50, T1D in its last two stages, 8 frames, Kinetics-400.

T1D is not in the released code; its initialisation is the one of TokenT1D there.

Paper's numbers: Table 2, ResNet-50, T1D: top-1 67.18, top-5 88.45 (1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_rn50_t1d_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_rn50.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(temporal=dict(type='T1D', stages=[3, 4], init='shift')),
    neck=dict(_delete_=True, type='TemporalAveragePool'),
)
