"""Windows over a video: the scores of prediction for each alone, from frames that are decoded and encoded once."""

import csv
import io
import json
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import TINY_RESNET
from tiny_images import ARCH, NAMES, image_config
from tiny_runs import write_corrupt
from video_kinds import encode

from textxfer_mm.apis import Timeline, load_recognizer, predict_videos, timeline
from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.apis.prediction_inputs import PredictionInputs
from textxfer_mm.apis.sliding import encoder_of, plan
from textxfer_mm.apis.sliding.windows import length_of, own_window, place_windows
from textxfer_mm.apis.timelines import Segment, as_csv, as_dict, as_webvtt
from textxfer_mm.apis.timelines.segments import cell_edges, find_segments, smooth
from textxfer_mm.datasets.toy_actions.clip import render_clip
from textxfer_mm.engine.frameworks import embeddings_of, features_of, in_scope
from textxfer_mm.errors import UserError
from textxfer_mm.video.index import VideoFacts
from textxfer_mm.video.reader import Shown, VideoReader

RESNET = {**TINY_RESNET, 'preprocess_cfg': ARCH['preprocess_cfg']}
RATE = 25  # of the videos that `encode` writes


def clip_config(arch=ARCH, **changes):
    """Bare CLIP with changed parts."""
    cfg = clip_zero_shot_config(arch, None, NAMES, templates='{}', num_frames=4)
    cfg.merge_from_dict(changes)
    return cfg


def of_frames(cfg):
    """A 2-D recognizer of the same parts: frames one by one, and an average in the head."""
    cfg.model.type, cfg.model.neck = 'Recognizer2D', None
    cfg.model.data_preprocessor.format_shape = 'NCHW'
    cfg.model.cls_head.num_segments = 4
    cfg.test_pipeline[1] = dict(type='SampleFrames', clip_len=1, num_clips=4, test_mode=True)
    cfg.test_pipeline[-2].input_format = 'NCHW'
    return cfg


def with_views(cfg):
    """Two clips a window and three crops of each, averaged as probabilities."""
    if cfg.test_pipeline[1]['clip_len'] > 1:
        cfg.test_pipeline[1]['num_clips'] = 2
    cfg.test_pipeline[3:5] = [dict(type='Resize', scale=(-1, 32)), dict(type='ThreeCrop', crop_size=32)]
    cfg.model.cls_head.average_clips = 'prob'
    return cfg


def of_intervals(cfg):
    """Frames at a fixed interval instead of some spread over the window."""
    cfg.test_pipeline[1] = dict(type='SampleFrames', clip_len=4, frame_interval=3, num_clips=2, test_mode=True)
    return cfg


MIXING = {'model.neck': dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=2)}
MODELS = {
    'average': (lambda: clip_config(), True),
    'T-Trans': (lambda: clip_config(**MIXING), True),
    'intervals': (lambda: of_intervals(clip_config(**MIXING)), True),
    'views': (lambda: with_views(clip_config()), True),
    '2-D': (lambda: of_frames(clip_config()), True),
    '2-D, views': (lambda: with_views(of_frames(clip_config())), True),
    'token T1D': (lambda: clip_config(**{'model.backbone.temporal': dict(type='TokenT1D')}), False),
    'T1D, views': (
        lambda: with_views(
            clip_config(
                RESNET,
                **{'model.backbone.temporal': dict(type='T1D', init='shift')},
            )
        ),
        False,
    ),
    'images': (image_config, True),
}


def built(cfg):
    torch.manual_seed(0)
    model = load_recognizer(cfg, device='cpu')
    model.init_weights()
    return model


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Noise that becomes brighter, 90 frames."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 100, (90, 48, 96, 3), dtype=np.uint8) + np.arange(90, dtype=np.uint8)[:, None, None, None]
    return encode(tmp_path_factory.mktemp('videos') / 'a.mp4', 'h264_mp4', frames)


