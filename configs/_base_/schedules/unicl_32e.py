"""UniCL's schedule, which iCLIP's supplementary follows: AdamW, 32 epochs, 5 of them warm-up, cosine to a hundredth.

Nothing that has one dimension is decayed. The batch of 4096 is our choice: UniCL's code has 128 on a GPU and does not
say on how many.
"""

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'relative_position_bias_table': dict(decay_mult=0.0), 'logit_scale': dict(decay_mult=0.0)},
    ),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=27,
        eta_min=5e-6,
        by_epoch=True,
        begin=5,
        end=32,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=32)
test_cfg = dict(type='TestLoop')

# `--auto-scale-lr` scales the rate from 32 GPUs x 128 images to the batch at hand.
auto_scale_lr = dict(base_batch_size=4096)
