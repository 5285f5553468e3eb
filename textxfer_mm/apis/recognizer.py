"""My videos and images + my labels -> scores: one object, built once and called with whatever comes."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from textxfer_mm.apis.chosen_model import model_of
from textxfer_mm.apis.decoding_ahead import Decoded, decode, decode_ahead, default_workers
from textxfer_mm.apis.prediction_inputs import PredictionInputs, scores_of
from textxfer_mm.apis.predictions import Result, VideoFailure, VideoPrediction
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.engine.classes import labels_of, rows_of
from textxfer_mm.engine.finite import refuse_non_finite_scores
from textxfer_mm.engine.frameworks import in_scope
from textxfer_mm.errors import UserError
from textxfer_mm.text.glosses.table import told_apart
from textxfer_mm.video.media import Medium, name_of


class Recognizer:
    """Recognises videos and images.

    Example::

        recognizer = Recognizer('ViT-B-32-quickgelu', labels=['waving', 'clapping hands'])
        recognizer('a.mp4').top(1)
        for result in recognizer.stream(files):
            ...

    A model of videos takes an image for a video of one frame; a model of images looks at a few frames of a video and
    averages their features (:mod:`~textxfer_mm.apis.prediction_inputs`).

    Args:
        model: A checkpoint, a config, the name of an open_clip model, or the folder of one; or a model that
            :func:`~textxfer_mm.apis.load_recognizer` built. None takes the packaged model.
        checkpoint: Weights for a config.
        labels: Class names: a list, a file, or the name of a dataset; see ``load_class_names``. None takes the model's.
        pretrained: Tag or file of the weights of a CLIP model, or of a config's text encoder.
        template: A prompt, or the name of a set of them.
        glosses: Glosses behind the class names, see :func:`~textxfer_mm.engine.classes.set_glosses`.
        device: Where the model runs; None takes the GPU where there is one.
        dataset: By the classes of which dataset it predicts, where the model has several.
        amp: Whether it runs in mixed precision: bfloat16, or float16 on GPUs that lack it.
        batch_size: Clips that go through the model at once; a video has one for each of its views.
        workers: Processes that decode ahead of the model; None chooses by the number of files and cores.

    Attributes:
        model: The model.

    Raises:
        UserError: The parts do not fit together, or are not at hand.
    """

    def __init__(
        self,
        model: nn.Module | Config | str | Path | None = None,
        *,
        checkpoint: str | Path | None = None,
        labels: str | Path | Sequence[str] | None = None,
        pretrained: str | None = None,
        template: str | None = None,
        glosses: Any = None,
        device: str | None = None,
        dataset: str | None = None,
        amp: bool = False,
        batch_size: int = 8,
        workers: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise UserError(f'batch_size={batch_size}: give 1 or more.')
        options = dict(labels=labels, pretrained=pretrained, template=template, glosses=glosses, device=device)
        self.model = model_of(model, checkpoint=checkpoint, **options, dataset=dataset)
        self.batch_size, self.workers = batch_size, workers
        self._device = next(self.model.parameters()).device
        self._amp = amp
        with in_scope(self.model.cfg):
            self._inputs = PredictionInputs(self.model, self.model.cfg.test_pipeline)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called; names that only their glosses tell apart with these. Empty where unknown."""
        names = labels_of(self.model, 0)
        return told_apart(names, getattr(rows_of(self.model), 'glosses', ())) if names else ()

    def replace_classes(self, bundle: ClassifierBundle) -> None:
        """Recognise among other classes from now on.

        Args:
            bundle: Their rows: what ``rows_of(model).make_for(names)`` made, or a classifier from a file.

        Raises:
            UserError: The model has no class rows that could be replaced, or they do not fit.
        """
        rows = rows_of(self.model)
        if rows is None:
            raise UserError(f'{type(self.model).__name__} classifies by a learned layer: its classes are its own.')
        rows.replace(bundle)
        self.__dict__.pop('class_names', None)

    def frames(self, medium: Medium) -> np.ndarray:
        """The frames that the model sees of a video or an image, as they leave the pipeline: chosen, resized, cropped.

        Args:
            medium: A path, or RGB frames (T, H, W, 3) as uint8.

        Returns:
            RGB frames (T, H, W, 3) of the first view as uint8; T is 1 for an image seen by a model of images.

        Raises:
            UserError: It could not be decoded, or the pipeline gives no pictures.
        """
        name = name_of(medium, 0)
        item = decode(self._inputs, medium, 0)
        if item.samples is None:
            raise UserError(f'{name} could not be decoded: {item.reason}')
        return self._inputs.frames_of(item.samples)

    def __call__(self, media: Medium | Sequence[Medium]) -> Result | list[Result]:
        """Recognise one video or image, or several.

        Args:
            media: A path, or RGB frames (T, H, W, 3) as uint8; or a list of them.

        Returns:
            The scores, or why there are none; a list where a list was given.

        Raises:
            UserError: See :meth:`stream`.
        """
        if isinstance(media, Medium):
            return next(self.stream([media]))
        return list(self.stream(media))

    def stream(self, media: Iterable[Medium]) -> Iterator[Result]:
        """Recognise one after the other, decoding ahead; what cannot be decoded is reported in its place.

        Args:
            media: Paths, or RGB frames (T, H, W, 3) as uint8, which go by ``'array 0'`` and so on. Files of a sequence
                are decoded by processes ahead of the model; what an iterator gives is taken as it comes.

        Raises:
            UserError: An array is no video, or the model gives scores that are not finite.
        """
        if isinstance(media, Sequence):
            names = (name_of(medium, position) for position, medium in enumerate(media))
            yield from self._recognised(names, self._decoded(media))
        else:
            for position, medium in enumerate(media):
                name = name_of(medium, position)
                yield from self._recognised([name], decode_ahead(self._inputs, [medium], 0))

    def _decoded(self, media: Sequence[Medium]) -> Iterator[Decoded]:
        """Decode what was given; arrays, which need none, in this process."""
        workers = self.workers
        if any(isinstance(medium, np.ndarray) for medium in media):
            workers = 0
        elif workers is None:
            workers = default_workers(len(media), self._device.type != 'cpu')
        return decode_ahead(self._inputs, media, workers)

    def _recognised(self, names: Iterable[str], decoded: Iterable[Decoded]) -> Iterator[Result]:
        """Score in batches, and answer in order."""
        batch: list[tuple[str, Decoded]] = []
        clips = 0
        for name, item in zip(names, decoded, strict=True):
            batch.append((name, item))
            clips += _clips(item)
            if clips >= self.batch_size:
                yield from self._score(batch)
                batch, clips = [], 0
        yield from self._score(batch)

    @torch.no_grad()
    def _score(self, batch: Sequence[tuple[str, Decoded]]) -> Iterator[Result]:
        """Score what has the same shape together."""
        results: list[Result | None] = [None] * len(batch)
        alike: dict[Any, list[int]] = {}
        for index, (name, item) in enumerate(batch):
            if item.samples is None:
                print_log(f'{name} could not be decoded: {item.reason}', logger='current', level=logging.DEBUG)
                results[index] = VideoFailure(name, item.reason)
            else:
                alike.setdefault((len(item.samples), item.samples[0]['inputs'].shape), []).append(index)
        for indices in alike.values():
            with self._precision():
                scores = scores_of(self.model, [batch[index][1].samples for index in indices])  # (n, K)
            for index, row in zip(indices, scores.float().cpu(), strict=True):
                name = batch[index][0]
                refuse_non_finite_scores(row, name)
                results[index] = VideoPrediction(name, self._names(len(row)), tuple(row.tolist()))
        yield from results

    def _names(self, number: int) -> tuple[str, ...]:
        return self.class_names or tuple(map(str, range(number)))

    def _precision(self) -> Any:
        if not self._amp:
            return nullcontext()
        kind = self._device.type
        has_bfloat16 = kind != 'cuda' or torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.autocast(kind, torch.bfloat16 if has_bfloat16 else torch.float16)


def predict_videos(model: nn.Module, videos: Iterable[Medium]) -> Iterator[Result]:
    """Predict one video or image after the other: :meth:`Recognizer.stream` of a model.

    Args:
        model: What :func:`~textxfer_mm.apis.load_recognizer` returned.
        videos: Paths of files, or RGB frames (T, H, W, 3) as uint8; these go by ``'array 0'`` and so on.

    Raises:
        UserError: An array is no video, or the model gives scores that are not finite.
    """
    yield from Recognizer(model).stream(videos)


def _clips(item: Decoded) -> int:
    """How many clips the model gets of it; of frames without order, eight count as one."""
    if item.samples is None:
        return 1
    shape = item.samples[0]['inputs'].shape  # (V, 3, T, H, W), (frames, 3, H, W), or (3, H, W) of each of some frames
    return shape[0] if len(shape) > 4 else math.ceil((shape[0] if len(shape) > 3 else len(item.samples)) / 8)
