"""Text4Vis' schedule: AdamW, 30 epochs, 5 of warm-up, cosine, a tenth of the rate for the encoders and the scale.

The paper's: AdamW with momentum 0.9, 5e-6 for the encoder, 30 epochs with 5 of linear warm-up and a cosine. Where it is
silent, the released code's: 5e-5 for new modules, weight decay 0.2 on everything. betas=(0.9, 0.999) are AdamW's own,
and the released code's of today; the one of the paper's time had (0.9, 0.98), see text4vis_released_30e.py.

The paper's batch is 128 videos at these rates. The authors' logs show 256 at the same rates for ViT-B/32 and ViT-B/16
with 8 frames (8 GPUs x 32), so that is what the names of the configs and their loaders say; half of the GPUs make it
the paper's 128.
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=30, val_begin=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.2),
    paramwise_cfg=dict(
        custom_keys={
            'backbone.visual': dict(lr_mult=0.1),
            'cls_head.class_rows.tower': dict(lr_mult=0.1),
            'logit_scale': dict(lr_mult=0.1),
        }
    ),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=25, eta_min=0, by_epoch=True, begin=5, end=30, convert_to_iter_based=True),
]

# `--auto-scale-lr` scales the rate from 8 GPUs x 32 videos to the batch at hand.
auto_scale_lr = dict(enable=False, base_batch_size=256)
