"""My video + my labels -> scores, as a library."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch import nn

from textxfer_mm import register_all_modules
from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.transforms_video import CorruptVideoError, with_exact_decoding
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of
from textxfer_mm.engine.classes import labels_of, rows_of, set_class_names, set_glosses
from textxfer_mm.engine.finite import refuse_non_finite_scores
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
    """Build a recogniser for prediction.

    Args:
        cfg: A config with ``model`` and ``test_pipeline``.
        checkpoint: A checkpoint file; ``None`` predicts with the pretrained weights that the config names (zero-shot).
        class_names: Other names than those of the config or the checkpoint: zero-shot recognition.
        glosses: Glosses behind the class names, see :func:`~textxfer_mm.engine.classes.set_glosses`.
        device: Where the model runs; ``None`` takes the GPU where there is one.

    Raises:
        UserError: The config, the checkpoint and the names do not fit together.
    """
    if 'test_pipeline' not in cfg or 'model' not in cfg:
        raise UserError('The config needs the variables `model` and `test_pipeline` to predict with.')
    if class_names is not None:
        set_class_names(cfg, class_names, glosses)
    elif glosses is not None:
        set_glosses(cfg, glosses)
    target = choose_device(device)
    register_all_modules()
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    model = MODELS.build(cfg.model)
    if checkpoint is not None:
        load_fully(model, state_of(load_checkpoint_file(checkpoint), checkpoint), checkpoint)
    model.cfg = cfg
    return model.to(target).eval()


@torch.no_grad()
def predict_videos(
    model: nn.Module, videos: Iterable[str | Path | np.ndarray]
) -> Iterator[VideoPrediction | VideoFailure]:
    """Predict one video after the other; one that cannot be decoded is reported in its place.

    Args:
        model: What :func:`load_recognizer` returned.
        videos: Paths of video files, or RGB frames (T, H, W, 3) as uint8; these go by ``'array 0'`` and so on.

    Raises:
        UserError: An array is no video, or the model gives scores that are not finite.
    """
    steps = with_exact_decoding([dict(step) for step in model.cfg.test_pipeline])
    pipelines = {kind: Compose(steps) for kind, steps in (('file', steps), ('array', _for_arrays(steps)))}
    for position, video in enumerate(videos):
        if isinstance(video, np.ndarray):
            name, given = f'array {position}', _array_sample(video, position)
        else:
            name, given = str(video), dict(filename=str(video))
        try:
            with corrupt_record.nobody_reads():
                data = pipelines['array' if 'array' in given else 'file'](
                    dict(given, label=-1, start_index=0, modality='RGB')
                )
            if data is None:
                raise ValueError('a pipeline step dropped it')
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            reason = error.reason if isinstance(error, CorruptVideoError) else first_line(error)
            print_log(f'{name} could not be decoded: {reason}', logger='current', level=logging.DEBUG)
            yield VideoFailure(name, reason)
            continue
        sample = model.test_step(pseudo_collate([data]))[0]
        refuse_non_finite_scores(sample.pred_score, name)
        names = labels_of(model, len(sample.pred_score))
        names = told_apart(names, getattr(rows_of(model), 'glosses', ()))
        yield VideoPrediction(name, names, tuple(sample.pred_score.tolist()))


def _array_sample(frames: np.ndarray, position: int) -> dict[str, Any]:
    """What the first step of a pipeline takes for frames in memory."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise UserError(
            f'array {position} has shape {frames.shape} and type {frames.dtype}; a video is RGB frames (T, H, W, 3) of '
            'type uint8, values 0 to 255.'
        )
    return dict(array=frames, total_frames=len(frames))


def _for_arrays(pipeline: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps for frames in memory: nothing is opened, and MMAction2's ``ArrayDecode`` picks the frames."""
    steps: list[dict[str, Any]] = []
    for step in pipeline:
        kind = str(step['type'])
        if kind == 'TolerantDecode':
            steps += _for_arrays(step['transforms'])
        elif not kind.endswith('Init'):
            steps.append(dict(type='ArrayDecode') if kind.endswith('Decode') else step)
    return steps
