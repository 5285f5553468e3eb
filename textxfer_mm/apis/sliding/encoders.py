"""What a model makes of single frames, and of a window of them: its scores, as prediction gives them, or its embedding.

Towers that see frame by frame encode a frame once, whatever the number of windows that it lies in; neck and head see
each window. Backbones that mix frames are given each window whole, of frames that were resized once.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.dataset import Compose
from torch import Tensor, nn

from textxfer_mm.apis.prediction_inputs import (
    NUM_FRAMES,
    as_loaded,
    encode_frames,
    scores_of_frames,
    steps_behind_loading,
    steps_for_arrays,
)
from textxfer_mm.engine.frameworks import embeddings_of, head_module, takes_images
from textxfer_mm.errors import UserError
from textxfer_mm.models.backbones.clip_backbone import CLIPBackbone

from mmaction.models import ResNet  # isort: skip  (after the registry: it repairs mmaction)
from mmaction.models.recognizers import Recognizer2D  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip

#: Where a ``Recognizer2D`` has backbones of, that are made for images.
_OF_IMAGES = ('torchvision', 'timm', 'mmcls', 'mmpretrain')


class Encoder(Protocol):
    """A model as windows need it.

    Attributes:
        shares_frames: Whether windows share what is made of a frame; otherwise each window is encoded whole.
        sampling: Configs of the steps that choose frames.
    """

    shares_frames: bool
    sampling: list[dict[str, Any]]

    def encode(self, frames: Sequence[np.ndarray]) -> list[Tensor]:
        """What is kept of RGB frames (H, W, 3), one each."""

    def score(self, windows: Sequence[Sequence[Tensor]], clip_len: int) -> Tensor:
        """Scores (n, K) of windows, from what is kept of their frames in the order in which they were chosen."""

    def embed(self, windows: Sequence[Sequence[Tensor]], clip_len: int) -> Tensor:
        """Embeddings (n, D) of windows, from the same: what the head compares with class rows, averaged over views."""


def encoder_of(model: nn.Module) -> Encoder:
    """The encoder of a recognizer or of an image classifier, as ``load_recognizer`` gives it.

    Raises:
        UserError: Its frames cannot be prepared one by one.
    """
    return ImageEncoder(model) if takes_images(model) else VideoEncoder(model)


def sees_frame_by_frame(model: nn.Module) -> bool:
    """Whether the backbone of a recognizer encodes each frame on its own."""
    backbone = model.backbone
    if isinstance(backbone, CLIPBackbone):
        return not backbone.temporal
    if not isinstance(model, Recognizer2D) or (model.test_cfg or {}).get('fcn_test'):
        return False
    return type(backbone) is ResNet or model.backbone_from in _OF_IMAGES


class VideoEncoder:
    """A recognizer of MMAction2; see :class:`Encoder`.

    Args:
        model: The recognizer.
    """

    def __init__(self, model: nn.Module) -> None:
        steps = steps_for_arrays([dict(step) for step in model.cfg.test_pipeline])
        place = next((i for i, step in enumerate(steps) if step['type'] == 'ArrayDecode'), None)
        shape = next((step for step in steps if str(step['type']).endswith('FormatShape')), {})
        if place is None or shape.get('input_format') not in ('NCTHW', 'NCHW') or shape.get('collapse'):
            raise UserError(
                'Windows need a test_pipeline that decodes a video, and FormatShape(input_format="NCTHW" or "NCHW") '
                'without `collapse`: frames of this model cannot be prepared one by one.'
            )
        self.sampling = steps[:place]
        self.shares_frames = sees_frame_by_frame(model)
        self._prepare = Compose(steps[place + 1 :])
        self._has_clips = shape['input_format'] == 'NCTHW'
        self._model = model
        self._behind_backbone = _without_backbone(model) if self.shares_frames else None

    @torch.no_grad()
    def encode(self, frames: Sequence[np.ndarray]) -> list[Tensor]:
        """Feature maps of frames, or, for backbones that mix them, their pixels: (crops, D, [1,] H, W) each."""
        packed = [self._prepare(_as_decoded(frame)) for frame in frames]
        pixels = [sample['inputs'] for sample in packed]  # each (crops, 3, [1,] H, W)
        if not self.shares_frames:
            return pixels
        samples = [sample['data_samples'] for sample in packed]
        data = self._model.data_preprocessor(dict(inputs=pixels, data_samples=samples), training=False)
        maps = self._model.extract_feat(data['inputs'], stage='backbone')[0]  # (n * crops, D, [1,] H, W)
        return list(maps.unflatten(0, (len(frames), -1)))

    @torch.no_grad()
    def score(self, windows: Sequence[Sequence[Tensor]], clip_len: int) -> Tensor:
        """Scores (n, K) of windows."""
        model, inputs = self._ready(windows, clip_len)
        found = model.predict(inputs, [ActionDataSample() for _ in windows])
        return torch.stack([sample.pred_score for sample in found])

    @torch.no_grad()
    def embed(self, windows: Sequence[Sequence[Tensor]], clip_len: int) -> Tensor:
        """Embeddings (n, D) of windows."""
        model, inputs = self._ready(windows, clip_len)
        features, _ = model.extract_feat(inputs, test_mode=True)
        return embeddings_of(model, features).unflatten(0, (len(windows), -1)).mean(1)

    def _ready(self, windows: Sequence[Sequence[Tensor]], clip_len: int) -> tuple[nn.Module, Tensor]:
        """The model that goes on from what was kept of frames, and that of windows as its input (n, V, ...)."""
        inputs = [self._views(torch.stack(tuple(frames)), clip_len) for frames in windows]
        if self._behind_backbone is not None:
            return self._behind_backbone, torch.stack(inputs)
        data = dict(inputs=inputs, data_samples=[ActionDataSample() for _ in windows])
        return self._model, self._model.data_preprocessor(data, training=False)['inputs']

    def _views(self, frames: Tensor, clip_len: int) -> Tensor:
        """Lay out the frames of a window (L, crops, D, [1,] H, W) as ``FormatShape`` does: crops first, then clips."""
        by_crop = frames.transpose(0, 1)  # (crops, L, D, [1,] H, W)
        if not self._has_clips:
            return by_crop.flatten(0, 1)  # (crops * L, D, H, W)
        clips = by_crop.squeeze(3).reshape(-1, clip_len, *frames.shape[2:3], *frames.shape[4:])
        return clips.transpose(1, 2)  # (views, D, T, H, W)


class ImageEncoder:
    """An image classifier of MMPretrain, which averages over frames; see :class:`Encoder`.

    Args:
        model: The classifier.
    """

    shares_frames = True

    def __init__(self, model: nn.Module) -> None:
        self.sampling = [dict(type='mmaction.UniformSample', clip_len=NUM_FRAMES, test_mode=True)]
        self._prepare = Compose(steps_behind_loading([dict(step) for step in model.cfg.test_pipeline]))
        self._model = model

    @torch.no_grad()
    def encode(self, frames: Sequence[np.ndarray]) -> list[Tensor]:
        """Embeddings (D,) of frames, or probabilities (K,)."""
        return list(encode_frames(self._model, [self._prepare(as_loaded(frame, 'frame')) for frame in frames]))

    @torch.no_grad()
    def score(self, windows: Sequence[Sequence[Tensor]], clip_len: int) -> Tensor:
        """Scores (n, K) of windows."""
        return torch.stack([scores_of_frames(self._model, torch.stack(tuple(frames))) for frames in windows])

    @torch.no_grad()
    def embed(self, windows: Sequence[Sequence[Tensor]], clip_len: int) -> Tensor:
        """Embeddings (n, D) of windows.

        Raises:
            UserError: The head does not tell what it compares with class rows.
        """
        if not hasattr(head_module(self._model), 'view_logits'):
            raise UserError(
                f'The head {type(head_module(self._model)).__name__} of this {type(self._model).__name__} does not '
                'tell what it compares with its classes: give a model with a TextEmbeddingClsHead, or one of videos.'
            )
        return torch.stack([torch.stack(tuple(frames)).mean(0) for frames in windows])


def _as_decoded(frame: np.ndarray) -> Mapping[str, Any]:
    """What the decoding step hands on of a clip of one frame."""
    size = frame.shape[:2]
    about = dict(label=-1, start_index=0, modality='RGB', total_frames=1, frame_inds=np.zeros(1, np.int32))
    return dict(imgs=[frame], original_shape=size, img_shape=size, clip_len=1, num_clips=1, frame_interval=1, **about)


def _without_backbone(model: nn.Module) -> nn.Module:
    """The model for features of its backbone in the place of frames; it shares the modules, and the model stays."""
    shell = copy.copy(model)
    shell._modules = {**model._modules, 'backbone': nn.Identity()}
    shell.backbone_from = 'mmaction2'
    return shell
