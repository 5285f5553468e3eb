"""The released evaluation of Text4Vis written again here, with PIL and torchvision."""

import copy

import numpy as np
import pytest
import torch
import torchvision.transforms as tv
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image
from tiny_configs import leaf, load
from torchvision.transforms import InterpolationMode

import textxfer_mm.register  # noqa: F401
from textxfer_mm.analysis.views import views_of_config
from textxfer_mm.datasets.transforms_released import FullResThreeCrop, PillowResize, SegmentStartSample
from textxfer_mm.errors import UserError

CONFIG = 'text4vis/text4vis_vit-b-16_ttrans_released-evaluation_8xb32-u8-30e_kinetics400-rgb.py'


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmaction')


def reference_indices(length, frames, clips):
    """The frames of all clips, in plain Python."""
    tick = length / float(frames)
    found = []
    for start in np.linspace(0, tick - 1, num=clips, dtype=int).tolist():
        found += [int(start + tick * i) % length for i in range(frames)]
    return found


def sampled(length, frames, clips, first=0):
    step = SegmentStartSample(clip_len=frames, num_clips=clips)
    return step.transform(dict(total_frames=length, start_index=first))


@pytest.mark.parametrize('clips', [1, 2, 4, 10])
@pytest.mark.parametrize('frames', [1, 3, 8, 16, 32])
def test_frames_are_those_of_the_released_code(frames, clips):
    for length in (*range(1, 70), 250, 251, 300, 1799, 100_000):
        found = sampled(length, frames, clips)
        assert found['frame_inds'].tolist() == reference_indices(length, frames, clips), length
        assert (found['clip_len'], found['num_clips'], found['frame_interval']) == (frames, clips, None)


def test_cases_by_hand():
    assert sampled(80, 8, 1)['frame_inds'].tolist() == [0, 10, 20, 30, 40, 50, 60, 70]  # starts, not centres
    assert sampled(10, 4, 1)['frame_inds'].tolist() == [0, 2, 5, 7]
    assert sampled(3, 8, 1)['frame_inds'].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]  # fewer frames than T
    assert sampled(8, 2, 3)['frame_inds'].tolist() == [0, 4, 1, 5, 3, 7]
    assert sampled(4, 8, 2)['frame_inds'].tolist() == [0, 0, 1, 1, 2, 2, 3, 3] + [3, 0, 0, 0, 1, 1, 2, 2]  # wraps
    assert sampled(80, 8, 1, first=1)['frame_inds'].tolist() == [1, 11, 21, 31, 41, 51, 61, 71]  # files count from 1


#: Widths and heights: landscape, portrait, square, smaller and larger than the short side, odd margins.
SIZES = [(340, 256), (256, 340), (320, 240), (241, 427), (64, 33), (256, 256), (455, 256), (300, 300), (1280, 543)]


def clip(size, number=2):
    """Frames with noise and edges, on which filters differ."""
    width, height = size
    frames = np.random.default_rng(width).integers(0, 256, (number, height, width, 3), dtype=np.uint8)
    frames[:, ::4] = 255
    return list(frames)


def reference_crops(frames, size):
    """GroupFullResSample: all frames of the left crop, then of the right one, then of the centre."""
    scale = tv.Resize(256, interpolation=InterpolationMode.BICUBIC)
    images = [scale(Image.fromarray(frame)) for frame in frames]
    width, height = images[0].size
    w_step, h_step = (width - size) // 4, (height - size) // 4
    offsets = [(0 * w_step, 2 * h_step), (4 * w_step, 2 * h_step), (2 * w_step, 2 * h_step)]
    return np.stack([np.array(image.crop((x, y, x + size, y + size))) for x, y in offsets for image in images])


@pytest.mark.parametrize('size', SIZES)
def test_pixels_of_three_crops_are_those_of_pillow(size):
    results = FullResThreeCrop(crop_size=224).transform(PillowResize(short_side=256).transform(dict(imgs=clip(size))))
    np.testing.assert_array_equal(np.stack(results['imgs']), reference_crops(clip(size), 224))
    assert results['img_shape'] == (224, 224)
    assert [box[2] - box[0] for box in results['crop_bbox']] == [224] * 6


@pytest.mark.parametrize('size', SIZES)
def test_pixels_of_the_single_view_are_those_of_torchvision(size):
    steps = Compose(load(CONFIG).val_pipeline[3:5])
    transform = tv.Compose([tv.Resize(256, interpolation=InterpolationMode.BICUBIC), tv.CenterCrop(224)])
    want = np.stack([np.array(transform(Image.fromarray(frame))) for frame in clip(size)])
    np.testing.assert_array_equal(np.stack(steps(dict(imgs=clip(size)))['imgs']), want)


def test_crops_of_portrait_videos_nearly_coincide():
    """As the offsets have it; they do coincide where the width is that of the crop."""
    assert lefts(256, 455, 224) == [0, 32, 16]
    assert lefts(336, 600, 336) == [0, 0, 0]


def lefts(width, height, size):
    frame = np.zeros((height, width, 3), np.uint8)
    return FullResThreeCrop(size).transform(dict(imgs=[frame]))['crop_bbox'][:, 0].tolist()


def test_the_test_pipeline_stacks_the_views_as_the_released_code(tmp_path):
    """Crops outside, clips inside: (12, 3, T, H, W), normalised by nobody yet."""
    cfg = load(CONFIG)
    frames = np.stack(clip((340, 256), 60))
    steps = [
        lambda results: dict(results, total_frames=60),
        dict(cfg.test_pipeline[1]),
        lambda results: dict(results, imgs=list(frames[results['frame_inds']])),
        *map(dict, cfg.test_pipeline[3:]),
    ]
    inputs = Compose(steps)(dict(label=0, start_index=0, modality='RGB'))['inputs']
    indices = reference_indices(60, 8, 4)
    crops = torch.from_numpy(reference_crops(list(frames[indices]), 224))  # (3 * 4 * 8, H, W, 3)
    want = crops.view(3, 4, 8, 224, 224, 3).permute(0, 1, 5, 2, 3, 4).flatten(0, 1)
    assert torch.equal(inputs, want)


def test_the_config_changes_the_views_alone():
    released, plain = load(CONFIG), load(CONFIG.replace('_released-evaluation', ''))
    assert released.model == plain.model
    assert released.train_dataloader == plain.train_dataloader
    for phase in ('val', 'test'):
        loader, other = (copy.deepcopy(cfg[f'{phase}_dataloader']) for cfg in (released, plain))
        assert leaf(loader.dataset).pop('pipeline') != leaf(other.dataset).pop('pipeline')
        assert loader == other
    views = views_of_config(released)
    assert (views.shape, views.clips, views.crops) == ((3, 8, 224, 224), 4, 3)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: SegmentStartSample(clip_len=0), 'whole number of at least 1 as clip_len, got 0'),
        (lambda: SegmentStartSample(clip_len=8, num_clips=2.5), 'as num_clips, got 2.5'),
        (lambda: PillowResize(short_side=(256, 256)), r'as short_side, got \(256, 256\)'),
        (lambda: FullResThreeCrop(crop_size=True), 'as crop_size, got True'),
        (lambda: lefts(200, 300, 224), '224 x 224 pixels out of frames of 200 x 300: resize their short side'),
    ],
)
def test_mistakes_are_told(make, message):
    with pytest.raises(UserError, match=message):
        make()
