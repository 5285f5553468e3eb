"""Loaders of a small set of videos: shuffled anew and seeded in each epoch of training, in order elsewhere.

Configs that inherit from it give lists, folders and pipelines.
"""

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=False,
    worker_init_fn=dict(type='epoch_worker_init_fn'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='VideoDataset'),
)
val_dataloader = test_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='VideoDataset', test_mode=True),
)
val_evaluator = test_evaluator = dict(type='AccMetric')
