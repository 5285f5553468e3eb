"""Text4Vis' schedule on ImageNet: as text4vis_30e.py, over 10 epochs and with the paper's batch of 128.

The paper trains "with the same recipe" and 10 epochs (Table 12), so 5 of them warm up.
"""

_base_ = ['text4vis_30e.py']

train_cfg = dict(max_epochs=10)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=5, eta_min=0, by_epoch=True, begin=5, end=10, convert_to_iter_based=True),
]

# `--auto-scale-lr` scales the rate from 8 GPUs x 16 images to the batch at hand.
auto_scale_lr = dict(base_batch_size=128)
