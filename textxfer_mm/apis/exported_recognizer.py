"""My videos and images -> scores, by an exported model. Light: neither PyTorch nor MMAction2 here."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from textxfer_mm.apis.predictions import Result, VideoFailure, VideoPrediction
from textxfer_mm.errors import UserError, first_line
from textxfer_mm.exported.model import ExportedModel
from textxfer_mm.exported.rows import NamedRows, read_rows, require_kin
from textxfer_mm.exported.texts import ExportedTextEncoder
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.text.templates import resolve_templates
from textxfer_mm.video.media import Medium, name_of

#: Batches that are decoded ahead of the model.
_AHEAD = 4


class ExportedRecognizer:
    """Recognises videos and images by a file of ``textxfer export``; see :class:`~textxfer_mm.apis.Recognizer`.

    Example::

        recognizer = ExportedRecognizer('model.onnx')
        recognizer('a.mp4').top(1)

    Needs onnxruntime, NumPy, OpenCV and PyAV for ``.onnx``, and PyTorch for ``.pt2``; MMAction2 for neither.

    Args:
        model: The file.
        labels: Class names: a list, a file, or the name of a dataset; None takes those of ``rows`` or of the file.
        rows: A classifier file (``.safetensors``) with class rows of other names, by the text encoder of the model.
        text_encoder: An exported text encoder, which makes the class rows of ``labels``.
        template: A prompt, or the name of a set of them, for the text encoder; None takes those of the classifier.
        device: Where the model runs, 'cpu' or 'cuda'; None takes the CPU.
        batch_size: Videos that go through the model at once.
        threads: How many compute; None takes the default of onnxruntime.

    Attributes:
        model: The :class:`~textxfer_mm.exported.model.ExportedModel`.

    Raises:
        UserError: A file is missing, of another kind or damaged, or the options do not fit together.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        labels: str | Path | Sequence[str] | None = None,
        rows: str | Path | None = None,
        text_encoder: str | Path | None = None,
        template: str | None = None,
        device: str | None = None,
        batch_size: int = 8,
        threads: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise UserError(f'batch_size={batch_size}: give 1 or more.')
        names = None if labels is None else load_class_names(labels)
        require_sources(names is not None, rows, text_encoder, template)
        self.model, self._batch_size = ExportedModel(model, device, threads), batch_size
        if rows is not None:
            given, own = read_rows(rows), self.model.classes
            self.model.compare_with(given)  # which refuses another width
            require_kin(given, own, str(rows), self.model.description.rows_are_trained)
        if text_encoder is not None:
            self.model.compare_with(self._embedded(names, ExportedTextEncoder(text_encoder, device), template))
        elif names is not None:
            self.model.compare_with(self.model.classes.of(names))

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called."""
        return self.model.classes.class_names

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
            media: Paths, or RGB frames (T, H, W, 3) as uint8, which go by ``'array 0'`` and so on.

        Raises:
            UserError: An array is no video, or the model gives scores that are not finite.
        """
        batch: list[tuple[str, np.ndarray | str]] = []
        for item in self._decoded(media):
            batch.append(item)
            if len(batch) == self._batch_size:
                yield from self._score(batch)
                batch = []
        yield from self._score(batch)

    def _decoded(self, media: Iterable[Medium]) -> Iterator[tuple[str, np.ndarray | str]]:
        """Names with pixels, or the reason why there are none; a thread decodes while the model computes."""
        waiting: list[tuple[str, Future]] = []
        with ThreadPoolExecutor(1) as pool:
            try:
                for position, medium in enumerate(media):
                    waiting.append((name_of(medium, position), pool.submit(self._pixels, medium)))
                    if len(waiting) > _AHEAD * self._batch_size:
                        first, future = waiting.pop(0)
                        yield first, future.result()
                for name, future in waiting:
                    yield name, future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _pixels(self, medium: Medium) -> np.ndarray | str:
        """The pixels of a video, or why there are none."""
        try:
            return self.model.inputs(medium)
        except (ImportError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged file leads to
            return first_line(error)

    def _score(self, batch: Sequence[tuple[str, np.ndarray | str]]) -> Iterator[Result]:
        """Score what has the same shape together, and answer in order."""
        results: list[Any] = [VideoFailure(name, item) if isinstance(item, str) else None for name, item in batch]
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, (_, item) in enumerate(batch):
            if not isinstance(item, str):
                alike.setdefault(item.shape, []).append(place)
        for places in alike.values():
            scores = self.model.scores(np.stack([batch[place][1] for place in places]))  # (n, K)
            for place, row in zip(places, scores, strict=True):
                name = batch[place][0]
                if not np.isfinite(row).all():
                    raise UserError(f'The model gives scores that are not finite for {name}, so there is no result.')
                results[place] = VideoPrediction(name, self.class_names, tuple(row.tolist()))
        yield from results

    def _embedded(self, names: Sequence[str], encoder: ExportedTextEncoder, template: str | None) -> NamedRows:
        """Class rows of other names by a text encoder.

        Raises:
            UserError: It is not the one that the model was trained with.
        """
        own, given = self.model.description.encoder_id, encoder.description.encoder_id
        if own != given:
            raise UserError(
                f'The exported text encoder is {given}, and the class rows of the model are by {own}: export both from '
                'one checkpoint.'
            )
        return encoder.rows(names, None if template is None else resolve_templates(template))


def require_sources(has_labels: bool, rows: Any, text_encoder: Any, template: Any) -> None:
    """Refuse options of class rows that exclude each other, or lack one another.

    Raises:
        UserError: The first of them.
    """
    if rows is not None and text_encoder is not None:
        raise UserError('Give --rows or --text-encoder, not both: either brings the class rows.')
    if text_encoder is not None and not has_labels:
        raise UserError('--text-encoder makes class rows of labels: say which, --labels "waving,clapping".')
    if template is not None and text_encoder is None:
        raise UserError('--template is for a text encoder: an exported model needs --text-encoder for it.')
