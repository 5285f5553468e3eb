"""The head that replaces a video classifier's linear layer by the embeddings of the class names."""

from collections.abc import Sequence
from typing import Any

from textxfer_mm.models.heads.cosine_head import CosineHead
from textxfer_mm.parts.cosine_classifier import maker_of_rows
from textxfer_mm.registry import MODELS


@MODELS.register_module()
class TextEmbeddingHead(CosineHead):
    """Cosine classifier over class embeddings that stay frozen (Text4Vis, section 2.2).

    Matrix, class names, templates and encoder id are part of the checkpoint
    (:class:`~textxfer_mm.classifiers.class_rows.ClassRows`).

    Args:
        in_channels: The width of the pooled features.
        classifier: See :func:`~textxfer_mm.parts.cosine_classifier.maker_of_rows`, as the other three.
        frozen: Keeps the classifier fixed; ``False`` trains it (supp. Table 2).
        train_templates: Templates of which one is drawn at each training iteration (Table 4, "multiple").
        template_seed: The seed of these draws; 0 unless given.
        shared: The options of :class:`~textxfer_mm.models.heads.cosine_head.CosineHead`.

    Raises:
        UserError: An option is unknown, or widths or class counts disagree.
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
