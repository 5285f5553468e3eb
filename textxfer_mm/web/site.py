"""What is served: models, videos to choose from, and uploads; and the one question that page and programs ask."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from textxfer_mm.errors import UserError, nearest, shown
from textxfer_mm.inputs import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from textxfer_mm.web.served_models import Answer, ServedModel
from textxfer_mm.web.uploads import Uploads
from textxfer_mm.web.video_folder import VideoFolder

#: The types of files that may be given.
_TYPES = ', '.join(suffix[1:] for suffix in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES))


@dataclass(frozen=True)
class Site:
    """What is served.

    Attributes:
        models: The models by name; the first one is chosen at the beginning.
        videos: The videos to choose from.
        uploads: Where uploads go.
        labels: The labels that are looked for where none are given.
        most_megabytes: The largest upload.
        closing: Set when the server ends: what takes long is broken off.
    """

    models: dict[str, ServedModel]
    videos: VideoFolder
    uploads: Uploads
    labels: tuple[str, ...] = ()
    most_megabytes: float = 200
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(
        self, upload: str | None, choice: str | None, labels: str | Sequence[str] | None, model: str | None
    ) -> Answer:
        """Recognise what was uploaded or chosen.

        Args:
            upload: The path of an upload.
            choice: Instead of it, the name of a video of the server.
            labels: A text of labels, with commas or line breaks between them, or a list of labels; empty for
                :attr:`labels` or those of the model.
            model: The name of a model; the first one without.

        Raises:
            UserError: Neither or both were given, the labels are no texts, or what :meth:`ServedModel.answer` raises.
        """
        if bool(upload) == bool(choice):
            if upload:
                raise UserError('There is both an upload and the name of a video here: give one of them.')
            raise UserError(
                f'There is no video. Give a video or an image ({_TYPES}; at most {self.most_megabytes:g} MB).'
            )
        chosen = self._model(model)
        wanted = _names_in(labels) or (self.labels if chosen.takes_labels else ())
        with self._file(upload, choice) as path:
            return chosen.answer(Path(path), wanted)

    def with_timeline(
        self,
        answer: Answer,
        upload: str | None,
        choice: str | None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Answer:
        """Add to an answer what happens when.

        Raises:
            UserError: What :meth:`ServedModel.with_timeline` raises, or the file is gone meanwhile.
        """

        def tell(done: int, total: int) -> None:
            if self.closing.is_set():
                raise UserError('The server is closing.')
            if progress is not None:
                progress(done, total)

        with self._file(upload, choice) as path:
            return self._model(answer.model).with_timeline(answer, Path(path), tell)

    def _file(self, upload: str | None, choice: str | None) -> AbstractContextManager[Path]:
        return self.uploads.reading(upload) if upload else nullcontext(self.videos.path(choice))

    def _model(self, name: str | None) -> ServedModel:
        if not name:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise UserError(f'There is no model {shown(name)!r} here.{nearest(name, self.models)}')
        return self.models[name]


def _names_in(labels: str | Sequence[str] | None) -> list[str]:
    """The labels of a text, or of a list, in which one may have a comma of its own.

    Raises:
        UserError: They are neither.
    """
    if labels is None:
        return []
    if isinstance(labels, str):
        parts = [part for line in labels.splitlines() for part in line.split(',')]
    elif isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        parts = [' '.join(label.split()) for label in labels]
    else:
        raise UserError(f'Labels are a text (a, b) or a list of texts, not {shown(repr(labels), 60)}.')
    return [part.strip() for part in parts if part.strip()]
