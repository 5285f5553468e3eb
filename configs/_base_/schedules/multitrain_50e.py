"""MultiTrain's schedule: AdamW, 50 epochs, 10 of warm-up, cosine, gradients clipped at a norm of 1.

The paper's (supplementary, 2.1): 2e-4 for a batch of 512, warm-up from 2e-6 over 10 epochs, cosine, weight decay 0.05.
Where it is silent, the released code's: cosine down to 2e-6, no decay of biases and norms (positions do decay),
clipping at 1. That code multiplies the rates by the number of machines (4e-4 on two), which is not done here, and its
gradients are 1 / GPUs of what they are here, so that its clipping acts less. What is left over of an accumulation at
the end of an epoch is dropped there, and goes on into the next epoch here.
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_begin=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=40, eta_min=2e-6, by_epoch=True, begin=10, end=50, convert_to_iter_based=True),
]

# `--auto-scale-lr` scales the rate from the paper's batch to the one at hand.
auto_scale_lr = dict(enable=False, base_batch_size=512)
