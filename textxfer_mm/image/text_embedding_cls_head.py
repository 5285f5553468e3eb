"""The head that replaces an image classifier's linear layer by the embeddings of the class names."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.image.cosine_cls_head import CosineClsHead
from textxfer_mm.layers.pooling import Features
from textxfer_mm.parts.cosine_classifier import classify, maker_of_rows
from textxfer_mm.registry import MODELS


@MODELS.register_module()
class TextEmbeddingClsHead(CosineClsHead):
    """``TextEmbeddingHead`` for MMPretrain's ``ImageClassifier`` (Text4Vis, section 2.2 and Tables 10 to 12).

    MMPretrain's own heads are handed the logits: losses with label smoothing (``loss=dict(type='LabelSmoothLoss',
    ...)``), soft targets of Mixup and CutMix.

    Args:
        in_channels: The width of the features.
        classifier: See :func:`~textxfer_mm.parts.cosine_classifier.maker_of_rows`, as the other three.
        frozen: Keeps the classifier fixed; ``False`` trains it (supp. Table 2).
        train_templates: Templates of which one is drawn at each training iteration (Table 4, "multiple").
        template_seed: The seed of these draws; 0 unless given.
        shared: The options of :class:`~textxfer_mm.image.cosine_cls_head.CosineClsHead`.

    Raises:
        UserError: An option is unknown or has no effect, or widths or class counts disagree.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        frozen: bool = True,
        train_templates: str | Sequence[str] | None = None,
        template_seed: int | None = None,
        **shared: Any,
    ) -> None:
        rows = maker_of_rows(classifier, frozen=frozen, train_templates=train_templates, template_seed=template_seed)
        super().__init__(in_channels, rows, **shared)

    def loss(self, feats: Features, data_samples: Sequence[Any], **kwargs: Any) -> dict[str, Tensor]:
        """The loss of N images, and accuracies if ``cal_acc``.

        Args:
            feats: Features of a backbone or neck.
            data_samples: N samples with ``gt_label``, or with ``gt_score`` (K,) where labels are soft or several.
            kwargs: What the loss module takes besides.

        Raises:
            UserError: A sample has no label, or scores of another number of classes.
        """
        logits = classify(self, self.embed(feats), training=True)
        _require_labels(data_samples, logits.shape[1])
        return self.stock.loss((logits,), data_samples, **kwargs)


def _require_labels(data_samples: Sequence[Any], num_classes: int) -> None:
    """Refuse samples without labels, or with scores of other classes than the head's."""
    for sample in data_samples:
        if 'gt_score' in sample:
            if sample.gt_score.numel() != num_classes:
                raise UserError(
                    f'A sample has scores of {sample.gt_score.numel()} classes (gt_score), and the head has '
                    f'{num_classes}: num_classes of the data_preprocessor or dataset and the class names must agree.'
                )
        elif 'gt_label' not in sample:
            raise UserError('A sample has neither gt_label nor gt_score: the pipeline must end in PackInputs.')