@pytest.mark.parametrize('name', MODELS)
def test_scores_are_those_of_prediction_for_each_window_alone(name, video, monkeypatch):
    make, shares_frames = MODELS[name]
    model = built(make())
    pixels = VideoReader(str(video)).read(range(90))
    encoded = Counter()
    encoder_class = type(encoder_of(model))
    encode_frames = encoder_class.encode
    decoded = []

    def counting(self, frames):
        for frame in frames:
            decoded.append(frame.tobytes())
        return encode_frames(self, frames)

    monkeypatch.setattr(encoder_class, 'encode', counting)
    model.backbone.register_forward_pre_hook(lambda _, args: encoded.update(frames=args[0].numel() // (3 * 32 * 32)))
    found = timeline(model, video, window=0.8, stride=0.3)
    seen = encoded['frames']
    assert isinstance(found, Timeline)
    starts = [0.3 * i for i in range(10)] + [2.8]  # 3.6 s: the last window ends where the video ends
    np.testing.assert_allclose(found.starts, starts, atol=1e-6)
    windows = [pixels[round(start * RATE + 0.49) :][:20] for start in starts]
    alone = np.array([prediction.scores for prediction in predict_videos(model, windows)])
    assert np.abs(alone[0] - alone[-1]).max() > 1e-3  # windows differ by more than what is allowed below
    np.testing.assert_allclose(found.scores, alone, atol=1e-5)
    assert len(decoded) == len(set(decoded))
    assert encoder_of(model).shares_frames == shares_frames
    if shares_frames:
        crops = 3 if 'views' in name else 1
        assert seen == crops * len(decoded)
        assert found.encoded == len(decoded)
    else:
        assert any('windows were encoded whole' in note for note in found.notes)


@pytest.mark.parametrize('name', MODELS)
def test_embeddings_are_those_of_each_window_alone(name, video):
    """What the head compares with class rows, averaged over views, of the frames of a window and nothing else."""
    model = built(MODELS[name][0]())
    pixels = VideoReader(str(video)).read(range(90))
    with in_scope(model.cfg):
        encoder = encoder_of(model)
        places = plan.Plan(str(video), encoder, 0.8, 0.6)
        found = torch.cat(list(plan.over_windows(places, places.read(), encoder, encoder.embed, 7)))
        make = PredictionInputs(model, model.cfg.test_pipeline)
        alone = []
        for first, last in zip(places.windows.first, places.windows.last, strict=True):
            features, _ = features_of(model, make(pixels[first:last]))
            alone.append(embeddings_of(model, features).detach().mean(0))
    assert found.shape == (6, len(alone[0]))
    assert (alone[0] - alone[-1]).abs().max() > 1e-3
    torch.testing.assert_close(found, torch.stack(alone), atol=1e-5, rtol=1e-4)


def test_the_own_window_of_a_model_lets_windows_share_frames(video):
    found = timeline(built(clip_config()), video)
    # 4 parts of 12 frames in 49, and a window every 24 of them: each but the last shares 2 of its 4 frames
    assert (found.window, found.stride) == pytest.approx((49 / RATE, 24 / RATE))
    found = timeline(built(of_intervals(clip_config())), video)
    assert (found.window, found.stride) == pytest.approx((10 / RATE, 6 / RATE))
    assert found.encoded <= 2 + 2 * len(found.starts) + 2


class EndlessReader:
    """A video of any length that is nowhere."""

    def __init__(self, frames):
        self.facts = VideoFacts('', '', 64, 32, RATE, frames, frames, '', is_plain=True)

    def __len__(self):
        return self.facts.frames

    def seconds(self):
        return np.arange(len(self)) / RATE

    def stream(self, numbers):
        for number in numbers.tolist():
            yield Shown(number, np.full((32, 64, 3), number % 256, np.uint8), False)


@pytest.mark.parametrize('name', ['average', 'token T1D'])
def test_what_is_kept_does_not_grow_with_the_length(name, monkeypatch):
    buffers = []

    class Watched(plan.FrameBuffer):
        def __init__(self):
            super().__init__()
            buffers.append(self)

    monkeypatch.setattr(plan, 'FrameBuffer', Watched)
    model = built(MODELS[name][0]())
    for frames in (200, 3000):
        monkeypatch.setattr(plan, 'open_video', lambda *_, frames=frames, **__: EndlessReader(frames))
        found = timeline(model, 'endless.mp4', window=1, stride=0.5, batch_size=4)
        assert len(found.starts) == frames // 12.5 - 1
    assert buffers[0].peak == buffers[1].peak <= 4 + 2 * 4


def test_two_motions_one_after_the_other(tmp_path):
    """Class rows are the directions from the features of the one motion to those of the other."""
    clips = [render_clip(action, (0, 0)).frames[..., ::-1] for action in ('running to the left', 'standing still')]
    clips = [np.concatenate([clip] * 3)[:60] for clip in clips]
    file = encode(tmp_path / 'a.mp4', 'h264_mp4', np.concatenate(clips))
    cfg = clip_zero_shot_config(ARCH, None, ['running', 'standing'], templates='{}', num_frames=4)
    model = built(cfg)
    model.cls_head.class_rows.fill()
    encoder = encoder_of(model)
    one, two = (
        torch.nn.functional.normalize(torch.stack(encoder.encode(list(clip))).flatten(1).mean(0), dim=0)
        for clip in clips
    )
    rows = torch.nn.functional.normalize(torch.stack([one - two, two - one]), dim=1)
    model.cls_head.class_rows.weight.data.copy_(rows)
    found = timeline(model, file, window=0.4, stride=0.2, threshold=0.5, smoothing=0.4, min_length=0.5)
    assert [segment.label for segment in found.segments] == ['running', 'standing']
    first, second = found.segments
    assert (first.start, second.end) == (0, pytest.approx(120 / RATE))
    assert first.end == second.start == pytest.approx(60 / RATE, abs=0.25)
    assert min(first.score, second.score) > 0.6
    stern = timeline(model, file, window=0.4, stride=0.2, threshold=0.99).segments  # the window across is neither
    assert [segment.shown_label for segment in stern] == ['running', 'none of these', 'standing']


def test_several_labels_at_once(video):
    model = built(clip_config(**{'model.cls_head.multi_class': True}))
    found = timeline(model, video)
    assert found.threshold == 0.5
    model.cls_head.class_rows.fill()
    assert all(segment.label for segment in timeline(model, video, threshold=0.0).segments)
    assert {s.label for s in timeline(model, video, threshold=0.0).segments} == set(NAMES)


def test_a_window_that_is_longer_than_the_video_is_the_video(video):
    model = built(clip_config())
    found = timeline(model, video, window=60)
    assert (found.starts.tolist(), found.ends.tolist()) == ([0], [pytest.approx(3.6)])
    assert found.window == pytest.approx(3.6)
    assert found.notes == ('The video is 3.60 s long, shorter than the window of 60.00 s: it is one window.',)
    (alone,) = predict_videos(model, [str(video)])
    np.testing.assert_allclose(found.scores[0], alone.scores, atol=1e-5)


def test_places_of_windows():
    seconds = np.arange(100) / 10
    windows = place_windows(seconds, 10.0, 2.0, 1.5)
    np.testing.assert_allclose(windows.starts, [0, 1.5, 3, 4.5, 6, 7.5, 8])
    np.testing.assert_array_equal(windows.first, [0, 15, 30, 45, 60, 75, 80])
    np.testing.assert_array_equal(windows.last, [20, 35, 50, 65, 80, 95, 100])
    even = place_windows(seconds, 10.0, 2.0, 2.0)
    assert even.starts.tolist() == [0, 2, 4, 6, 8]
    sparse = place_windows(seconds, 10.0, 1.0, 4.0)
    np.testing.assert_allclose(sparse.starts, [0, 4, 8, 9])
    late = place_windows(seconds + 5, 15.0, 2.0, 4.0)
    np.testing.assert_allclose(late.starts, [5, 9, 13])
    np.testing.assert_array_equal(late.first, [0, 40, 80])


def test_windows_of_a_video_that_stands_still():
    """Frame 2 is shown from 0.2 s to 3 s."""
    seconds = np.array([0.0, 0.1, 0.2, 3.0, 3.1])
    windows = place_windows(seconds, 3.2, 1.0, 1.0)
    np.testing.assert_allclose(windows.starts, [0, 1, 2, 2.2])
    assert list(zip(windows.first.tolist(), windows.last.tolist(), strict=True)) == [(0, 3), (2, 3), (2, 3), (3, 5)]
    assert length_of(seconds, 10) == pytest.approx(3.2)
    assert length_of(seconds[:1], 0) == pytest.approx(0.04)


def test_own_windows():
    sample = dict(type='SampleFrames', clip_len=8, frame_interval=4, num_clips=10, test_mode=True)
    window, stride, (step,) = own_window([sample], 25)
    assert (window, stride, step['num_clips'], sample['num_clips']) == (29 / 25, 16 / 25, 1, 10)
    assert own_window([dict(sample, target_fps=10)], 25)[:2] == (3.2, 1.6)
    assert own_window([dict(type='SampleFrames', clip_len=1, num_clips=8)], 25)[:2] == (2, 1)
    assert own_window([dict(type='UniformSample', clip_len=8)], 30)[:2] == (65 / 30, 32 / 30)
    assert own_window([dict(type='UniformSample', clip_len=32)], 10)[:2] == (33 / 10, 16 / 10)


def test_smoothing_is_the_mean_over_the_windows_near_by():
    rng = np.random.default_rng(0)
    middles, scores = np.sort(rng.uniform(0, 20, 40)), rng.random((40, 3))
    naive = [scores[np.abs(middles - middle) <= 1.5].mean(0) for middle in middles]
    np.testing.assert_allclose(smooth(scores, middles, 3.0), naive)
    np.testing.assert_allclose(smooth(scores, middles, 0.0), scores)


def segments(rows, names='ab', **options):
    scores = np.array(rows)
    found = find_segments(scores, np.arange(len(scores) + 1.0), list(names), **options)
    return [(s.label, s.start, s.end, pytest.approx(s.score)) for s in found]


def test_segments_of_one_label_at_a_time():
    rows = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.55, 0.45], [0.5, 0.5]]
    assert segments(rows, threshold=0) == [('a', 0, 2, 0.8), ('b', 2, 3, 0.8), ('a', 3, 5, 0.525)]
    assert segments(rows, threshold=0.6) == [('a', 0, 2, 0.8), ('b', 2, 3, 0.8), (None, 3, 5, 0.525)]


