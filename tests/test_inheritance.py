"""Composition over inheritance: how deep own classes inherit, and that options of the heads are spelled once."""

import importlib
import inspect
import pkgutil

import pytest

import textxfer_mm
from textxfer_mm.models.heads import (
    CaptionMatchingHead,
    CosineHead,
    LearnablePromptHead,
    MultiDatasetTextHead,
    TextEmbeddingHead,
    VideoTextMatchingHead,
)


def own_classes():
    for module in pkgutil.walk_packages(textxfer_mm.__path__, 'textxfer_mm.'):
        if '.web' in module.name:
            continue
        for _, one in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if one.__module__ == module.name:
                yield one


def depth(one):
    """The longest chain of classes of this package that ends with this one."""
    if not one.__module__.startswith('textxfer_mm.'):
        return 0
    return 1 + max(map(depth, one.__bases__), default=0)


def test_own_inheritance_is_at_most_two_deep():
    deep = {f'{one.__module__}.{one.__qualname__}': depth(one) for one in own_classes()}
    assert len(deep) > 60
    assert not {name: n for name, n in deep.items() if n > 2}


HEADS = (CaptionMatchingHead, TextEmbeddingHead, LearnablePromptHead, MultiDatasetTextHead, VideoTextMatchingHead)


@pytest.mark.parametrize('head', HEADS)
def test_a_head_holds_its_own_options_only(head):
    own = {name for name, p in inspect.signature(head).parameters.items() if p.kind is p.KEYWORD_ONLY}
    shared = set(inspect.signature(CosineHead).parameters)
    assert own
    assert not own & shared
