"""Text4Vis, CLIP ViT-L/14, T-Trans, 32 frames, Kinetics-400.

The authors' batch is not known; this is the one of their log with 8 frames. `model.backbone.with_cp=True` saves memory.

Paper's numbers: Table 5, ViT-L/14, 224 x 224, 32 frames; Table 7, Ours ViT-L/14, 32 x 224 x 224: top-1 86.39, top-5
96.75 (1 view); 87.09, 97.06 (4 x 3 views).
Command: GPUS=32 bash tools/slurm_train.sh PARTITION text4vis
configs/text4vis/text4vis_vit-l-14_ttrans_32xb8-u32-30e_kinetics400-rgb.py --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-l-14.py',
    '../_base_/datasets/kinetics400_video_32frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=8)
val_dataloader = dict(batch_size=8)
test_dataloader = dict(batch_size=1)
