"""The datasets of MultiTrain: frames at 30 a second, segments without flips, views, and variants of frames and size."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_configs import ROOT
from tiny_runs import write_dataset

import textxfer_mm.register  # noqa: F401
from textxfer_mm.registry import DATASETS, TRANSFORMS

BASES = ROOT / '_base_' / 'datasets'
NAMES = ['kinetics400', 'kinetics700', 'mit', 'sthv2', 'activitynet']
PHASES = ('train', 'val', 'test')


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmaction')


def load(name):
    return Config.fromfile(BASES / f'multitrain_{name}.py')


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp('videos'), good=2)


def tagged(cfg):
    """All datasets of a config, with their phase: those to choose from, and those of the loaders."""
    for phase in PHASES:
        yield from ((phase, one[phase]) for one in cfg.multitrain.values())
        yield from ((phase, one) for one in cfg[f'{phase}_dataloader'].dataset.datasets)


@pytest.mark.parametrize(('name', 'shape'), [('32x3', (32, 224)), ('16x4', (16, 224)), ('32x3_312px', (32, 312))])
def test_variants_change_all_datasets_alike(name, shape):
    cfg = load(name)
    frames, size = shape
    found = list(tagged(cfg))
    assert len(found) == 3 * (5 + 3)
    for phase, one in found:
        steps = one.dataset.pipeline
        assert steps[1].clip_len == frames
        assert steps[1].get('frame_interval', cfg.frame_interval) == cfg.frame_interval == (4 if frames == 16 else 3)
        spatial = steps[3].transforms if phase == 'train' else steps
        (resize,) = [step for step in spatial if step.type == 'Resize']
        crops = [step for step in spatial if 'crop_size' in step]
        assert all(step.crop_size == size for step in crops)
        assert bool(crops) == (phase != 'train')
        side = size * 8 // 7 if crops and crops[0].type == 'CenterCrop' else size
        assert tuple(resize.scale) == ((size, size) if phase == 'train' else (-1, side))
    for phase in PHASES:
        assert cfg[f'{phase}_pipeline'] == cfg.multitrain.kinetics400[phase].dataset.pipeline
        assert cfg[f'{phase}_dataloader'].dataset.datasets == [
            cfg.multitrain[one][phase] for one in ('kinetics400', 'mit', 'sthv2')
        ]


def test_what_is_special_about_a_dataset():
    cfg = load('32x3')
    assert list(cfg.multitrain) == NAMES
    for name, phases in cfg.multitrain.items():
        kinds = [step.type for step in phases.train.dataset.pipeline[3].transforms]
        assert ('Flip' in kinds) == (name != 'sthv2')
        assert phases.train.dataset.pipeline[1].type == ('UniformSample' if name == 'sthv2' else 'SampleFrames')
        assert 'RandomErasing' in kinds
        views = {'ThreeCrop': 3, 'CenterCrop': 1}
        steps = phases.test.dataset.pipeline
        crops = next(views[step.type] for step in steps if step.type in views)
        assert (crops, steps[1].get('num_clips', 1)) == {'mit': (3, 2), 'sthv2': (3, 1)}.get(name, (1, 5))
        assert all(phases[phase].name == name for phase in PHASES)


def frames_of(step, total, rate):
    return step(dict(total_frames=total, avg_fps=rate, start_index=0))['frame_inds']


@pytest.mark.parametrize('rate', [15.0, 25.0, 30.0, 59.94])
def test_clips_last_as_long_at_any_rate(rate):
    """32 frames, every third at 30 a second, are 3.2 seconds (MultiTrain's released code)."""
    cfg = load('32x3').multitrain.kinetics400
    seconds = 32 * 3 / 30
    train = TRANSFORMS.build(cfg.train.dataset.pipeline[1])
    starts = set()
    for seed in range(20):
        np.random.seed(seed)
        indices = frames_of(train, int(20 * rate), rate)
        starts.add(indices[0])
        expected = indices[0] + np.linspace(0, seconds * rate - 1, 32).astype(int)
        assert np.array_equal(indices, expected)
    assert len(starts) > 5
    test = frames_of(TRANSFORMS.build(cfg.test.dataset.pipeline[1]), int(20 * rate), rate).reshape(5, 32)
    gap = np.floor((int(20 * rate) - seconds * rate) / 4)
    assert np.array_equal(test[:, 0], gap * np.arange(5))


def test_a_short_video_repeats_its_last_frame():
    cfg = load('32x3').multitrain.mit
    for phase in PHASES:
        indices = frames_of(TRANSFORMS.build(cfg[phase].dataset.pipeline[1]), 50, 30.0).reshape(-1, 32)
        assert (indices[:, -16:] == 49).all()
        assert (np.diff(indices) >= 0).all()


def test_segments_are_drawn_in_training_and_their_middle_is_tested():
    cfg = load('32x3').multitrain.sthv2
    draws = {tuple(frames_of(TRANSFORMS.build(cfg.train.dataset.pipeline[1]), 100, 12.0)) for _ in range(5)}
    assert len(draws) > 1
    segment = 99 / 32
    for draw in draws:
        assert all(round(i * segment) <= frame <= round((i + 1) * segment) for i, frame in enumerate(draw))
    middle = frames_of(TRANSFORMS.build(cfg.test.dataset.pipeline[1]), 100, 12.0)
    released = [(round(i * segment) + round((i + 1) * segment)) // 2 for i in range(32)]
    assert np.abs(middle - released).max() <= 1


@pytest.mark.parametrize('phase', PHASES)
def test_real_batches(videos, phase):
    """Decoded, augmented, repeated and tagged, as a run would have them; at a tiny size."""
    cfg = load('16x4')
    loader = copy.deepcopy(cfg[f'{phase}_dataloader'])
    loader.update(num_workers=0, batch_size=6)
    loader.pop('worker_init_fn')
    for one in loader.dataset.datasets:
        one.dataset.update(ann_file=str(videos), data_prefix=dict(video=str(videos.parent)))
        if one.class_names is not None:
            assert len(DATASETS.build(dict(one, lazy_init=True)).class_names) in (400, 174)
        one.class_names = ['dark', 'bright']
        steps = one.dataset.pipeline
        for step in steps[3].transforms if phase == 'train' else steps:
            if step.type == 'Resize':
                step.scale = tuple(min(side, 32) for side in step.scale)
            if 'crop_size' in step:
                step.crop_size = 32
    batches = list(Runner.build_dataloader(loader, seed=0))
    if phase == 'train':
        (batch,) = batches
        assert torch.stack(batch['inputs']).shape == (12, 1, 3, 16, 32, 32)
        assert sorted(one.dataset_name for one in batch['data_samples']) == sorted(['kinetics400', 'mit', 'sthv2'] * 4)
        return
    views = dict(val=[1, 1, 1], test=[5, 6, 3])[phase]
    assert [[tuple(one.shape) for one in batch['inputs']] for batch in batches] == [
        [(count, 3, 16, 32, 32)] * 2 for count in views
    ]