def test_short_segments_go_to_the_better_neighbour():
    rows = [[0.9, 0.1, 0], [0.9, 0.1, 0], [0.1, 0.3, 0.6], [0.1, 0.9, 0], [0.1, 0.9, 0]]
    assert [s[:3] for s in segments(rows, 'abc', threshold=0, min_length=2)] == [('a', 0, 2), ('b', 2, 5)]
    inside = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.9, 0.1], [0.9, 0.1]]
    assert segments(inside, threshold=0, min_length=1.5) == [('a', 0, 5, pytest.approx(0.8))]
    lone = [[0.2, 0.3], [0.9, 0.1], [0.2, 0.3]]
    assert [s[:3] for s in segments(lone, threshold=0.5, min_length=2)] == [(None, 0, 3)]
    assert [s[:3] for s in segments([[0.9, 0.1]], threshold=0, min_length=5)] == [(None, 0, 1)]


def test_segments_of_several_labels():
    rows = [[0.9, 0.8], [0.9, 0.1], [0.1, 0.2], [0.1, 0.7]]
    found = segments(rows, threshold=0.5, several=True)
    assert found == [('b', 0, 1, 0.8), ('a', 0, 2, 0.9), (None, 2, 3, 0.2), ('b', 3, 4, 0.7)]
    longer = segments(rows, threshold=0.5, several=True, min_length=2)
    assert [s[:3] for s in longer] == [('a', 0, 2), (None, 2, 4)]


