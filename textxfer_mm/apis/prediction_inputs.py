"""Videos and images, files or arrays, as what a model takes: a model of videos or one of images takes either.

To a model of videos an image is a video of one frame. To a model of images a video is a few frames spread over it,
whose features are averaged (temporal average pooling).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from torch import Tensor, nn

from textxfer_mm.datasets.transforms_video import ExactVideoDecode, ExactVideoInit, with_exact_decoding
from textxfer_mm.engine.frameworks import embeddings_of, features_of, has_several_labels, head_module, takes_images
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import is_image
from textxfer_mm.video.media import Medium
from textxfer_mm.video.stills import read_image

from mmaction.datasets.transforms import ArrayDecode, UniformSample  # isort: skip  (after the registry: it repairs mmaction)

#: Frames of a video that a model of images looks at.
NUM_FRAMES = 8
#: Crops of each frame that a step makes, all of the first one before those of the next.
_CROPS = dict(ThreeCrop=3, TenCrop=10)


class PredictionInputs:
    """Makes of a video or an image the samples that a model scores.

    Args:
        model: A recognizer of MMAction2 or an image classifier of MMPretrain.
        pipeline: Its test pipeline, which begins with a file.
    """

    def __init__(self, model: nn.Module, pipeline: Sequence[Mapping[str, Any]]) -> None:
        steps = with_exact_decoding([dict(step) for step in pipeline])
        self._crops = math.prod(_CROPS.get(str(step['type']).rpartition('.')[2], 1) for step in steps)
        self._prepare: Callable[[Medium], list[Any]]
        if takes_images(model):
            self._of_file, self._of_frame = Compose(steps), Compose(steps_behind_loading(steps))
            sample = UniformSample(clip_len=NUM_FRAMES, test_mode=True)
            self._frames_of_file = Compose([ExactVideoInit(), sample, ExactVideoDecode()])
            self._frames_of_array = Compose([sample, ArrayDecode()])
            self._prepare = self._for_images
        else:
            self._of_file, self._of_frame = Compose(steps), Compose(steps_for_arrays(steps))
            self._prepare = self._for_videos

    def __call__(self, medium: Medium) -> list[Any]:
        """The samples: one for a model of videos, one a frame for a model of images.

        Raises:
            Exception: What a step of the pipeline makes of a file that it cannot read.
        """
        samples = self._prepare(medium)
        if any(sample is None for sample in samples):
            raise ValueError('a pipeline step dropped it')
        return samples

    def frames_of(self, samples: Sequence[Any]) -> np.ndarray:
        """The frames of the first view, as RGB (T, H, W, 3) of type uint8, of what :meth:`__call__` gave.

        Raises:
            UserError: They are no pictures: the pipeline has brought them to other numbers, or gives something else.
        """
        inputs = [sample['inputs'] for sample in samples]
        shape, kind = tuple(inputs[0].shape), inputs[0].dtype
        if kind != torch.uint8 or len(shape) not in (3, 4, 5) or shape[-3 if len(shape) < 5 else 1] != 3:
            raise UserError(
                f'The frames cannot be shown: the pipeline of this model makes {shape} of type '
                f'{str(kind).removeprefix("torch.")} of them.'
            )
        if len(shape) == 3:  # (3, H, W) each, BGR as MMPretrain loads images
            return torch.stack(inputs).flip(1).permute(0, 2, 3, 1).numpy()
        if len(shape) == 4:  # (crops * T, 3, H, W)
            return inputs[0][: shape[0] // self._crops].permute(0, 2, 3, 1).numpy()
        return inputs[0][0].permute(1, 2, 3, 0).numpy()  # (V, 3, T, H, W)

    def _for_videos(self, medium: Medium) -> list[Any]:
        about = dict(label=-1, start_index=0, modality='RGB')
        if not isinstance(medium, np.ndarray) and not is_image(medium):
            return [self._of_file(dict(filename=str(medium), **about))]
        frames = medium if isinstance(medium, np.ndarray) else read_image(medium)[None]  # (T, H, W, 3)
        return [self._of_frame(dict(array=frames, total_frames=len(frames), **about))]

    def _for_images(self, medium: Medium) -> list[Any]:
        if not isinstance(medium, np.ndarray) and is_image(medium):
            return [self._of_file(dict(img_path=str(medium)))]
        about = dict(start_index=0, modality='RGB')
        if isinstance(medium, np.ndarray):
            name, found = 'array', self._frames_of_array(dict(array=medium, total_frames=len(medium), **about))
        else:
            name, found = str(medium), self._frames_of_file(dict(filename=str(medium), **about))
        return [self._of_frame(as_loaded(frame, name)) for frame in found['imgs']]


@torch.no_grad()
def scores_of(model: nn.Module, media: Sequence[Sequence[Any]]) -> Tensor:
    """Scores (N, K) of N videos or images.

    Where they have several samples each, these are frames of videos: their features are averaged before the classifier,
    or their probabilities where the head does not tell what it compares with class rows.

    Args:
        model: The model.
        media: For each what :class:`PredictionInputs` made: equally many samples of equal shape.
    """
    samples = [sample for one in media for sample in one]
    if len(media[0]) == 1:
        return torch.stack([found.pred_score for found in model.test_step(pseudo_collate(samples))])
    frames = encode_frames(model, samples).unflatten(0, (len(media), -1))  # (N, n, D)
    return torch.stack([scores_of_frames(model, one) for one in frames])


def encode_frames(model: nn.Module, samples: list[Any]) -> Tensor:
    """What a model of images makes of frames of a video, one row each, whose mean :func:`scores_of_frames` takes.

    Returns:
        Embeddings (n, D), or probabilities (n, K) where the head does not tell what it compares with class rows.
    """
    if not hasattr(head_module(model), 'view_logits'):
        return torch.stack([sample.pred_score for sample in model.test_step(pseudo_collate(samples))])
    return embeddings_of(model, features_of(model, samples)[0])


def scores_of_frames(model: nn.Module, frames: Tensor) -> Tensor:
    """Scores (K,) of a video from what :func:`encode_frames` made of its frames."""
    head = head_module(model)
    if not hasattr(head, 'view_logits'):
        return frames.mean(0)
    logits = head.view_logits(frames.mean(0)[None, None])[0, 0]  # (K,)
    return logits.sigmoid() if has_several_labels(head) else logits.softmax(-1)


def steps_for_arrays(pipeline: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps for frames in memory: nothing is opened, and MMAction2's ``ArrayDecode`` picks the frames."""
    steps: list[Mapping[str, Any]] = []
    for step in pipeline:
        kind = str(step['type'])
        if kind == 'TolerantDecode':
            steps += steps_for_arrays(step['transforms'])
        elif not kind.endswith('Init'):
            steps.append(dict(type='ArrayDecode') if kind.endswith('Decode') else step)
    return steps


def steps_behind_loading(pipeline: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps of a pipeline of images for an image in memory."""
    return [step for step in pipeline if not str(step['type']).endswith('LoadImageFromFile')]


def as_loaded(frame: np.ndarray, name: str) -> dict[str, Any]:
    """What ``LoadImageFromFile`` makes of an image, which is BGR."""
    size = frame.shape[:2]
    return dict(img=np.ascontiguousarray(frame[..., ::-1]), img_shape=size, ori_shape=size, img_path=name)
