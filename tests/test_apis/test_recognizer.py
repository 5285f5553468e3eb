"""One object for files and arrays: batches, processes that decode ahead, and what a file may cost."""

import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_images import ARCH, NAMES, image_config
from tiny_runs import write_corrupt, write_video

from textxfer_mm.apis import Recognizer, VideoFailure, load_recognizer, predict_videos
from textxfer_mm.apis.decoding_ahead import decode_ahead, default_workers
from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.apis.prediction_inputs import PredictionInputs, read_image
from textxfer_mm.engine.classes import rows_of
from textxfer_mm.engine.frameworks import in_scope
from textxfer_mm.errors import UserError
from textxfer_mm.video.reader import VideoReader


@pytest.fixture(scope='module')
def models():
    """A model of videos with two views, and one of images."""
    torch.manual_seed(0)
    cfg = clip_zero_shot_config(ARCH, None, NAMES, num_frames=4)
    cfg.test_pipeline[1] = dict(type='SampleFrames', clip_len=4, frame_interval=1, num_clips=2, test_mode=True)
    return load_recognizer(cfg, device='cpu'), load_recognizer(image_config(), device='cpu')


@pytest.fixture(scope='module')
def media(tmp_path_factory):
    """Six videos, an image between them, and two files that cannot be decoded."""
    folder = tmp_path_factory.mktemp('media')
    files = [folder / f'{number}.mp4' for number in range(6)]
    for number, file in enumerate(files):
        write_video(file, number % 2, frames=9 + number, seed=number)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 64, 3), dtype=np.uint8)).save(folder / 'a.png')
    write_corrupt(folder / 'bad.mp4', 'truncated')
    return [*files[:2], folder / 'bad.mp4', files[2], folder / 'a.png', *files[3:], folder / 'none.mp4']


def close(found, wanted):
    """Whether results say the same."""
    assert [type(result) for result in found] == [type(result) for result in wanted]
    assert [result.video for result in found] == [result.video for result in wanted]
    for result, other in zip(found, wanted, strict=True):
        if isinstance(result, VideoFailure):
            assert result == other
        else:
            assert result.class_names == other.class_names
            assert result.scores == pytest.approx(other.scores, abs=1e-5)


@pytest.mark.parametrize('which', [0, 1], ids=['of videos', 'of images'])
def test_batches_and_processes_change_nothing(models, media, which):
    """Each alone, against batches of mixed shapes that other processes decode; in order, failures in their place."""
    one_by_one = list(predict_videos(models[which], iter(media)))
    assert [r.video for r in one_by_one if isinstance(r, VideoFailure)] == [str(media[2]), str(media[-1])]
    assert one_by_one[-1].reason == 'missing file'
    for options in (dict(batch_size=4, workers=2), dict(batch_size=100, workers=1), dict(workers=0)):
        close(Recognizer(models[which], **options)(media), one_by_one)


def test_batches_hold_clips(models, media, monkeypatch):
    """Two views a video: eight clips are four videos."""
    sizes = []
    step = models[0].test_step
    monkeypatch.setattr(models[0], 'test_step', lambda data: sizes.append(len(data['inputs'])) or step(data))
    videos = [file for file in media if file.name[0].isdigit()]
    Recognizer(models[0], workers=0)(videos)
    assert sizes == [4, 2]


def test_arrays_and_paths(models, media):
    recognizer = Recognizer(models[0])
    frames = VideoReader(str(media[0])).read(range(9))
    by_path, by_array = recognizer(media[0]), recognizer(frames)
    assert by_array.video == 'array 0'
    assert by_array.scores == pytest.approx(by_path.scores, abs=1e-5)
    both = recognizer([str(media[0]), frames, read_image(media[4])[None]])
    assert [result.video for result in both] == [str(media[0]), 'array 1', 'array 2']
    assert both[2].scores == pytest.approx(recognizer(media[4]).scores, abs=1e-5)
    assert recognizer([]) == []
    with pytest.raises(UserError, match=r'array 1 has shape \(2, 2, 3\)'):
        recognizer([frames, frames[0, :2, :2]])


def test_a_file_that_kills_its_process_costs_itself(models, media, monkeypatch):
    """The others are decoded, in order."""
    with in_scope(models[0].cfg):
        inputs = PredictionInputs(models[0], models[0].cfg.test_pipeline)
    killer = str(media[1])
    parent = os.getpid()

    class Deadly:
        def __call__(self, medium):
            if str(medium) == killer:
                assert os.getpid() != parent
                os.kill(os.getpid(), signal.SIGKILL)
            return inputs(medium)

    before = signal.getsignal(signal.SIGCHLD)
    found = list(decode_ahead(Deadly(), media, 2))
    assert [item.position for item in found] == list(range(len(media)))
    reasons = {media[item.position].name: item.reason for item in found if item.samples is None}
    assert set(reasons) == {'1.mp4', 'bad.mp4', 'none.mp4'}
    assert reasons['1.mp4'] == 'it kills the process that decodes it'
    assert signal.getsignal(signal.SIGCHLD) == before


def test_an_error_of_a_step_is_no_failure_of_a_file(models):
    def broken(medium):
        raise ImportError('no such library')

    for workers in (0, 1):
        with pytest.raises(ImportError, match='no such library'):
            list(decode_ahead(broken, ['a.mp4'], workers))


