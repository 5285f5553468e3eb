"""The head that learns the words around the class names instead of being given a template."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mmengine.logging import print_log

from textxfer_mm.classifiers.prompt_rows import PromptRows
from textxfer_mm.models.heads.cosine_head import CosineHead
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.registry import MODELS


@MODELS.register_module()
class LearnablePromptHead(CosineHead):
    """Cosine classifier whose prompts are ``[V1] ... [VM] {class name}.`` with learned vectors V (CoOp).

    Zhou et al., 2022; Text4Vis, Table 4 "learnable" and supp. B.4, Eq. 1. The text tower is frozen and no part of the
    state; a checkpoint tests without it (:class:`~textxfer_mm.classifiers.prompt_rows.PromptRows`).

    Args:
        in_channels: The width of the pooled features.
        classifier: A ``TextClassifier`` or its config; its encoder reads the prompts, its templates are not used.
        num_context: M, the number of context vectors; ``None`` takes the number of ``init_words``, or 4.
        class_specific: Learns a context for each class, instead of one for all.
        class_position: Where the class name stands: ``'end'``, ``'middle'`` (behind M // 2 vectors) or ``'front'``.
        init_words: Words that the context starts as, e.g. ``'a video of a'``; ``None`` draws it from N(0, 0.02).
        suffix: The text at the end of the prompt; CoOp's code ends with ``'.'``, Eq. 1 with the class name (``''``).
        text_batch_size: Classes of a forward pass of the tower in training; activations are then computed twice instead
            of kept. ``None`` does all classes at once.
        shared: The options of :class:`~textxfer_mm.models.heads.cosine_head.CosineHead`.

    Raises:
        UserError: The classifier has no tower, options disagree, or (when the tower is loaded) prompts are longer than
            its context length.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        num_context: int | None = None,
        class_specific: bool = False,
        class_position: str = 'end',
        init_words: str | None = None,
        suffix: str = '.',
        text_batch_size: int | None = None,
        **shared: Any,
    ) -> None:
        rows = partial(
            PromptRows,
            build_classifier_source(classifier),
            num_context=num_context,
            class_specific=class_specific,
            class_position=class_position,
            init_words=init_words,
            suffix=suffix,
            chunk_size=text_batch_size,
        )
        super().__init__(in_channels, rows, **shared)
        if isinstance(classifier, Mapping) and 'templates' in classifier:
            print_log(
                f'LearnablePromptHead uses no template: those of the classifier ({classifier["templates"]}) have no '
                f'effect, the prompt is {self.class_rows.source.templates[0]}',
                logger='current',
            )
