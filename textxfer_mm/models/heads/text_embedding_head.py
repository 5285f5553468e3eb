"""The head that replaces a video classifier's linear layer by the embeddings of the class names."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from mmengine.logging import MessageHub

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.template_rows import TemplateRows
from textxfer_mm.errors import UserError
from textxfer_mm.models.building import build_classifier_source
from textxfer_mm.models.heads.cosine_head import CosineHead
from textxfer_mm.registry import MODELS


@MODELS.register_module()
class TextEmbeddingHead(CosineHead):
    """Cosine classifier over class embeddings that stay frozen (Text4Vis, section 2.2).

    Matrix, class names, templates and encoder id are part of the checkpoint
    (:class:`~textxfer_mm.classifiers.class_rows.ClassRows`).

    Args:
        in_channels: The width of the pooled features.
        classifier: A classifier source or its config, e.g. ``dict(type='TextClassifier', class_names='kinetics400',
            encoder=dict(type='CLIPTextEncoder', arch='ViT-B-16-quickgelu', pretrained='openai'))``.
        frozen: Keeps the classifier fixed; ``False`` trains it from its initial value (supp. Table 2).
        train_templates: A template set or several templates of which one is drawn at each training iteration, the same
            for all classes (Table 4, "multiple"; :class:`~textxfer_mm.classifiers.template_rows.TemplateRows`);
            testing uses the classifier's own. ``None`` trains with the classifier's own as well.
        template_seed: The seed of these draws, which are the same on all ranks; 0 unless given.
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
        source = build_classifier_source(classifier)
        if train_templates is None:
            if template_seed is not None:
                raise UserError(f'template_seed={template_seed} has no effect without train_templates: leave it out.')
            rows = partial(ClassRows, source, frozen=frozen)
        elif frozen:
            draws = dict(seed=template_seed or 0, iteration=training_iteration)
            rows = partial(TemplateRows, source, train_templates, **draws)
        else:
            raise UserError(
                'train_templates gives training its classifiers, frozen=False trains one itself: take one of the two.'
            )
        super().__init__(in_channels, rows, **shared)


def training_iteration() -> int | None:
    """The iteration of the runner that is training now; None where none is."""
    hub = MessageHub.get_current_instance()
    return int(hub.get_info('iter')) if hub.get_info('loop_stage') == 'train' else None
