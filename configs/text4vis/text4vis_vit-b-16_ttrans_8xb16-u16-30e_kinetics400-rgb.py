"""Text4Vis, CLIP ViT-B/16, T-Trans, 16 frames, Kinetics-400.

Batch of 128 videos, as in the authors' log.

Paper's numbers: Table 5, ViT-B/16, 224 x 224, 16 frames: top-1 82.34, top-5 95.71 (1 view); 83.15, 96.25 (4 x 3 views).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_ttrans_8xb16-u16-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_16frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=16)
auto_scale_lr = dict(base_batch_size=128)
