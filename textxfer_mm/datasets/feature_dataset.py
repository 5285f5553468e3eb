"""Features in the place of videos: what a frozen backbone gave once is read in every epoch of training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset

from textxfer_mm.errors import UserError, shown
from textxfer_mm.evaluation.feature_shards import FeatureShards, ShardRecord
from textxfer_mm.registry import DATASETS

#: The fewest letters of a digest that stand for it.
_LETTERS = 8


@DATASETS.register_module()
class FeatureDataset(BaseDataset):
    """What ``textxfer features`` wrote, for necks and heads under an :class:`IdentityBackbone`.

    A sample is what a video would be behind the backbone: ``inputs`` (V, D, T, H, W), or (V * T, D, H, W) of a 2-D
    recognizer, and a data sample with the label. Of several copies of a video one is drawn whenever it is read in
    training, with NumPy's generator as augmentations are; in test mode it is the first.

    The entries are ``filename`` and ``label``, so that datasets which select by label wrap it as a ``VideoDataset``.

    Args:
        features: The folder of one split, such as ``OUT/train``.
        pipeline: Steps behind it; they find the features as ``imgs``.
        weights: Digest of the weights that must have made the features, or its first eight letters or more.
        pipeline_digest: The same of the pipeline of the videos.
        test_mode: Whether it is validation or testing.
        kwargs: What :class:`mmengine.dataset.BaseDataset` takes, such as ``metainfo``, ``indices`` and ``lazy_init``.

    Raises:
        UserError: The features are not whole, or other weights or another pipeline made them.
    """

    def __init__(
        self,
        features: str | Path,
        *,
        pipeline: Sequence[dict | Callable] = (dict(type='mmaction.PackActionInputs'),),
        weights: str | None = None,
        pipeline_digest: str | None = None,
        test_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        self.features = str(features)
        self._shards = FeatureShards(features)
        record = self.record
        _require(record.weights, weights, f'{features} holds features of other weights ({record.origin})', 'weights')
        what = f'{features} holds features by another pipeline ({record.origin})'
        _require(record.pipeline, pipeline_digest, what, 'pipeline_digest')
        super().__init__(pipeline=list(pipeline), test_mode=test_mode, **kwargs)

    @property
    def record(self) -> ShardRecord:
        """What made the features."""
        return self._shards.record

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of the features of a video."""
        return self._shards.sample_shape

    @property
    def num_labels(self) -> int:
        """The least number of classes K that the labels need; exactly K where videos have several labels."""
        rows = [file.labels for file in self._shards.files if len(file.labels)]
        return rows[0].shape[1] if rows[0].ndim == 2 else 1 + max(int(labels.max()) for labels in rows)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry a video: its name, its label or labels, and where its features are."""
        return [
            dict(filename=name, label=_indices(label), shard=shard, row=row)
            for name, label, shard, row in self._shards.entries()
        ]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The entry of a video; several labels are (K,) zeros and ones, as in MMAction2's datasets."""
        info = super().get_data_info(idx)
        if isinstance(info['label'], list):
            labels = torch.zeros(self.num_labels)
            labels[info['label']] = 1.0
            info['label'] = labels
        return info

    def prepare_data(self, idx: int) -> Any:
        """Read the features of a video."""
        info = self.get_data_info(idx)
        copies = self._shards.copies
        copy = 0 if self.test_mode or copies == 1 else int(np.random.randint(copies))
        info['imgs'] = self._shards.files[info.pop('shard')].read(info.pop('row'), copy)
        return self.pipeline(info)


def _require(found: str, wanted: str | None, message: str, argument: str) -> None:
    """Refuse features whose digest is not the one that is wanted."""
    if wanted is None:
        return
    if not isinstance(wanted, str) or len(wanted) < _LETTERS:
        raise UserError(f'{argument}={shown(repr(wanted))} of FeatureDataset: give {_LETTERS} letters of the digest.')
    if not found.startswith(wanted):
        raise UserError(
            f'{message}: digest {found[:12]}, the config asks for {wanted[:12]}. Run `textxfer features` into a new '
            'folder.'
        )


def _indices(label: Any) -> Any:
    """A label as it is, or the places of the ones in a row."""
    return [place for place, value in enumerate(label) if value] if isinstance(label, list) else label