def test_what_a_model_is_given_as(tmp_path, media, monkeypatch):
    """A config and a checkpoint by their names give what the built model gives; names of CLIP models need labels."""
    torch.manual_seed(0)
    cfg = clip_zero_shot_config(ARCH, None, NAMES)
    cfg.dump(tmp_path / 'a.py')
    model = load_recognizer(cfg, device='cpu')
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), tmp_path / 'a.pth')
    wanted = Recognizer(model)(media[0])
    for given in (
        dict(model=tmp_path / 'a.pth'),
        dict(model=str(tmp_path / 'a.py'), checkpoint=tmp_path / 'a.pth'),
        dict(model=cfg, checkpoint=tmp_path / 'a.pth'),
    ):
        recognizer = Recognizer(**given, device='cpu')
        assert recognizer.class_names == tuple(NAMES)
        close([recognizer(media[0])], [wanted])
    other = Recognizer(tmp_path / 'a.pth', labels=['one', 'two'], device='cpu')
    assert other(media[0]).class_names == ('one', 'two')


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(), 'Say which labels to look for'),
        (dict(model='ViT-B-32-quickgelu'), 'Say which labels to look for'),
        (dict(model='ViT-B-33', labels=['a', 'b']), "Unknown CLIP architecture 'ViT-B-33'. Did you mean"),
        (dict(model='none.pth'), 'none.pth'),
        (dict(model='ViT-B-32', checkpoint='a.pth', labels=['a', 'b']), 'goes without a config and a checkpoint'),
        (dict(labels=['a', 'a']), 'Duplicate class names'),
        (dict(labels=['a', 'b'], batch_size=0), 'batch_size=0: give 1 or more'),
    ],
)
def test_mistakes(given, message):
    with pytest.raises(UserError, match=message):
        Recognizer(**given)


def test_a_built_model_takes_no_labels(models):
    with pytest.raises(UserError, match='belong to a model that is still to be built'):
        Recognizer(models[0], labels=['a', 'b'])


def test_mixed_precision(models, media):
    """bfloat16 reaches the backbone, and the scores are float32 near those of full precision."""
    seen = []
    hook = models[0].backbone.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    try:
        half, full = (Recognizer(models[0], amp=amp)(media[0]) for amp in (True, False))
    finally:
        hook.remove()
    assert seen == [torch.bfloat16, torch.float32]
    assert half.scores != full.scores
    assert half.scores == pytest.approx(full.scores, abs=0.1)
    assert sum(half.scores) == pytest.approx(1, abs=1e-5)


def test_how_many_processes(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(8))
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    assert [default_workers(number, False) for number in (1, 3, 4, 100)] == [0, 0, 2, 4]
    assert default_workers(100, True) == 8
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    assert default_workers(100, True) == 2


def test_frames_are_those_that_the_model_sees(models, media, monkeypatch):
    """What goes through the backbone, taken back to pixels: of the first of two views; of eight images, whole."""
    seen = []
    for model, count in zip(models, (4, 8), strict=True):
        hook = model.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        frames = Recognizer(model).frames(media[0])
        assert not seen  # no forward pass
        Recognizer(model)(media[0])
        hook.remove()
        assert frames.dtype == np.uint8
        assert frames.shape == (count, 32, 32, 3)
        inputs = seen.pop()
        inputs = inputs if inputs.ndim == 4 else inputs[0].transpose(0, 1)  # (T, 3, H, W) of the first view
        mean, std = (getattr(model.data_preprocessor, name).view(3, 1, 1) for name in ('mean', 'std'))
        pixels = (inputs * std + mean).permute(0, 2, 3, 1).numpy()
        assert np.abs(pixels - frames).max() < 0.01
    assert Recognizer(models[1]).frames(media[4]).shape == (1, 32, 32, 3)
    assert Recognizer(models[0]).frames(read_image(media[4])[None]).shape == (4, 32, 32, 3)
    with pytest.raises(UserError, match=r'none\.mp4 could not be decoded: missing file'):
        Recognizer(models[0]).frames(media[-1])


def test_frames_of_a_2d_recognizer_are_those_of_the_first_crop(models):
    steps = [dict(type='ThreeCrop', crop_size=32)]
    inputs = PredictionInputs(models[0], [*steps, dict(type='PackActionInputs')])
    frames = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, 2, 2)  # crops * T
    assert inputs.frames_of([dict(inputs=frames)])[:, 0, 0, 0].tolist() == [0, 1]
    for wrong, told in ((torch.zeros(2, 3, 4, 4), 'float32'), (torch.zeros(1, 17, 3, 4, 4).byte(), 'uint8')):
        with pytest.raises(UserError, match=f'The frames cannot be shown: .* of type {told}'):
            inputs.frames_of([dict(inputs=wrong)])


def test_other_classes_for_a_built_model(models, media):
    recognizer = Recognizer(models[0])
    before = recognizer(media[0])
    own = rows_of(models[0]).bundle()
    try:
        recognizer.replace_classes(rows_of(models[0]).make_for(['one', 'two']))
        assert recognizer(media[0]).class_names == ('one', 'two')
    finally:
        recognizer.replace_classes(own)
    assert recognizer(media[0]) == before
    closed = load_recognizer(image_config(type='LinearClsHead', in_channels=32, num_classes=3), device='cpu')
    with pytest.raises(UserError, match='ImageClassifier classifies by a learned layer: its classes are its own'):
        Recognizer(closed).replace_classes(own)
