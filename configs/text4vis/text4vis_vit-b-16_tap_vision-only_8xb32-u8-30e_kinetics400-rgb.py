"""Text4Vis, CLIP ViT-B/16, TAP, 8 frames: the vision-only baseline.

MMAction2's linear head on the same encoder: trained from a random start at the rate of what is new, no normalisation,
no scale. The paper gives no details, and numbers of a single view alone. Of several views the probabilities are
averaged, as MMAction2 does; `model.cls_head.average_clips=score` averages the logits, which is averaging features, as
in the other configs.

Paper's numbers: Table 3, CLIP-pretrained, Vision-Only; Figure 1, Learned classifier (right); Figure 3, Vision-Only, all
labels; Figure 4, Vision-Only: top-1 75.27 (1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_tap_vision-only_8xb32-u8-30e_kinetics400-rgb.py 8
--amp
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
    neck=dict(_delete_=True, type='TemporalAveragePool'),
    cls_head=dict(
        _delete_=True, type='I3DHead', num_classes=400, in_channels=512, dropout_ratio=0.0, average_clips='prob'
    ),
)
