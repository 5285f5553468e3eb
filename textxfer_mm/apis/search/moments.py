"""The unit of search: moments, which are windows that slide over a video, each with one embedding of unit norm.

An image is one moment. The embedding is what the model's head compares with class rows: the features of a few frames
behind the temporal neck and the projection, averaged over views. So texts that are embedded as class names are can be
compared with it.
"""

import errno
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import Compose
from torch import Tensor, nn
from torch.nn import functional

from textxfer_mm.apis.feature_cache.encoder import NO_FEATURES
from textxfer_mm.apis.prediction_inputs import read_image
from textxfer_mm.apis.search.ahead import ahead
from textxfer_mm.apis.sliding import Encoder, Plan, encoder_of, over_windows
from textxfer_mm.apis.sliding.windows import Windows
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.engine.classes import head_of
from textxfer_mm.engine.finite import refuse_non_finite_scores
from textxfer_mm.engine.frameworks import head_module, in_scope
from textxfer_mm.errors import first_line
from textxfer_mm.evaluation.digests import digest, digest_of_weights
from textxfer_mm.inputs import is_image
from textxfer_mm.layers.cosine import CosineLogits
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.text.digests import content_digest
from textxfer_mm.video.reader import Shown

#: Raised whenever the same model and file would give other moments.
_RECIPE_VERSION = 2
#: Frames in a parcel, and parcels that lie ready: what is decoded ahead of the model.
_PARCEL, _READY = 8, 2
#: Errors of the system which pass, other than those of a content.
_FAULTS = frozenset(
    getattr(errno, name)
    for name in (
        *('EACCES', 'EPERM', 'EIO', 'ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'ENODEV', 'ENXIO', 'EBUSY', 'EMFILE', 'ENFILE'),
        *('EREMOTEIO', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETUNREACH', 'ECONNRESET', 'EAGAIN', 'EINTR'),
    )
    if hasattr(errno, name)
)
#: Told of the windows of one file, done and in all.
WindowProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Moments:
    """The moments of one file.

    Attributes:
        position: Which of the files it is.
        digest: SHA-256 of the file; '' where it could not be read, which says nothing of its content.
        starts: Where they begin (n,), in seconds; 0 in an image.
        ends: Where they end (n,), in seconds; 0 in an image.
        vectors: Embeddings (n, D) of unit norm.
        reason: Why there are none; empty otherwise.
        notes: What must be known beside them, one sentence each.
        is_known: Whether the content was known, and nothing was decoded.
    """

    position: int
    digest: str
    starts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    ends: np.ndarray = field(default_factory=lambda: np.zeros(0))
    vectors: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    reason: str = ''
    notes: tuple[str, ...] = ()
    is_known: bool = False


class _Parcel(NamedTuple):
    """What was read of a file: first its plan, then its frames, or at any time why it cannot be read on."""

    position: int
    digest: str
    plan: Any = None
    frames: Sequence[Shown] = ()
    reason: str = ''


class _Unreadable(Exception):
    """A file that cannot be read on; says why, and has its digest where that lies in its content."""


class MomentEncoder:
    """Makes moments of files.

    Args:
        model: What :func:`~textxfer_mm.apis.load_recognizer` returned.
        window: Length of a moment, in seconds; None takes the model's own window.
        stride: From one to the next, in seconds; None takes half a window.
        batch_size: Frames that go through the backbone at once.

    Attributes:
        weights: Digest of the weights that make embeddings; class rows and text towers are not among them.
        pipeline: Digest of how files become embeddings, but for the weights.

    Raises:
        UserError: Frames of this model cannot be prepared one by one, or its weights are not at hand.
    """

    def __init__(self, model: nn.Module, window: float | None, stride: float | None, batch_size: int) -> None:
        self._model, self._window, self._stride, self._batch_size = model, window, stride, batch_size
        for module in model.modules():
            if isinstance(module, LazyWeights):
                module.ensure_weights()
        with in_scope(model.cfg):
            self._encoder: Encoder = encoder_of(model)
            self._sample = Compose(self._encoder.sampling)
        self.weights = digest_of_weights(_weights_of(model))
        self.pipeline = digest([_RECIPE_VERSION, _settings_of(model), window, stride])

    def encode(
        self, files: Sequence[str | Path], known: frozenset[str] = frozenset(), progress: WindowProgress | None = None
    ) -> Iterator[Moments]:
        """Encode files one after the other; a thread decodes ahead of the model.

        Args:
            files: Paths of videos and images.
            known: Digests of contents that are not to be encoded.
            progress: Called with a file, its finished windows and all of them.

        Raises:
            UserError: The embeddings of a file are not finite.
        """
        with in_scope(self._model.cfg):
            parcels = ahead(self._parcels(files, known), _READY)
            for position, own in itertools.groupby(parcels, key=lambda parcel: parcel.position):
                yield self._moments(str(files[position]), own, progress)

    def _moments(self, file: str, parcels: Iterator[_Parcel], progress: WindowProgress | None) -> Moments:
        """The moments of a file that is being read."""
        first, vectors, done = next(parcels), [], 0
        position, content, plan = first.position, first.digest, first.plan
        if plan is None:
            return Moments(position, content, reason=first.reason, is_known=not first.reason)
        try:
            for part in over_windows(plan, _frames_of(parcels), self._encoder, self._encoder.embed, self._batch_size):
                refuse_non_finite_scores(part, file)
                vectors.append(functional.normalize(part, dim=-1))
                done += len(part)
                if progress is not None:
                    progress(file, done, len(plan.windows))
        except _Unreadable as error:
            reason, content = error.args
            return Moments(position, content, reason=reason)
        notes = tuple(note for note in plan.notes if 'damaged' in note)
        return Moments(position, content, plan.windows.starts, plan.windows.ends, torch.cat(vectors), notes=notes)

    def _parcels(self, files: Sequence[str | Path], known: frozenset[str]) -> Iterator[_Parcel]:
        """Read files; one that cannot be read costs itself."""
        for position, file in enumerate(files):
            content = ''
            try:
                content = content_digest(Path(file))
                if content in known:
                    yield _Parcel(position, content)
                    continue
                plan = self._plan(str(file))
                yield _Parcel(position, content, plan)
                frames = plan.read()
                while batch := list(itertools.islice(frames, _PARCEL)):
                    yield _Parcel(position, content, frames=batch)
            except (ImportError, MemoryError):
                raise
            except Exception as error:
                fault = _fault_of(error)
                yield _Parcel(position, '' if fault else content, reason=fault or first_line(error))

    def _plan(self, file: str) -> Any:
        if is_image(file):
            return _Still(read_image(file), self._sample)
        return Plan(file, self._encoder, self._window, self._stride)


class _Still:
    """An image as a :class:`~textxfer_mm.apis.sliding.Plan` of one window: that of a video of one frame."""

    windows = Windows(np.zeros(1), np.zeros(1), np.zeros(1, int), np.ones(1, int))

    def __init__(self, pixels: np.ndarray, sample: Callable[[dict[str, Any]], Any]) -> None:
        self.notes: list[str] = []
        self._pixels = pixels
        self._found = sample(dict(total_frames=1, avg_fps=1.0, start_index=0, modality='RGB'))

    def numbers(self, index: int) -> tuple[np.ndarray, int]:
        """The one frame, as often as the model takes frames, and the number T of a clip."""
        return np.asarray(self._found['frame_inds']).reshape(-1), self._found['clip_len']

    def read(self) -> Iterator[Shown]:
        """The one frame."""
        yield Shown(0, self._pixels, False)


def embedding_width(model: nn.Module) -> int:
    """How wide (D) the moments of a model are, found by a black image."""
    with in_scope(model.cfg):
        encoder = encoder_of(model)
        still = _Still(np.zeros((64, 64, 3), np.uint8), Compose(encoder.sampling))
        return next(iter(over_windows(still, still.read(), encoder, encoder.embed, 1))).shape[1]


def _fault_of(error: BaseException | None) -> str:
    """Which fault of a drive, a network or a right keeps a file from being read; '' where its content does."""
    while error is not None:
        if isinstance(error, FileNotFoundError) or str(error) == 'missing file':
            return 'missing file'
        if isinstance(error, OSError) and error.errno in _FAULTS:
            return os.strerror(error.errno)
        error = error.__cause__
    return ''


def _frames_of(parcels: Iterator[_Parcel]) -> Iterator[Shown]:
    """The frames of a file.

    Raises:
        _Unreadable: It cannot be read on.
    """
    for parcel in parcels:
        if parcel.reason:
            raise _Unreadable(parcel.reason, parcel.digest)
        yield from parcel.frames


def _weights_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All weights but those of class rows, with their text towers, and of the scale of logits."""
    prefixes = tuple(
        f'{path}.' for path, module in model.named_modules() if isinstance(module, ClassRows | CosineLogits)
    )
    for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers()):
        if not name.startswith(prefixes):
            yield name, tensor


def _settings_of(model: nn.Module) -> list[Any]:
    """The settings that change embeddings."""
    cfg, head = model.cfg.model, head_module(model)
    parts = [
        {key: value for key, value in (cfg.get(part) or {}).items() if key not in NO_FEATURES}
        for part in ('backbone', 'neck', 'data_preprocessor')
    ]
    about_head = [type(head).__name__, *(getattr(head, name, None) for name in ('feature', 'num_segments'))]
    about_head.append(head_of(model.cfg).get('projection'))
    steps = [dict(step) for step in model.cfg.test_pipeline]
    return [type(model).__name__, *parts, about_head, cfg.get('test_cfg'), steps]
