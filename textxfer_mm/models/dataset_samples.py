"""What data samples say of their dataset, and what the config of a head says of its datasets.

A sample of a model of several datasets has ``dataset_name`` among its metainfo (``TaggedDataset`` writes it), and a
``gt_label`` in the labels of that dataset: one index, or for a dataset with the loss ``'bce'`` one number a class as
well. Where it is one index, ``TaggedDataset`` writes it into the metainfo, too, as ``gt_index``: the metainfo stays on
the CPU when the label goes to a GPU. ``MultiDatasetBlending`` leaves all of them as they are and adds ``gt_mixture``,
which heads then train on: what the blended sample is to each dataset,
:class:`~textxfer_mm.losses.cross_dataset.Target` by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.errors import UserError, nearest, shown
from textxfer_mm.losses.cross_dataset import LOSSES, Target, plain_target
from textxfer_mm.text.class_names import load_class_names

MIXTURE = 'gt_mixture'
#: The meta field with the one label of a sample as a number: who asks for it need not wait for the device.
INDEX = 'gt_index'
_KEYS = ('class_names', 'loss', 'num_classes', 'weight')


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset as the config of a head describes it.

    Attributes:
        class_names: A list, a file or the name of a known list; None where they are not given.
        num_classes: K; None where the names tell it.
        loss: ``'ce'``, or ``'bce'`` for several labels a video.
        weight: Factor of its loss.
    """

    class_names: str | Path | Sequence[str] | None = None
    num_classes: int | None = None
    loss: str = 'ce'
    weight: float = 1.0

    @property
    def classes(self) -> int:
        """K.

        Raises:
            UserError: The class names are wrong, or of another number.
        """
        if self.class_names is None:
            return self.num_classes
        names = load_class_names(self.class_names)
        if self.num_classes not in (None, len(names)):
            raise UserError(
                f'num_classes={self.num_classes}, but there are {len(names)} class names: drop num_classes.'
            )
        return len(names)


def read_datasets(cfg: Any, head: str) -> dict[str, DatasetSpec]:
    """Check the option ``datasets`` of a head.

    Args:
        cfg: Mappings with ``class_names``, ``num_classes``, ``loss`` and ``weight`` by the name of the dataset.
        head: Who has it, for messages.

    Raises:
        UserError: It is nothing of this; the dataset is named.
    """
    if not isinstance(cfg, Mapping) or not cfg:
        raise UserError(
            f'{head} needs `datasets`, as dict(k400=dict(num_classes=400), mit=dict(num_classes=305)), got {cfg!r}.'
        )
    return {name: _read_dataset(name, entry, head) for name, entry in cfg.items()}


def _read_dataset(name: Any, entry: Any, head: str) -> DatasetSpec:
    """One entry of ``datasets``."""
    at = f'{head}: datasets[{name!r}]'
    if not isinstance(name, str) or not name:
        raise UserError(f'{at}: a dataset is told apart by a name that is not empty.')
    if not isinstance(entry, Mapping):
        raise UserError(f'{at} is given as dict(num_classes=...) or dict(class_names=...), got {entry!r}.')
    for key in entry:
        if key not in _KEYS:
            raise UserError(f'{at} takes no {key!r}.{nearest(str(key), _KEYS)}')
    spec = DatasetSpec(**entry)
    if spec.class_names is None and spec.num_classes is None:
        raise UserError(f'{at} needs num_classes or class_names.')
    if spec.num_classes is not None and (not _is_number(spec.num_classes, int) or spec.num_classes < 1):
        raise UserError(f'{at}: num_classes is a whole number from 1, got {spec.num_classes!r}.')
    if spec.loss not in LOSSES:
        raise UserError(f'{at}: unknown loss {spec.loss!r}.{nearest(str(spec.loss), LOSSES)}')
    if not _is_number(spec.weight, (int, float)) or not 0 <= spec.weight < float('inf'):
        raise UserError(f'{at}: weight is a number from 0, got {spec.weight!r}.')
    return spec


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def dataset_of(sample: Any, known: Mapping[str, Any] | None = None, hint: str = '') -> str:
    """The name of a sample's dataset.

    Args:
        sample: A data sample.
        known: The datasets there are, by name; None knows any.
        hint: What else could be done, for the message.

    Raises:
        UserError: The sample has none, or one that is not known.
    """
    name = sample.metainfo.get('dataset_name')
    if not isinstance(name, str) or not name:
        told = 'no dataset_name' if name is None else f'dataset_name={name!r}, which is no name'
        raise UserError(
            f'{_called(sample)} has {told}: wrap each dataset of the dataloader, as '
            f"dict(type='TaggedDataset', name=..., dataset=...).{hint}"
        )
    if known is not None and name not in known:
        raise UserError(f'{_called(sample)} is of the dataset {name!r}, which has no head.{nearest(name, known)}{hint}')
    return name


