"""What differs between MMAction2's recognizers and MMPretrain's image classifiers: whoever meets both asks here."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope, init_default_scope
from torch import Tensor, nn

from textxfer_mm.layers.pooling import Features, pool_features

#: The default scope of a config that names none.
DEFAULT_SCOPE = 'mmaction'
#: What the head is called, in configs and models: MMAction2's name and MMPretrain's.
HEADS = ('cls_head', 'head')


def enter_scope(cfg: Mapping[str, Any]) -> None:
    """Let types without a prefix mean those of the framework of a config."""
    init_default_scope(cfg.get('default_scope') or DEFAULT_SCOPE)


def in_scope(cfg: Mapping[str, Any]) -> AbstractContextManager:
    """The same for what is built inside ``with``: another model may have entered its own scope since."""
    return DefaultScope.overwrite_default_scope(cfg.get('default_scope') or DEFAULT_SCOPE)


def head_name(model: nn.Module | Mapping[str, Any]) -> str:
    """What the head of a model, or of the ``model`` of a config, is called; MMAction2's name where there is none."""
    parts = dict(model.named_children()) if isinstance(model, nn.Module) else model
    return next((name for name in HEADS if parts.get(name)), HEADS[0])


def head_module(model: nn.Module) -> nn.Module | None:
    """The head of a model."""
    return getattr(model, head_name(model), None)


def takes_images(model: nn.Module | Mapping[str, Any]) -> bool:
    """Whether a model, or the ``model`` of a config, is one of images: ``ImageClassifier`` or what is built alike."""
    return head_name(model) == 'head'


def features_of(model: nn.Module, batch: Sequence[Any], **options: Any) -> tuple[Features, dict[str, Any]]:
    """Features of some samples of a dataset, and what the model hands to its head besides.

    Args:
        model: A recognizer, or an image classifier.
        batch: N samples, as a pipeline packs them.
        options: What ``extract_feat`` takes, such as ``stage``; ``test_mode`` is a recognizer's alone.
    """
    inputs = model.data_preprocessor(pseudo_collate(batch), training=False)['inputs']
    if takes_images(model):
        options.pop('test_mode', None)
        return model.extract_feat(inputs, **options), {}
    return model.extract_feat(inputs, **options)


def average_of(head: nn.Module) -> str | None:
    """How a head averages views (``average_clips``); those of MMPretrain, which have one view, as probabilities."""
    return getattr(head, 'average_clips', 'prob')


def has_several_labels(head: nn.Module | Mapping[str, Any]) -> bool:
    """Whether a head, or its config, is one of several labels a sample: ``multi_class`` or ``multi_label``."""
    read = head.get if isinstance(head, Mapping) else lambda name: getattr(head, name, None)
    return bool(read('multi_class') or read('multi_label'))


def embeddings_of(model: nn.Module, feats: Features) -> Tensor:
    """What the head of a model compares with its rows (rows, D): pooled, and projected where it projects."""
    head = head_module(model)
    embed = getattr(head, 'embed', None) or pool_features
    return embed(feats)
