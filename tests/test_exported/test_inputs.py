"""Exported models see the pixels that their test pipeline gives: the same frames, resized and cropped alike."""

import json
import re

import av
import numpy as np
import pytest
import tiny_configs
from mmengine.registry import init_default_scope
from PIL import Image

import textxfer_mm.register  # noqa: F401
from textxfer_mm.apis.exporting.plans import frame_shape, plan_of
from textxfer_mm.apis.prediction_inputs import PredictionInputs
from textxfer_mm.engine.config_files import load_config
from textxfer_mm.errors import UserError
from textxfer_mm.exported.inputs import ExportedInputs
from textxfer_mm.exported.sampling import SAMPLERS
from textxfer_mm.registry import TRANSFORMS

PACKED = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A landscape and a portrait video, one of few frames, images of both kinds, one turned by its EXIF."""
    folder = tmp_path_factory.mktemp('media')
    rng = np.random.default_rng(0)
    for name, (width, height), frames in (('wide', (96, 64), 37), ('high', (64, 112), 20), ('short', (80, 64), 3)):
        with av.open(folder / f'{name}.mp4', 'w') as container:
            stream = container.add_stream('mpeg4', rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
            for index in range(frames):
                pixels = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
                pixels[:, : width * index // frames] += 120
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
            container.mux(stream.encode())
    image = rng.integers(0, 256, (70, 101, 3), dtype=np.uint8)
    Image.fromarray(image).save(folder / 'a.png')
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(image).save(folder / 'turned.jpg', exif=turned)
    return folder


class _Kind:
    """Stands for a model: all that ``PredictionInputs`` asks it is whether it takes images."""

    def __init__(self, images):
        self.images = images


def pixels_of_pipeline(monkeypatch, pipeline, images, medium):
    """What the real pipeline makes of a medium, as RGB."""
    from textxfer_mm.apis import prediction_inputs

    monkeypatch.setattr(prediction_inputs, 'takes_images', lambda model: model.images)
    samples = PredictionInputs(_Kind(images), pipeline)(medium)
    if not images:
        return samples[0]['inputs'].numpy()
    return np.stack([sample['inputs'].numpy()[::-1] for sample in samples])  # BGR


def shipped_pipelines():
    """The different test pipelines of the shipped configs."""
    seen, bases = {}, set()
    for name in tiny_configs.CONFIGS:
        text = (tiny_configs.ROOT / name).read_text()
        base = tuple(re.findall(r'datasets/[\w-]+\.py|mmaction::[^\'"]+', text))
        if 'pipeline' not in text and base in bases:
            continue  # loading all of them takes most of a minute
        bases.add(base)
        cfg = load_config(name)
        pipeline = cfg.get('test_pipeline')
        if pipeline:
            seen.setdefault(str(pipeline), (name, cfg))
    return list(seen.values())


def test_shipped_pipelines(monkeypatch, files):
    known = []
    for name, cfg in shipped_pipelines():
        images = cfg.default_scope == 'mmpretrain'
        init_default_scope(cfg.default_scope)
        if not images and cfg.test_pipeline[0].type == 'LoadImageFromFile':  # as frames of a video: nobody predicts so
            with pytest.raises(UserError, match='LoadImageFromFile'):
                plan_of(cfg.test_pipeline, images=False)
            continue
        tiny_configs.shrink_pixels(cfg.test_pipeline)
        plan = plan_of(cfg.test_pipeline, images=images)
        if plan in known:
            continue
        inputs = ExportedInputs(json.loads(json.dumps(plan)))
        landscape = any(step.get('crop_size') == (120, 80) for step in cfg.test_pipeline)
        for medium in ('wide.mp4', *([] if landscape else ['high.mp4']), 'a.png'):
            got = inputs(files / medium)
            np.testing.assert_array_equal(
                got, pixels_of_pipeline(monkeypatch, cfg.test_pipeline, images, files / medium), err_msg=name
            )
        assert frame_shape(plan)[-2:] == got.shape[-2:]
        known.append(plan)
    assert len(known) >= 8


PIPELINES = {
    'three crops of several clips': [
        dict(type='SampleFrames', clip_len=4, frame_interval=3, num_clips=3, test_mode=True),
        dict(type='Resize', scale=(-1, 32)),
        dict(type='ThreeCrop', crop_size=32),
    ],
    'ten crops of frames': [
        dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=5, test_mode=True),
        dict(type='Resize', scale=(-1, 40), interpolation='area'),
        dict(type='TenCrop', crop_size=32),
    ],
    'twice, at a frame rate, the last frame repeated': [
        dict(type='SampleFrames', clip_len=6, frame_interval=2, num_clips=2, twice_sample=True, test_mode=True,
             target_fps=10, out_of_bound_opt='repeat_last'),
        dict(type='Resize', scale=(48, 36), keep_ratio=False, interpolation='lanczos'),
    ],
    'released evaluation': [
        dict(type='SegmentStartSample', clip_len=8, num_clips=4),
        dict(type='PillowResize', short_side=40),
        dict(type='FullResThreeCrop', crop_size=32),
    ],
    'inside a tolerant step': [
        dict(type='UniformSample', clip_len=5, num_clips=2, test_mode=True),
        dict(type='mmaction.Resize', scale=(70, 45)),
        dict(type='CenterCrop', crop_size=(30, 20)),
        dict(type='Flip', flip_ratio=0),
    ],
}  # fmt: skip


@pytest.mark.parametrize('name', PIPELINES)
def test_other_pipelines(monkeypatch, files, name):
    init_default_scope('mmaction')
    sample, *pixels = PIPELINES[name]
    opening = [dict(type='DecordInit'), sample, dict(type='DecordDecode')]
    packing = PACKED
    if name.startswith('inside'):
        opening = [dict(type='TolerantDecode', transforms=opening, test_mode=True)]
    if name.startswith('ten'):
        packing = [dict(type='FormatShape', input_format='NCHW'), PACKED[1]]
    pipeline = [*opening, *pixels, *packing]
    inputs = ExportedInputs(plan_of(pipeline, images=False))
    array = np.random.default_rng(1).integers(0, 256, (9, 64, 80, 3), dtype=np.uint8)
    for medium in (files / 'wide.mp4', files / 'high.mp4', files / 'short.mp4', array, files / 'turned.jpg'):
        wanted = pixels_of_pipeline(monkeypatch, pipeline, False, medium)
        np.testing.assert_array_equal(inputs(medium), wanted)


IMAGE_STEPS = [
    [dict(type='ResizeEdge', scale=40), dict(type='CenterCrop', crop_size=33)],
    [dict(type='ResizeEdge', scale=40, edge='long', backend='pillow'), dict(type='CenterCrop', crop_size=(50, 20))],
    [dict(type='Resize', scale=31)],
    [dict(type='Resize', scale=(60, 50), keep_ratio=True), dict(type='CenterCrop', crop_size=29)],
]


@pytest.mark.parametrize('steps', IMAGE_STEPS, ids=['short', 'long', 'squashed', 'fitted'])
def test_images(monkeypatch, files, steps):
    init_default_scope('mmpretrain')
    pipeline = [dict(type='LoadImageFromFile'), *steps, dict(type='PackInputs')]
    inputs = ExportedInputs(plan_of(pipeline, images=True))
    for name in ('a.png', 'turned.jpg', 'wide.mp4', 'short.mp4'):
        wanted = pixels_of_pipeline(monkeypatch, pipeline, True, files / name)
        np.testing.assert_array_equal(inputs(files / name), wanted)


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        *(('UniformSample', dict(clip_len=t, num_clips=n)) for t, n in ((1, 1), (8, 1), (8, 4), (16, 3))),
        *(
            ('SampleFrames', dict(clip_len=t, frame_interval=i, num_clips=n, out_of_bound_opt=o))
            for t, i, n, o in ((1, 1, 8, 'loop'), (8, 4, 1, 'loop'), (16, 2, 10, 'repeat_last'), (4, 1, 3, 'loop'))
        ),
        ('SampleFrames', dict(clip_len=1, num_clips=3, twice_sample=True)),
        ('SampleFrames', dict(clip_len=8, frame_interval=2, num_clips=4, target_fps=24)),
        *(('SegmentStartSample', dict(clip_len=t, num_clips=n)) for t, n in ((8, 1), (8, 4), (32, 2))),
    ],
)
def test_sampling_of_all_lengths(kind, options):
    init_default_scope('mmaction')
    test_mode = {} if kind == 'SegmentStartSample' else dict(test_mode=True)
    step = TRANSFORMS.build(dict(type=kind, **options, **test_mode))
    for total in (*range(1, 40), 100, 299, 300, 1001):
        for rate in (None, 12.5, 29.97):
            results = dict(total_frames=total, start_index=0) | ({} if rate is None else dict(avg_fps=rate))
            wanted = step(results)['frame_inds']
            np.testing.assert_array_equal(SAMPLERS[kind](total, rate, **options), wanted, err_msg=f'{total} {rate}')


OPENING = [dict(type='DecordInit'), dict(type='UniformSample', clip_len=8, test_mode=True), dict(type='DecordDecode')]


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        ([*OPENING, dict(type='ColorJitter'), *PACKED], r'its step ColorJitter\(\) is none that exported models know'),
        ([*OPENING, dict(type='Flip', flip_ratio=0.5)], r'its step Flip\(flip_ratio=0.5\)'),
        ([*OPENING, dict(type='Normalize', mean=[0])], r'its step Normalize\(mean=\[0\]\)'),
        ([dict(type='OpenCVInit'), *OPENING[1:]], r'its step OpenCVInit\(\)'),
        ([dict(type='DecordInit', io_backend='petrel'), *OPENING[1:]], r"its step DecordInit\(io_backend='petrel'\)"),
        ([OPENING[0], dict(type='UniformSample', clip_len=8)], 'UniformSample is random without test_mode=True'),
        ([dict(type='SampleFrames', clip_len=8, temporal_jitter=True, test_mode=True)], 'temporal_jitter=True'),
        ([*OPENING[:2], dict(type='DecordDecode', mode='efficient')], r"DecordDecode\(mode='efficient'\) gives other"),
        ([*OPENING, dict(type='Resize', scale=(-1, 32), lazy=True)], r'know no Resize\(lazy=True\)'),
        ([*OPENING, dict(type='Resize', scale=(-1, 32), interpolation='best')], "Resize interpolates by 'best'"),
        ([*OPENING, dict(type='FormatShape', input_format='NPTCHW')], r"FormatShape\(input_format='NPTCHW'\)"),
        ([OPENING[0], OPENING[2], *PACKED[1:]], 'none of its steps chooses frames'),
    ],
)
def test_pipelines_that_cannot_be_exported(steps, message):
    with pytest.raises(UserError, match=message) as raised:
        plan_of(steps, images=False)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(imdecode_backend='pillow'), r"LoadImageFromFile\(imdecode_backend='pillow'\)"),
        (dict(color_type='grayscale'), r"LoadImageFromFile\(color_type='grayscale'\)"),
        (dict(to_float32=True), r'LoadImageFromFile\(to_float32=True\)'),
        (dict(io_backend='petrel'), r"its step LoadImageFromFile\(io_backend='petrel'\) is none"),
    ],
)
def test_images_that_are_read_otherwise(options, message):
    """The run time reads images in one way: others would give other pixels without a word."""
    steps = [dict(type='ResizeEdge', scale=40), dict(type='CenterCrop', crop_size=33), dict(type='PackInputs')]
    plan_of([dict(type='LoadImageFromFile'), *steps], images=True)
    with pytest.raises(UserError, match=message):
        plan_of([dict(type='LoadImageFromFile', **options), *steps], images=True)


def test_frames_must_have_one_size():
    plan = plan_of([*OPENING, dict(type='Resize', scale=(-1, 64)), *PACKED], images=False)
    with pytest.raises(UserError, match=r'the size of its frames depends on the video \(.*64 x 85.*CenterCrop'):
        frame_shape(plan)
    with pytest.raises(UserError, match='999 x 999 pixels cannot be cut out of frames of'):
        frame_shape(plan_of([*OPENING, dict(type='CenterCrop', crop_size=999), *PACKED], images=False))


def test_damaged_files(tmp_path):
    inputs = ExportedInputs(plan_of([dict(type='LoadImageFromFile'), dict(type='Resize', scale=9)], images=True))
    (tmp_path / 'a.png').write_bytes(b'no image')
    (tmp_path / 'empty.jpg').touch()
    for name, reason in (('a.png', 'no image of a known format'), ('empty.jpg', 'empty'), ('none.png', 'missing file')):
        with pytest.raises(OSError, match=reason):
            inputs(tmp_path / name)
