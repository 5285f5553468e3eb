"""Bare CLIP as a config: frames reach the tower in the way its weights were trained with."""

import numpy as np
import open_clip
import pytest
from mmaction.registry import TRANSFORMS
from mmengine.registry import init_default_scope
from open_clip.transform import image_transform
from PIL import Image
from tiny import TINY_VIT

from textxfer_mm.apis import clip_zero_shot_config
from textxfer_mm.errors import UserError

CASES = [
    ('ViT-B-16-quickgelu', 'openai', 'bicubic', 'shortest', 224),
    ('ViT-B-16-SigLIP-256', 'webli', 'bicubic', 'squash', 256),
    ('MobileCLIP-S1', 'datacompdr', 'bilinear', 'shortest', 256),
]


def resize_steps(arch, pretrained):
    pipeline = clip_zero_shot_config(arch, pretrained, ['a', 'b']).test_pipeline
    return [step for step in pipeline if step['type'] in ('Resize', 'CenterCrop')]


@pytest.mark.parametrize(('arch', 'pretrained', 'interpolation', 'mode', 'size'), CASES)
def test_frames_are_resized_as_the_weights_want(arch, pretrained, interpolation, mode, size):
    init_default_scope('mmaction')
    steps = resize_steps(arch, pretrained)
    assert steps[0]['interpolation'] == interpolation
    rows, columns = np.mgrid[0:300, 0:400]
    frame = np.stack([rows * 255 / 299, columns * 255 / 399, 0 * rows], -1).astype(np.uint8)  # smooth: no aliasing
    results = dict(imgs=[frame], img_shape=(300, 400), modality='RGB')
    for step in steps:
        results = TRANSFORMS.build(dict(step))(results)
    transform = image_transform(
        size, is_train=False, mean=(0, 0, 0), std=(1, 1, 1), resize_mode=mode, interpolation=interpolation
    )
    expected = 255 * transform(Image.fromarray(frame)).permute(1, 2, 0).numpy()
    assert results['imgs'][0].shape == expected.shape == (size, size, 3)
    assert np.abs(results['imgs'][0] - expected).max() < 3


def test_what_cannot_be_known_is_not_guessed(tmp_path):
    (tmp_path / 'plain.pt').touch()
    with pytest.raises(UserError, match=r'Which interpolation and resize_mode .*plain\.pt of ViT-H-14 want'):
        clip_zero_shot_config('ViT-H-14', str(tmp_path / 'plain.pt'), ['a', 'b'])


def test_padded_frames_are_refused(monkeypatch):
    padded = dict(mean=[0.5] * 3, std=[0.5] * 3, resize_mode='longest')
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, 'Padded', {**TINY_VIT, 'preprocess_cfg': padded})
    with pytest.raises(UserError, match="The weights of Padded want frames resized as 'longest'"):
        clip_zero_shot_config('Padded', None, ['a', 'b'])
