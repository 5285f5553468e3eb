"""The datasets of MultiTrain as videos, 32 frames.

Kinetics-400 and 700, Moments in Time, Something-Something v2 and ActivityNet, each a `TaggedDataset` for training,
validation and testing under `multitrain`. The loaders hold those of the released model (Kinetics-400, Moments in Time,
Something-Something v2) in proportion to their sizes; configs on top of this take others:
`train_dataloader = dict(dataset=dict(datasets=[_base_.multitrain.kinetics700.train, ...]))`, and so on.

Every third frame at 30 frames a second is taken (of Something-Something one from each of 32 segments, whatever its
rate), and of each clip two augmented copies are made: RandAugment (4 operations of magnitude 7, as timm has them),
random crops, flips (not of Something-Something), random erasing. Tested with 1 crop x 5 clips (Kinetics, ActivityNet),
3 x 2 (Moments in Time) and 3 x 1 (Something-Something); the paper's supplementary material has 3 x 3 for all.

Where this differs from the released code: clips begin at a whole frame; validation takes the centre of all videos, not
a random crop of every fifth; UniformSample rounds the middle of a segment otherwise, by a frame at most.

The lists and, for Moments in Time and ActivityNet, the names of the classes are the user's to write.
"""

num_frames, frame_interval, size = 32, 3, 224
clip = dict(
    type='SampleFrames',
    clip_len=num_frames,
    frame_interval=frame_interval,
    num_clips=1,
    target_fps=30,
    out_of_bound_opt='repeat_last',
)
segments = dict(type='UniformSample', clip_len=num_frames)
packed = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]

augmentations = [
    dict(type='TimmRandAugment', policy='rand-m7-n4-mstd0.5-inc1'),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0), aspect_ratio_range=(0.75, 1.3333)),
    dict(type='Resize', scale=(size, size), keep_ratio=False, interpolation='bicubic'),
    dict(type='Flip', flip_ratio=0.5),
    # Noise of mean 0 and deviation 1 after normalisation (mean 114.75, deviation 57.375).
    dict(type='RandomErasing', erase_prob=0.25, mode='rand', fill_color=(114.75,) * 3, fill_std=(57.375,) * 3),
    *packed,
]
train_pipeline = [
    dict(type='TolerantDecordInit'),
    clip,
    dict(type='TolerantDecordDecode'),
    dict(type='RepeatAugment', num_repeats=2, transforms=augmentations),
]
segment_train_pipeline = [
    train_pipeline[0],
    segments,
    train_pipeline[2],
    dict(train_pipeline[3], transforms=[step for step in augmentations if step['type'] != 'Flip']),
]

opened, decoded = (dict(type=f'TolerantDecord{step}', test_mode=True) for step in ('Init', 'Decode'))
one_crop = [
    dict(type='Resize', scale=(-1, size * 8 // 7), interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=size),
    *packed,
]
three_crops = [
    dict(type='Resize', scale=(-1, size), interpolation='bicubic'),
    dict(type='ThreeCrop', crop_size=size),
    *packed,
]
val_pipeline = [opened, dict(clip, test_mode=True), decoded, *one_crop]
test_pipeline = [opened, dict(clip, num_clips=5, test_mode=True), decoded, *one_crop]
two_clips_test_pipeline = [opened, dict(clip, num_clips=2, test_mode=True), decoded, *three_crops]
segment_val_pipeline = [opened, dict(segments, test_mode=True), decoded, *one_crop]
segment_test_pipeline = [opened, dict(segments, test_mode=True), decoded, *three_crops]

clips = dict(train=train_pipeline, val=val_pipeline, test=test_pipeline)
names = dict(kinetics400='kinetics400', kinetics700='kinetics700', sthv2='sthv2')
pipelines = dict(
    kinetics400=clips,
    kinetics700=clips,
    mit=dict(clips, test=two_clips_test_pipeline),
    sthv2=dict(train=segment_train_pipeline, val=segment_val_pipeline, test=segment_test_pipeline),
    activitynet=clips,
)
multitrain = dict()
for name, steps in pipelines.items():
    multitrain[name] = dict()
    for phase in ('train', 'val', 'test'):
        split = 'train' if phase == 'train' else 'val'
        multitrain[name][phase] = dict(
            type='TaggedDataset',
            name=name,
            class_names=names.get(name),
            dataset=dict(
                type='VideoDataset',
                ann_file=f'data/{name}/{name}_{split}_list_videos.txt',
                data_prefix=dict(video=f'data/{name}/videos_{split}'),
                pipeline=steps[phase],
                test_mode=phase != 'train',
            ),
        )
del name, names, steps, phase, split, pipelines, clips, clip, segments, packed, augmentations, opened, decoded
del one_crop, three_crops, segment_train_pipeline, segment_val_pipeline, segment_test_pipeline, two_clips_test_pipeline

loader = dict(num_workers=8, persistent_workers=False, worker_init_fn=dict(type='epoch_worker_init_fn'))
train_dataloader = dict(
    **loader,
    batch_size=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
    dataset=dict(type='MultiDataset', datasets=[multitrain[name]['train'] for name in ('kinetics400', 'mit', 'sthv2')]),
)
val_dataloader = dict(
    **loader,
    batch_size=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_sampler=dict(type='OneDatasetBatchSampler'),
    dataset=dict(type='MultiDataset', datasets=[multitrain[name]['val'] for name in ('kinetics400', 'mit', 'sthv2')]),
)
test_dataloader = dict(
    **loader,
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_sampler=dict(type='OneDatasetBatchSampler'),
    dataset=dict(type='MultiDataset', datasets=[multitrain[name]['test'] for name in ('kinetics400', 'mit', 'sthv2')]),
)
del loader
val_evaluator = test_evaluator = dict(type='MultiDatasetMetric')
