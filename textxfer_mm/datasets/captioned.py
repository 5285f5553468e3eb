"""Captioned images and videos in files, for heads that match captions; they mix with lists of labels."""

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.dist import get_rank

from textxfer_mm.datasets.caption_files import read_captions
from textxfer_mm.datasets.places import join, missing_files
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.registry import DATASETS

from mmaction.datasets import BaseActionDataset  # isort: skip  (after the registry: it repairs mmaction)


@DATASETS.register_module()
class CaptionedImages(BaseDataset):
    """Images with captions from a table or JSON lines, under MMPretrain and MMAction2 alike.

    Each caption is a sample with ``img_path`` and ``caption``; an image of several captions is several samples. At the
    end of the pipeline ``PackInputs(meta_keys=('caption',))`` hands captions on, or ``ImageAsFrames`` and
    ``PackActionInputs(meta_keys=('caption',))``.

    Args:
        ann_file: See :func:`~textxfer_mm.datasets.caption_files.read_captions`.
        pipeline: Steps that begin with ``LoadImageFromFile``.
        data_prefix: ``dict(img_path='FOLDER')``, where the paths begin.
        path_key: The column of the paths, if it has no usual name.
        caption_key: That of the captions.
        fraction: Share of the files that is kept, with all their captions, drawn with ``seed``; a larger share holds a
            smaller one.
        seed: Seed of that draw, whatever that of the run is.
        check_files: Whether to look for all images as the list is read; the first process does, folder by folder.
        options: Those of every dataset of MMEngine: ``data_root``, ``test_mode``, ``indices``, ``lazy_init``, ...

    Raises:
        UserError: The file lacks a column, a row a path or a caption, or images are missing.
    """

    def __init__(
        self,
        ann_file: str | Path,
        pipeline: Sequence[Any],
        *,
        data_prefix: Mapping[str, str] | None = None,
        path_key: str | None = None,
        caption_key: str | None = None,
        fraction: float = 1.0,
        seed: int = 0,
        check_files: bool = True,
        **options: Any,
    ) -> None:
        self.path_key, self.caption_key, self.check_files = path_key, caption_key, check_files
        self.fraction, self.seed = _fraction(self, fraction), seed
        prefix = _prefix(self, data_prefix, 'img_path')
        super().__init__(ann_file=str(ann_file), pipeline=list(pipeline), data_prefix=prefix, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the list."""
        return _entries(self, 'img_path')


@DATASETS.register_module()
class CaptionedVideos(BaseActionDataset):
    """Videos with captions from a table or JSON lines, under MMAction2.

    As :class:`CaptionedImages`, with ``filename`` and ``caption``, and ``dict(video='FOLDER')`` as ``data_prefix``.
    MMAction2's own ``VideoTextDataset`` reads a JSON file of ``{video: [captions]}`` and gives ``text``, which the
    heads take as well.

    Args:
        ann_file: See :func:`~textxfer_mm.datasets.caption_files.read_captions`.
        pipeline: Steps that begin with ``TolerantDecordInit``, or another one that opens a video.
        data_prefix: Where the paths begin.
        path_key: The column of the paths, if it has no usual name.
        caption_key: That of the captions.
        fraction: Share of the videos that is kept, with all their captions, drawn with ``seed``; a larger share holds a
            smaller one.
        seed: Seed of that draw, whatever that of the run is.
        check_files: Whether to look for all videos as the list is read.
        options: Those of every dataset of MMAction2.

    Raises:
        UserError: See :class:`CaptionedImages`.
    """

    def __init__(
        self,
        ann_file: str | Path,
        pipeline: Sequence[Any],
        *,
        data_prefix: Mapping[str, str] | None = None,
        path_key: str | None = None,
        caption_key: str | None = None,
        fraction: float = 1.0,
        seed: int = 0,
        check_files: bool = True,
        **options: Any,
    ) -> None:
        self.path_key, self.caption_key, self.check_files = path_key, caption_key, check_files
        self.fraction, self.seed = _fraction(self, fraction), seed
        prefix = _prefix(self, data_prefix, 'video')
        super().__init__(ann_file=str(ann_file), pipeline=list(pipeline), data_prefix=prefix, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the list."""
        return _entries(self, 'filename', folder='video')


def _prefix(dataset: Any, given: Any, key: str) -> dict[str, str]:
    """The ``data_prefix`` of a dataset, one folder.

    Raises:
        UserError: It is none.
    """
    if given is None:
        return {key: ''}
    if not isinstance(given, Mapping) or set(given) != {key} or not isinstance(given[key], str):
        raise UserError(
            f'{type(dataset).__name__} takes data_prefix=dict({key}="FOLDER"), where its paths begin; got '
            f'{shown(repr(given), 80)}.'
        )
    return dict(given)


def _fraction(dataset: Any, given: Any) -> float:
    """The share of the files that is kept.

    Raises:
        UserError: It is none.
    """
    if not isinstance(given, Real) or isinstance(given, bool) or not 0 < given <= 1:
        raise UserError(
            f'{type(dataset).__name__}: fraction is a number above 0 and up to 1, got {shown(repr(given))}. To train '
            'without captions leave the dataset out.'
        )
    return float(given)


def _kept(dataset: Any, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs of the files that are drawn, in their order.

    Raises:
        UserError: None is.
    """
    if dataset.fraction == 1:
        return pairs
    paths = list(dict.fromkeys(path for path, _ in pairs))
    count = round(dataset.fraction * len(paths))
    if not count:
        raise UserError(f'fraction={dataset.fraction:g} of {len(paths)} files leaves none: {shown(dataset.ann_file)}.')
    drawn = {paths[place] for place in np.random.default_rng(dataset.seed).permutation(len(paths))[:count]}
    return [pair for pair in pairs if pair[0] in drawn]


def _entries(dataset: Any, key: str, folder: str | None = None) -> list[dict[str, Any]]:
    """The entries of a list, whose files are there.

    Raises:
        UserError: Some are missing.
    """
    pairs = read_captions(dataset.ann_file, path_key=dataset.path_key, caption_key=dataset.caption_key)
    pairs = _kept(dataset, pairs)
    root = dataset.data_prefix[folder or key]
    entries = [{key: join(root, path), 'caption': caption} for path, caption in pairs]
    if dataset.check_files and get_rank() == 0:
        paths = list(dict.fromkeys(entry[key] for entry in entries))
        missing = missing_files(paths)
        if missing:
            raise UserError(
                f'{len(missing)} of {len(paths)} files of {shown(dataset.ann_file)} are missing: '
                f'{first_few(missing)}. Restore them, take them off the list, or give data_prefix=dict({folder or key}='
                '"FOLDER"), where its paths begin.'
            )
    return entries
