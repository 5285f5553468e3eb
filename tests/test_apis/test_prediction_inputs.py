"""Images for models of videos, videos for models of images: the same scores as from the frames themselves."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_images import ARCH, NAMES, image_config
from tiny_runs import write_video

from textxfer_mm.apis import VideoFailure, load_recognizer, predict_videos
from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.apis.prediction_inputs import NUM_FRAMES, PredictionInputs, read_image
from textxfer_mm.engine.frameworks import in_scope
from textxfer_mm.errors import UserError
from textxfer_mm.video.reader import VideoReader


@pytest.fixture(scope='module')
def models():
    """A model of videos and one of images with the same weights."""
    torch.manual_seed(0)
    video = load_recognizer(
        clip_zero_shot_config(ARCH, None, NAMES, templates='a photo of a {}.', num_frames=NUM_FRAMES), device='cpu'
    )
    image = load_recognizer(image_config(), device='cpu')
    image.backbone.load_state_dict(video.backbone.state_dict())
    video.cls_head.class_rows.fill()
    image.head.load_state_dict(video.cls_head.state_dict())
    return video, image


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A video, and an image of random pixels; their short side is the tower's size."""
    folder = tmp_path_factory.mktemp('media')
    write_video(folder / 'a.mp4', 1, frames=20)
    pixels = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / 'a.png')
    return folder


def scores(model, *media):
    return [torch.tensor(prediction.scores) for prediction in predict_videos(model, media)]


def test_an_image_is_a_video_of_one_frame(models, files):
    pixels = read_image(files / 'a.png')
    by_file, by_frames = scores(models[0], files / 'a.png', np.repeat(pixels[None], 5, axis=0))
    torch.testing.assert_close(by_file, by_frames)


def test_both_kinds_of_model_say_the_same_of_an_image(models, files):
    (video,), (image,) = (scores(model, files / 'a.png') for model in models)
    torch.testing.assert_close(image, video, atol=1e-5, rtol=1e-5)


def test_both_kinds_of_model_say_the_same_of_a_video(models, files):
    """A model of images averages the features of the frames, as temporal average pooling does."""
    (video,), (image,) = (scores(model, files / 'a.mp4') for model in models)
    torch.testing.assert_close(image, video, atol=1e-5, rtol=1e-5)
    frames = np.stack(VideoReader(str(files / 'a.mp4')).read(range(20)))
    torch.testing.assert_close(scores(models[1], frames)[0], image)


def test_files_are_read_as_in_the_validation_where_nothing_is_said_of_prediction(models, files):
    cfg = image_config()
    steps = cfg.pop('test_pipeline')
    with pytest.raises(UserError, match='does not say how files are read: it needs the variable `test_pipeline`, or'):
        load_recognizer(cfg, device='cpu')
    listed = dict(type='CustomDataset', data_root='nowhere', pipeline=steps)
    cfg.val_dataloader = dict(dataset=dict(type='FewShotDataset', shots=1, dataset=listed))
    model = load_recognizer(cfg, device='cpu')
    model.load_state_dict(models[1].state_dict())
    (got,), (want,) = (scores(one, files / 'a.png') for one in (model, models[1]))
    torch.testing.assert_close(got, want, atol=0, rtol=0)


def test_a_stock_head_averages_probabilities(files):
    torch.manual_seed(0)
    stock = dict(type='LinearClsHead', num_classes=3, in_channels=32)
    model = load_recognizer(image_config(**stock), device='cpu')
    (got,) = scores(model, files / 'a.mp4')
    with in_scope(model.cfg):
        inputs = PredictionInputs(model, model.cfg.test_pipeline)
    samples = inputs(files / 'a.mp4')
    assert len(samples) == NUM_FRAMES
    each = torch.stack([s.pred_score for s in model.test_step(dict(inputs=[s['inputs'] for s in samples]))])
    assert each.std(0).max() > 0
    torch.testing.assert_close(got, each.mean(0))


@pytest.mark.parametrize('which', [0, 1], ids=['of videos', 'of images'])
def test_what_is_no_image_is_reported(models, files, which):
    (files / 'broken.png').write_text('no image')
    broken, good = predict_videos(models[which], [files / 'broken.png', files / 'a.png'])
    assert isinstance(broken, VideoFailure)
    assert broken.video.endswith('broken.png')
    assert len(good.scores) == 3


def test_images_are_upright(tmp_path):
    image = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(tmp_path / 'a.png', exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / 'a.png'), np.rot90(np.asarray(image), -1))
    image.convert('L').save(tmp_path / 'grey.png')
    assert read_image(tmp_path / 'grey.png').shape == (4, 6, 3)
