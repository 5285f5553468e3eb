"""What one video becomes in testing: the shape of a view, and how many views there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose

from textxfer_mm.engine.frameworks import enter_scope
from textxfer_mm.errors import UserError

#: The video that stands in for a real one: 4:3, long enough for any sampling.
HEIGHT, WIDTH, NUM_FRAMES = 240, 320, 1000

_CROPS = {'ThreeCrop': 3, 'FullResThreeCrop': 3, 'TenCrop': 10}


@dataclass(frozen=True)
class Views:
    """The views of one video.

    Attributes:
        shape: What the model takes for one view: (3, T, H, W), (T, 3, H, W) for 2-D recognizers, (3, H, W) for images.
        clips: Temporal clips.
        crops: Spatial crops.
    """

    shape: tuple[int, ...]
    clips: int = 1
    crops: int = 1


def views_of_config(cfg: Config) -> Views:
    """Run the test pipeline of a config on a black video of 320 x 240 pixels.

    Raises:
        UserError: There is no test pipeline, or it does not make frames.
    """
    pipeline = _test_pipeline(cfg)
    enter_scope(cfg)
    try:
        steps = [_stand_in(step) for step in pipeline]
        data = Compose(steps)(
            dict(
                filename='black.mp4', frame_dir='black', total_frames=NUM_FRAMES, label=0, start_index=0, modality='RGB'
            )
        )
        inputs = tuple(data['inputs'].shape)
    except Exception as error:  # steps of any package run here
        raise UserError(
            f'The test pipeline cannot be run on a black video ({type(error).__name__}: {error}); give the shape of '
            'one view: --shape 3 T H W (2-D recognizers: --shape T 3 H W; images: --shape 3 H W).'
        ) from error
    if len(inputs) == 3:
        return Views(inputs)
    crops = next((_CROPS[step['type']] for step in pipeline if step['type'] in _CROPS), 1)
    if len(inputs) == 5:  # (V, 3, T, H, W)
        return Views(inputs[1:], inputs[0] // crops, crops)
    frames = _frames_of_a_view(cfg.model) or inputs[0] // crops  # (V * T, 3, H, W)
    return Views((frames, *inputs[1:]), max(inputs[0] // (crops * frames), 1), crops)


def _test_pipeline(cfg: Config) -> Sequence[Mapping[str, Any]]:
    """The pipeline of the test set, or what predictions are made with."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'pipeline' not in dataset and 'dataset' in dataset:
        dataset = dataset['dataset']
    pipeline = dataset.get('pipeline') or cfg.get('test_pipeline')
    if not pipeline:
        raise UserError('The config has no test pipeline; give the shape of one view: --shape 3 T H W.')
    return pipeline


def _frames_of_a_view(model: Mapping[str, Any]) -> int | None:
    """The T that a 2-D recognizer is configured for, where it says so."""
    for part, key in (('backbone', 'num_segments'), ('cls_head', 'num_segs'), ('cls_head', 'num_segments')):
        value = (model.get(part) or {}).get(key)
        if value:
            return value
    return None


def _stand_in(step: Mapping[str, Any]) -> Any:
    """Replace what opens or decodes files; all other steps stay."""
    kind = step['type'] if isinstance(step['type'], str) else step['type'].__name__
    if kind.endswith('LoadImageFromFile'):
        return _load
    if kind.endswith('Init'):
        return _open
    if kind.endswith('Decode'):
        return _decode
    return dict(step)


def _load(results: dict[str, Any]) -> dict[str, Any]:
    """Stand in for reading an image: a black one."""
    size = (HEIGHT, WIDTH)
    return {**results, 'img': np.zeros((*size, 3), np.uint8), 'img_shape': size, 'ori_shape': size}


def _open(results: dict[str, Any]) -> dict[str, Any]:
    """Stand in for opening a video."""
    return {**results, 'total_frames': NUM_FRAMES, 'avg_fps': 30.0, 'video_reader': None}


def _decode(results: dict[str, Any]) -> dict[str, Any]:
    """Stand in for decoding: black frames."""
    frames = [np.zeros((HEIGHT, WIDTH, 3), np.uint8) for _ in np.ravel(results['frame_inds'])]
    return {**results, 'imgs': frames, 'original_shape': (HEIGHT, WIDTH), 'img_shape': (HEIGHT, WIDTH)}