def made(segments, names=('a <b> & c', 'x')):
    starts = np.array([0.0, 3600.0])
    scores = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
    options = dict(window=2.0, stride=1.0, threshold=0.5, frames=10, encoded=5, notes=('a note',))
    return Timeline('v.mp4', names, starts=starts, ends=starts + 2, scores=scores, segments=tuple(segments), **options)


def test_files():
    found = made([Segment('a <b> & c', 0.0, 59.9996, 0.75), Segment(None, 59.9996, 3602.0, 0.4)])
    assert as_webvtt(found) == 'WEBVTT\n\n00:00:00.000 --> 00:01:00.000\na &lt;b&gt; &amp; c (75 %)\n'
    rows = list(csv.reader(io.StringIO(as_csv(found))))
    assert rows[1:] == [
        ['0.000', '60.000', 'a <b> & c', '0.750000'],
        ['60.000', '3602.000', 'none of these', '0.400000'],
    ]
    data = json.loads(json.dumps(as_dict(found), allow_nan=False))
    assert data['segments'][1] == dict(label=None, start=60.0, end=3602.0, score=0.4)
    assert data['windows'] == dict(start=[0, 3600], end=[2, 3602], scores=[[0.75, 0.25], [0.5, 0.5]])
    np.testing.assert_allclose(found.edges, [0, 1801, 3602])
    np.testing.assert_allclose(cell_edges(np.array([0.0]), np.array([3.0])), [0, 3])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(window=0), 'window 0 is no length of time: give seconds above 0.'),
        (dict(window=float('nan')), 'window nan is no length'),
        (dict(stride=-1), 'stride -1 is no length of time'),
        (dict(stride=0.01), r'stride 0.01 is less than a frame of .* takes \(0.04 s\): give more.'),
        (dict(smoothing=-1), 'smoothing -1 is no length of time: give seconds, 0 for none.'),
        (dict(min_length=float('inf')), 'min_length inf is no length'),
        (dict(threshold=1.5), 'threshold 1.5 is no score: scores are from 0 to 1'),
    ],
)
def test_wrong_options(video, options, message):
    with pytest.raises(UserError, match=message):
        timeline(built(clip_config()), video, **options)


@pytest.mark.parametrize('kind', ['text', 'missing', 'empty'])
def test_files_that_are_no_video(tmp_path, kind):
    write_corrupt(tmp_path / 'a.mp4', kind)
    with pytest.raises(UserError, match=r'^cannot decode .*a\.mp4 \(.*\)\.$'):
        timeline(built(clip_config()), tmp_path / 'a.mp4')
    with pytest.raises(UserError, match='is an image, which has no timeline'):
        timeline(built(clip_config()), tmp_path / 'a.png')


def test_pipelines_whose_frames_belong_together(video):
    cfg = clip_config()
    cfg.test_pipeline[-2] = dict(type='FormatShape', input_format='NCTHW', collapse=True)
    with pytest.raises(UserError, match='cannot be prepared one by one'):
        timeline(built(cfg), video)
    assert isinstance(cfg, Config)
