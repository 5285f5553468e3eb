"""Text4Vis, CLIP ViT-L/14 at 336 pixels, T-Trans, 16 frames, Kinetics-400.

The authors' batch is not known; this is the one of their log with 8 frames. `model.backbone.with_cp=True` saves memory.

Paper's numbers: Table 5, ViT-L/14, 336 x 336, 16 frames: top-1 86.05, top-5 96.92 (1 view); 86.63, 97.27 (4 x 3 views).
Command: GPUS=32 bash tools/slurm_train.sh PARTITION text4vis
configs/text4vis/text4vis_vit-l-14-336_ttrans_32xb2-acc4-u16-30e_kinetics400-rgb.py --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-l-14-336.py',
    '../_base_/datasets/kinetics400_video_16frames_336px.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=4)
test_dataloader = dict(batch_size=1)
optim_wrapper = dict(accumulative_counts=4)
auto_scale_lr = dict(base_batch_size=64)  # what one iteration sees
