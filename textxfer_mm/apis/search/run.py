"""Which of my videos, and where in them: an index that is built once and then asked."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from torch import nn

from textxfer_mm.apis.chosen_model import model_of
from textxfer_mm.apis.media_files import find_media
from textxfer_mm.apis.search.contents import Contents
from textxfer_mm.apis.search.moments import MomentEncoder
from textxfer_mm.apis.search.query_vectors import templates_of, vector_of_file, vector_of_text
from textxfer_mm.apis.search.ranking import best_moments, cosines, spread_of
from textxfer_mm.apis.search.results import Found, Hit
from textxfer_mm.apis.search.shards import IndexedFile
from textxfer_mm.apis.search.store import IndexFolder, IndexRecord
from textxfer_mm.apis.search.updating import Progress, Update, differences, look_at, update_index
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.evaluation.digests import digest
from textxfer_mm.inputs import find_query_file, require_cosine, require_seconds
from textxfer_mm.text.digests import cache_dir


class VideoSearch:
    """Finds moments of videos, and images, by a text or by another video or image.

    Example::

        search = VideoSearch('my_videos/')
        for hit in search('a person falls down').hits:
            print(hit.score, hit.path, hit.start, hit.end)
        search(Path('query.mp4'))

    The index is brought up to date when the object is made; :meth:`update` does so again. The search is exact: every
    moment is compared.

    Args:
        paths: Videos, images, folders with subfolders, patterns and lists, as
            :func:`~textxfer_mm.apis.find_media` takes them. None searches an index as it is, and looks at no file.
        model: A checkpoint, a config, the name of an open_clip model, or the folder of one; or a model that
            :func:`~textxfer_mm.apis.load_recognizer` built. None takes the packaged model.
        checkpoint: Weights for a config.
        pretrained: Tag or file of the weights of a CLIP model, or of a config's text encoder.
        template: A prompt for texts, or the name of a set of them; None takes a text as it is written.
        device: Where the model runs; None takes the GPU where there is one.
        index: The folder of the index; None takes one in the cache, by paths and model.
        window: Length of a moment, in seconds; None takes the model's own window, near two seconds for most.
        stride: From one moment to the next, in seconds; None takes half a window.
        batch_size: Frames that go through the backbone at once.
        rebuild: Whether all is indexed anew.
        progress: Called with some work, what is done of it and all of it.

    Attributes:
        index: The folder of the index.
        last_update: What the last update did.

    Raises:
        UserError: The parts do not fit together, the index is one of other weights or paths, another run is writing it,
            it cannot be written, or nothing could be indexed.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path] | None = None,
        model: nn.Module | Config | str | Path | None = None,
        *,
        checkpoint: str | Path | None = None,
        pretrained: str | None = None,
        template: str | None = None,
        device: str | None = None,
        index: str | Path | None = None,
        window: float | None = None,
        stride: float | None = None,
        batch_size: int = 16,
        rebuild: bool = False,
        progress: Progress | None = None,
    ) -> None:
        require_seconds(window, 'window')
        require_seconds(stride, 'stride')
        if batch_size < 1:
            raise UserError(f'batch_size={batch_size}: give 1 or more.')
        if paths is None and (index is None or rebuild):
            raise UserError('Give paths of videos, or the folder of an index that is there.')
        self._templates = templates_of(template)
        self._paths, self._progress = paths, progress
        if paths is not None:
            find_media(paths)  # before a model is built, and before an index is cleared
        options = dict(pretrained=pretrained, device=device, for_any_text=True)
        self._model = model_of(model, checkpoint=checkpoint, **options)
        self._encoder = MomentEncoder(self._model, window, stride, batch_size)
        sources = () if paths is None else _sources(paths)
        made_by = dict(weights=self._encoder.weights, pipeline=self._encoder.pipeline)
        place = index or cache_dir() / 'search' / digest([*sources, *made_by.values()])[:16]
        self._record = IndexRecord(**made_by, sources=sources, about=_title(self._model))
        self._folder = IndexFolder(place)
        self.index = self._folder.folder
        self.last_update = Update()
        self._contents = self._open(rebuild)

    def _open(self, rebuild: bool) -> Contents:
        """Bring the index up to date, or look at it as it is."""
        if self._paths is None:
            if self._folder.record() is None:
                raise UserError(f'{shown(self.index)} holds no index: give paths of videos as well, to make one.')
            self._folder.require(self._record)
            return self._folder.contents()
        if rebuild:
            with self._folder.writing():
                self._folder.clear()
        self.update()
        return self._contents

    def update(self) -> Update:
        """Add new files to the index, redo changed ones and drop gone ones.

        Raises:
            UserError: See :class:`VideoSearch`.
        """
        if self._paths is None:
            raise UserError('An index that was opened without paths is searched as it is: give its paths to update it.')
        media = find_media(self._paths)
        if self._folder.record() is not None:
            self._folder.require(self._record)
            look, contents = look_at(media), self._folder.contents()
            if not any(differences(contents, look)):  # which needs no lock
                self._contents, self.last_update = contents, Update(unread=look.unread)
                return self.last_update
        with self._folder.writing():
            if self._folder.record() is None:
                self._folder.begin(self._record)
            self._folder.require(self._record)  # another process may have been faster
            self.last_update = update_index(self._folder, self._encoder, media, self._progress)
        self._contents = self._folder.contents()
        return self.last_update

    def __len__(self) -> int:
        """How many moments there are."""
        return self._contents.moments

    @property
    def files(self) -> tuple[IndexedFile, ...]:
        """What is indexed."""
        return tuple(self._contents.files)

    def __call__(
        self, query: str | Path, *, topk: int = 10, per_file: int | None = 3, threshold: float | None = None
    ) -> Found:
        """Find the moments that are most like a text, a video or an image.

        A video is compared as a whole: the mean of its moments. If it is itself in the index, it is not among what is
        found.

        Args:
            query: A text; or the path of a video or image: a ``Path``, or what ends like the name of one.
            topk: How many moments are wanted; those that overlap a better one of their file are left out.
            per_file: The most of one file; None sets no limit.
            threshold: The least score, -1 to 1; None sets none.

        Raises:
            UserError: There is no such file, it cannot be decoded, the model has no text encoder or knows nothing of
                the text, nothing is indexed, or no score reaches the threshold.
        """
        if topk < 1 or (per_file is not None and per_file < 1):
            raise UserError(f'topk={topk} and per_file={per_file}: give 1 or more.')
        require_cosine(threshold, 'threshold')
        file, contents = find_query_file(query), self._contents
        if not contents.moments:
            raise UserError(f'The index {shown(self.index)} holds nothing that could be decoded.')
        if file is None:
            width = contents.vectors[0].shape[1]
            vector = vector_of_text(self._model, str(query), self._templates, width)
        else:
            vector = vector_of_file(self._encoder, file)
        scores = cosines(contents.vectors, vector)
        owner = contents.owner
        notes = []
        if file is not None:
            path = os.path.abspath(file)
            own = [n for n, one in enumerate(contents.files) if one.path == path]
            if own and len(contents.files) > 1:
                owner = np.where(owner == own[0], -1, owner)
                notes.append('The query is one of the files of the index: it is left out.')
        rows = best_moments(
            scores, owner, contents.starts, contents.ends, topk=topk, per_file=per_file, threshold=threshold
        )
        if not rows:
            best = best_moments(scores, owner, contents.starts, contents.ends, topk=1)
            raise UserError(self._nothing(query, threshold, self._hit(best[0], scores) if best else None))
        hits = tuple(self._hit(row, scores) for row in rows)
        for remark in ('gone since', 'changed since'):
            names = list(dict.fromkeys(hit.name for hit in hits if hit.remark == remark))
            if names:
                notes.append(f'{remark.capitalize()} it was indexed: {first_few(names)}. Give the paths to update it.')
        return Found(
            query=str(query),
            is_file=file is not None,
            hits=hits,
            moments=int((owner >= 0).sum()),
            files=len(np.unique(owner[owner >= 0])),
            quantiles=spread_of(scores, owner),
            skipped=contents.skipped,
            notes=tuple(notes),
        )

    def _hit(self, row: int, scores: np.ndarray) -> Hit:
        contents = self._contents
        file = contents.files[contents.owner[row]]
        times = float(contents.starts[row]), float(contents.ends[row])
        return Hit(file.path, file.name, *times, float(scores[row]), _remark(file))

    def _nothing(self, query: str | Path, threshold: float | None, best: Hit | None) -> str:
        what = f'No moment of {len(self._contents.files):,} files'
        if best is None:
            return f'{what} is left to compare with {shown(query)!r}.'
        return (
            f'{what} reaches {threshold:g} for {shown(query)!r}; the best is {best.score:.3f}, in {shown(best.name)} '
            f'at {best.start:.1f} s.'
        )


def _sources(paths: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """The paths that were named, absolute."""
    given = [paths] if isinstance(paths, str | Path) else paths
    return tuple(os.path.abspath(os.path.expanduser(path)) for path in given)


def _title(model: nn.Module) -> str:
    """What to call a model."""
    cfg: Any = model.cfg
    if cfg.filename:
        return Path(cfg.filename).name
    backbone = cfg.model.backbone
    arch = backbone.get('arch')
    return f'{backbone["type"]} {arch}' if isinstance(arch, str) else str(backbone['type'])


def _remark(file: IndexedFile) -> str:
    """How a file is now against how it was indexed."""
    try:
        status = os.stat(file.path)
    except OSError:
        return 'gone since'
    return '' if (status.st_size, status.st_mtime_ns) == (file.size, file.changed) else 'changed since'
