"""Kinetics-400 from scratch: MultiTrain's AdamW over 200 epochs, 30 of warm-up, at the rate of MViT's recipe.

1.6e-3 for a batch of 512, which is the 4e-4 for 128 of the released configs; warm-up from and cosine to a hundredth of
it as in multitrain_50e.py. The paper says "train from scratch protocol of MViTs", 200 epochs (supplementary, Table 3).
"""

_base_ = ['multitrain_50e.py']

train_cfg = dict(max_epochs=200, val_begin=5, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=1.6e-3))
warm_up, cosine = _base_.param_scheduler
warm_up.end = 30
cosine.update(T_max=170, eta_min=1.6e-5, begin=30, end=200)
param_scheduler = [warm_up, cosine]
del warm_up, cosine
