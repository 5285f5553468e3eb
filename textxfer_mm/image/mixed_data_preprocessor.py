"""Images of batches in which only some samples have a label."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import ImgDataPreprocessor

from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS


@MODELS.register_module()
class MixedDataPreprocessor(ImgDataPreprocessor):
    """``ClsDataPreprocessor`` for mixed batches: MMPretrain's own asks all samples for a label if the first has one.

    Stacks images and normalises them; labels and captions stay as they are.

    Args:
        mean: Of the pixels, one a channel; None with ``std`` None leaves them as they are.
        std: Of the pixels.
        pad_size_divisor: Height and width are padded to a multiple of it.
        pad_value: What with.
        to_rgb: Whether to exchange the first channel and the last.
        batch_augments: Refused: captions cannot be mixed as labels are. ``ImageClassifier`` hands its ``train_cfg`` on.

    Raises:
        UserError: There are ``batch_augments``.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        to_rgb: bool = False,
        batch_augments: dict[str, Any] | None = None,
    ) -> None:
        if batch_augments:
            raise UserError(
                f'MixedDataPreprocessor takes no batch_augments ({batch_augments}): Mixup and CutMix mix labels, and '
                "captions cannot be mixed. Leave out the classifier's train_cfg."
            )
        super().__init__(mean, std, pad_size_divisor=pad_size_divisor, pad_value=pad_value, bgr_to_rgb=to_rgb)
