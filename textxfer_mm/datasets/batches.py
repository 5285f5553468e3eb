"""Batches of several datasets: the copies of repeated samples side by side, and clips of one shape or none."""

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dataset import pseudo_collate

from textxfer_mm.datasets.tagged import TAG
from textxfer_mm.errors import UserError, shown
from textxfer_mm.registry import FUNCTIONS


def flat_batch(samples: Sequence[Any]) -> list[Any]:
    """The samples of a batch with the copies of repeated ones side by side.

    Args:
        samples: Samples, or lists of the copies of one.

    Raises:
        UserError: Clips have other shapes: what stacks them would pad them with zeros and say nothing.
    """
    flat = list(_flat(samples))
    first = next((sample for sample in flat if _shape(sample) is not None), None)
    for sample in flat:
        if _shape(sample) not in (None, _shape(first)):
            raise UserError(
                f'A batch holds clips of other shapes (views, channels, frames, height, width): {_shape(first)} of '
                f'{_name(first)} and {_shape(sample)} of {_name(sample)}. Give the pipelines of all datasets the same '
                'frames and size in training; in validation and testing, where views may differ, set batch_sampler='
                "dict(type='OneDatasetBatchSampler') in the dataloader."
            )
    return flat


@FUNCTIONS.register_module()
def multi_dataset_collate(batch: Sequence[Any]) -> Any:
    """Collate tagged samples that reach the loader by another way than ``MultiDataset``, which does this itself.

    Args:
        batch: Samples, or lists of the copies of one.

    Raises:
        UserError: See :func:`flat_batch`.
    """
    return pseudo_collate(flat_batch(batch))


def _flat(samples: Sequence[Any]) -> Iterator[Any]:
    for sample in samples:
        yield from _flat(sample) if isinstance(sample, list | tuple) else (sample,)


def _shape(sample: Any) -> tuple[int, ...] | None:
    inputs = sample.get('inputs') if isinstance(sample, dict) else None
    return tuple(inputs.shape) if hasattr(inputs, 'shape') else None


def _name(sample: dict[str, Any]) -> str:
    """The dataset of a sample, for messages."""
    return repr(shown(getattr(sample.get('data_samples'), TAG, sample.get(TAG, 'a dataset without a tag'))))
