"""Text4Vis' schedule: AdamW, 30 epochs, 5 of warm-up, cosine, a tenth of the rate for the encoder and the scale.

The paper gives 5e-6 for the encoder at a batch of 128; 5e-5 for what is new and a weight decay of 0.2 are from the
released code, whose configs and logs use a batch of 256.
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=30, val_begin=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.2),
    paramwise_cfg=dict(custom_keys={'backbone.visual': dict(lr_mult=0.1), 'logit_scale': dict(lr_mult=0.1)}),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=25, eta_min=0, by_epoch=True, begin=5, end=30, convert_to_iter_based=True),
]

# `--auto-scale-lr` scales the rate from 8 GPUs x 32 videos to the batch at hand.
auto_scale_lr = dict(enable=False, base_batch_size=256)
