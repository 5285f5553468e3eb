"""Text4Vis' schedule as in text4vis_30e.py, over 5 epochs: few of them keep what CLIP knows of other classes.

The paper says "few epochs" and no more. Here the rate rises over 200 iterations and falls by a cosine to 0. Another
number: --cfg-options train_cfg.max_epochs=2 param_scheduler.1.end=2 param_scheduler.1.T_max=2
"""

_base_ = ['text4vis_30e.py']

train_cfg = dict(max_epochs=5)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', T_max=5, eta_min=0, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
]
