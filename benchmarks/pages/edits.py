"""Changes of a config, from which the rows of the pages are made."""

from collections.abc import Callable
from typing import Any

from mmengine.config import Config

Edit = Callable[[Config], None]


def edits(*parts: Edit) -> Edit:
    """Several changes in turn."""

    def edit(cfg: Config) -> None:
        for part in parts:
            part(cfg)

    return edit


def head(**options: Any) -> Edit:
    """Options of the head."""
    return lambda cfg: cfg.model.cls_head.update(options)


def text(**options: Any) -> Edit:
    """Options of the text classifier."""
    return lambda cfg: cfg.model.cls_head.classifier.update(options)


def untrained(cfg: Config) -> None:
    """The model as training finds it."""
    cfg.train_cfg.max_epochs = 0
