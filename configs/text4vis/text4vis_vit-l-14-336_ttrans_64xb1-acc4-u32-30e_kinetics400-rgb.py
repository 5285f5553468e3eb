"""Text4Vis, CLIP ViT-L/14 at 336 pixels, T-Trans, 32 frames, Kinetics-400.

Batch of 256 videos, gradients of four iterations accumulated, as in the authors' log.

Paper's numbers: Table 5, ViT-L/14, 336 x 336, 32 frames; Table 7, Ours ViT-L/14, 32 x 336 x 336: top-1 86.60, top-5
97.00 (1 view); 87.30, 97.46 (4 x 3 views).
Command: GPUS=64 bash tools/slurm_train.sh PARTITION text4vis
configs/text4vis/text4vis_vit-l-14-336_ttrans_64xb1-acc4-u32-30e_kinetics400-rgb.py --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-l-14-336.py',
    '../_base_/datasets/kinetics400_video_32frames_336px.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=1)
val_dataloader = dict(batch_size=2)
test_dataloader = dict(batch_size=1)
optim_wrapper = dict(accumulative_counts=4)
auto_scale_lr = dict(base_batch_size=64)  # what one iteration sees
