"""My video or image + my labels -> scores, as a library."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from textxfer_mm import register_all_modules
from textxfer_mm.apis.prediction_inputs import Medium, PredictionInputs, require_frames, scores_of
from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.transforms_video import CorruptVideoError
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of
from textxfer_mm.engine.classes import labels_of, rows_of, set_class_names, set_glosses
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.engine.finite import refuse_non_finite_scores
from textxfer_mm.engine.frameworks import enter_scope, in_scope
from textxfer_mm.errors import UserError, first_line, nearest
from textxfer_mm.registry import MODELS
from textxfer_mm.text.glosses.table import told_apart


@dataclass(frozen=True)
class VideoPrediction:
    """What the model says about one video.

    Attributes:
        video: The path of the file.
        class_names: K names.
        scores: K scores in the order of the names; they sum to one unless the model is multi-label.
    """

    video: str
    class_names: tuple[str, ...]
    scores: tuple[float, ...]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k best names with their scores, best first."""
        order = sorted(range(len(self.scores)), key=lambda i: -self.scores[i])
        return [(self.class_names[i], self.scores[i]) for i in order[:k]]


@dataclass(frozen=True)
class VideoFailure:
    """A video that could not be decoded, and why."""

    video: str
    reason: str


def choose_device(device: str | None) -> torch.device:
    """The device that was asked for; without one the GPU, where there is one.

    Raises:
        UserError: There is no such kind of device, or none on this machine.
    """
    try:
        target = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        torch.zeros(1, device=target).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        gpus = torch.cuda.device_count()
        known = ['cpu', *(['cuda', *(f'cuda:{i}' for i in range(gpus))] if gpus else [])]
        raise UserError(
            f'device {device} is not available here: {first_line(error)}.{nearest(str(device), known)}'
        ) from error
    return target


def load_recognizer(
    cfg: Config,
    checkpoint: str | Path | None = None,
    *,
    class_names: str | Path | Sequence[str] | None = None,
    glosses: Any = None,
    device: str | None = None,
) -> nn.Module:
    """Build a recogniser, or an image classifier, for prediction.

    Args:
        cfg: A config with ``model``, and ``test_pipeline`` or the dataloader of a test or a validation, whose steps it
            is given as ``test_pipeline`` then.
        checkpoint: A checkpoint file; ``None`` predicts with the pretrained weights that the config names (zero-shot).
        class_names: Other names than those of the config or the checkpoint: zero-shot recognition.
        glosses: Glosses behind the class names, see :func:`~textxfer_mm.engine.classes.set_glosses`.
        device: Where the model runs; ``None`` takes the GPU where there is one.

    Raises:
        UserError: The config, the checkpoint and the names do not fit together.
    """
    if 'model' not in cfg:
        raise UserError('The config needs the variable `model` to predict with.')
    _name_test_pipeline(cfg)
    if class_names is not None:
        set_class_names(cfg, class_names, glosses)
    elif glosses is not None:
        set_glosses(cfg, glosses)
    target = choose_device(device)
    register_all_modules()
    enter_scope(cfg)
    model = MODELS.build(cfg.model)
    if checkpoint is not None:
        load_fully(model, state_of(load_checkpoint_file(checkpoint), checkpoint), checkpoint)
    model.cfg = cfg
    return model.to(target).eval()


def _name_test_pipeline(cfg: Config) -> None:
    """Give a config the variable ``test_pipeline``, if it has none.

    Raises:
        UserError: It has no dataloader to take it from either.
    """
    if cfg.get('test_pipeline'):
        return
    loaders = filter(None, (cfg.get(f'{phase}_dataloader') for phase in ('test', 'val')))
    steps = (part.get('pipeline') for loader in loaders for part in innermost_datasets(loader.get('dataset')))
    cfg.test_pipeline = next(filter(None, steps), None)
    if cfg.test_pipeline is None:
        raise UserError(
            'The config does not say how files are read: it needs the variable `test_pipeline`, or a test_dataloader '
            'or val_dataloader whose dataset has a pipeline.'
        )


@torch.no_grad()
def predict_videos(model: nn.Module, videos: Iterable[Medium]) -> Iterator[VideoPrediction | VideoFailure]:
    """Predict one video or image after the other; one that cannot be decoded is reported in its place.

    A model of videos takes an image for a video of one frame; a model of images looks at a few frames of a video and
    averages their features (:mod:`~textxfer_mm.apis.prediction_inputs`).

    Args:
        model: What :func:`load_recognizer` returned.
        videos: Paths of files, or RGB frames (T, H, W, 3) as uint8; these go by ``'array 0'`` and so on.

    Raises:
        UserError: An array is no video, or the model gives scores that are not finite.
    """
    with in_scope(model.cfg):
        inputs = PredictionInputs(model, model.cfg.test_pipeline)
    for position, video in enumerate(videos):
        is_array = isinstance(video, np.ndarray)
        if is_array:
            require_frames(video, position)
        name = f'array {position}' if is_array else str(video)
        try:
            with corrupt_record.nobody_reads():
                samples = inputs(video)
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            reason = error.reason if isinstance(error, CorruptVideoError) else first_line(error)
            print_log(f'{name} could not be decoded: {reason}', logger='current', level=logging.DEBUG)
            yield VideoFailure(name, reason)
            continue
        scores = scores_of(model, samples)
        refuse_non_finite_scores(scores, name)
        names = told_apart(labels_of(model, len(scores)), getattr(rows_of(model), 'glosses', ()))
        yield VideoPrediction(name, names, tuple(scores.tolist()))
