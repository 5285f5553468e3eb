"""Repeated augmentation: several copies of a decoded clip, each augmented anew."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from textxfer_mm.errors import UserError
from textxfer_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RepeatAugment(BaseTransform):
    """Gives several copies of a clip that was decoded once, each with augmentations of its own (Hoffer et al., 2020).

    It stands at the end of a pipeline and holds the steps behind the decoder, ``PackActionInputs`` last; all copies
    have the same frames, as in MultiTrain (``AUG.NUM_SAMPLE`` of the released code). A ``MultiDataset`` puts the copies
    side by side into the batch, which then is ``num_repeats`` times as large; other datasets need
    ``collate_fn=dict(type='multi_dataset_collate')``. MMAction2's ``RepeatAugDataset`` does the same for the steps
    ``DecordInit`` and ``DecordDecode`` only, fails on videos that cannot be decoded, and hides the frame rate from the
    step that samples.

    Args:
        transforms: Configs or callables of the steps.
        num_repeats: How many copies.

    Raises:
        UserError: ``num_repeats`` is no whole number of at least 1.
    """

    def __init__(self, transforms: Sequence[dict | Callable], num_repeats: int = 2) -> None:
        super().__init__()
        if not isinstance(num_repeats, int) or isinstance(num_repeats, bool) or num_repeats < 1:
            raise UserError(f'RepeatAugment: num_repeats is a whole number of at least 1, got {num_repeats!r}.')
        self.transforms = Compose(transforms)
        self.num_repeats = num_repeats

    def transform(self, results: dict) -> list[Any] | None:
        """Return the copies; None, for which MMEngine takes another video, where a step drops one."""
        given = [copy.deepcopy(results) for _ in range(self.num_repeats - 1)]
        copies = [self.transforms(one) for one in (*given, results)]
        return None if any(one is None for one in copies) else copies

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms!r}, num_repeats={self.num_repeats})'