def labels_of_samples(data_samples: Sequence[Any]) -> list[int | Tensor]:
    """The labels of samples: an index where it is one whole number, else the tensor.

    An index is read from the metainfo, where ``TaggedDataset`` wrote it; those of other samples are brought from the
    device in one step, which waits for all that the device was given before.

    Raises:
        UserError: A sample has no label.
    """
    labels = [getattr(sample, 'gt_label', None) for sample in data_samples]
    for sample, label in zip(data_samples, labels, strict=True):
        if label is None:
            raise UserError(f'{_called(sample)} has no gt_label: training needs one.')
    known = [
        sample.metainfo.get(INDEX, label) if label.numel() == 1 and not label.is_floating_point() else None
        for sample, label in zip(data_samples, labels, strict=True)
    ]
    unread = [index.reshape(1) for index in known if isinstance(index, Tensor)]
    values = iter(torch.cat(unread).tolist() if unread else ())
    read = (next(values) if isinstance(index, Tensor) else index for index in known)
    return [label if index is None else index for index, label in zip(read, labels, strict=True)]


def read_targets(
    data_samples: Sequence[Any], num_classes: Mapping[str, int], kinds: Mapping[str, str]
) -> list[dict[str, Target]]:
    """What each sample is to the datasets of a head.

    Args:
        data_samples: Plain samples, or those that ``MultiDatasetBlending`` has blended.
        num_classes: K of each dataset.
        kinds: ``'ce'`` or ``'bce'`` of each.

    Raises:
        UserError: A sample is of an unknown dataset, or its label is none of that dataset's.
    """
    plain = [sample for sample in data_samples if MIXTURE not in sample.metainfo]
    labels = iter(labels_of_samples(plain))
    targets = []
    for sample in data_samples:
        target = sample.metainfo.get(MIXTURE) or plain_target(dataset_of(sample), next(labels))
        for name, part in target.items():
            if name not in num_classes:
                dataset_of(sample, num_classes)
                raise UserError(
                    f'A sample was blended with one of {name!r}, which has no head.{nearest(name, num_classes)}'
                )
            for label, _ in part.labels:
                _check_label(label, name, num_classes[name], kinds[name], sample)
        targets.append(target)
    return targets


def _check_label(label: int | Tensor, name: str, classes: int, kind: str, sample: Any) -> None:
    """Refuse a label that is none of a dataset's."""
    if isinstance(label, Tensor):
        if kind == 'ce':
            raise UserError(
                f'{_called(sample)} has a label of shape {tuple(label.shape)} and type {label.dtype}, but {name!r} has '
                "one class a video (loss='ce'). Soft labels come from MultiDatasetBlending, not from MixupBlending or "
                "CutmixBlending, which know one dataset; several labels a video need loss='bce'."
            )
        if tuple(label.shape) != (classes,):
            raise UserError(
                f'{_called(sample)} has a label of shape {tuple(label.shape)}, but {name!r} has {classes} classes: '
                'it is one index, or one number for each class.'
            )
    elif not 0 <= label < classes:
        raise UserError(
            f'{_called(sample)} has the label {label}, but {name!r} has the classes 0 to {classes - 1}: give the list '
            'of that dataset, or its num_classes.'
        )


def _called(sample: Any) -> str:
    """What to call a sample in a message."""
    named = (sample.metainfo.get(key) for key in ('filename', 'video_id', 'img_path'))
    return next((f'The sample {shown(name)}' for name in named if name), 'A sample')
