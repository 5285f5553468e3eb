"""Text4Vis' schedule on ImageNet as in text4vis_image_10e.py, over the 200 epochs of its few-shot videos (Table 8).

How long it trains with few images a class, the paper does not say. It validates every 20 epochs.
"""

_base_ = ['text4vis_image_10e.py']

train_cfg = dict(max_epochs=200, val_begin=20, val_interval=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=195, eta_min=0, by_epoch=True, begin=5, end=200, convert_to_iter_based=True),
]
