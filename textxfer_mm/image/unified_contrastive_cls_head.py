"""The image head that trains on classes and on captions at once."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.image.cosine_cls_head import CosineClsHead
from textxfer_mm.layers.pooling import Features
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.parts.captions import CLIP_SCALE
from textxfer_mm.parts.cosine_classifier import refuse_options
from textxfer_mm.parts.unified_objective import build_objective
from textxfer_mm.registry import MODELS

#: Options of :class:`CosineClsHead` that this head would not read.
_REFUSED = ('multi_label', 'loss', 'cal_acc', 'thr', 'init_bias', 'normalize')


@MODELS.register_module()
class UnifiedContrastiveClsHead(CosineClsHead):
    """``UnifiedContrastiveHead`` for MMPretrain's ``ImageClassifier`` (iCLIP: Wei et al., CVPR 2023).

    Samples are told apart as there; ``PackInputs(meta_keys=('caption',))`` hands a caption on. Batches in which only
    some samples have a label need the data preprocessor
    :class:`~textxfer_mm.image.mixed_data_preprocessor.MixedDataPreprocessor`.

    Args:
        in_channels: The width of the features.
        classifier: A ``TextClassifier`` or its config: the class names and templates, and the encoder whose text tower
            is trained.
        text_batch_size: Classes, or captions, of a forward pass of the text tower, see
            :class:`~textxfer_mm.models.heads.unified_contrastive_head.UnifiedContrastiveHead`.
        objective: The options of :class:`~textxfer_mm.parts.unified_objective.UnifiedObjective`.
        shared: The options of :class:`~textxfer_mm.image.cosine_cls_head.CosineClsHead`, without those of its losses.
            Unless given, the scale is CLIP's.

    Raises:
        UserError: An option is unknown, or the classifier has no text tower.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        text_batch_size: int | None = None,
        objective: dict[str, Any] | None = None,
        **shared: Any,
    ) -> None:
        refuse_options(self, shared, _REFUSED, 'its losses are those of its objective, without a bias')
        rows = partial(TowerRows, build_classifier_source(classifier), chunk_size=text_batch_size, follow_seed=True)
        super().__init__(in_channels, rows, **{**CLIP_SCALE, **shared})
        self.objective = build_objective(objective)

    @property
    def topk(self) -> tuple[int, ...]:
        """Which top-k accuracies training logs."""
        return self.stock.topk

    def loss(self, feats: Features, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Losses of N images, see :meth:`~textxfer_mm.parts.unified_objective.UnifiedObjective.losses`."""
        return self.objective.losses(self, self.embed(feats), data_samples)
