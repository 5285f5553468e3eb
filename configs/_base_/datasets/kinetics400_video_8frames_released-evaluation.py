"""Kinetics-400 as in kinetics400_video_8frames.py, validated and tested as Text4Vis' released code does.

Frames at the start of each segment, resized by Pillow to a short side of 256. The one view of the validation takes the
centre as torchvision does; the 4 x 3 views of the test are clips whose offsets spread over a segment and wrap around,
and the authors' three crops.
"""

_base_ = ['kinetics400_video_8frames.py']

num_frames, size = 8, 224
val_pipeline = [
    dict(type='TolerantDecordInit', test_mode=True),
    dict(type='SegmentStartSample', clip_len=num_frames),
    dict(type='TolerantDecordDecode', test_mode=True),
    dict(type='PillowResize', short_side=256),
    dict(type='TorchVisionWrapper', op='CenterCrop', size=size),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='TolerantDecordInit', test_mode=True),
    dict(type='SegmentStartSample', clip_len=num_frames, num_clips=4),
    dict(type='TolerantDecordDecode', test_mode=True),
    dict(type='PillowResize', short_side=256),
    dict(type='FullResThreeCrop', crop_size=size),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
