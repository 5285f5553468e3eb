"""Text4Vis' schedule as in text4vis_30e.py, over the 200 epochs that the paper trains with few videos a class.

How long it warms up then is not known: here 5 epochs as elsewhere. It validates every 20 epochs.
"""

_base_ = ['text4vis_30e.py']

train_cfg = dict(max_epochs=200, val_begin=20, val_interval=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=195, eta_min=0, by_epoch=True, begin=5, end=200, convert_to_iter_based=True),
]
