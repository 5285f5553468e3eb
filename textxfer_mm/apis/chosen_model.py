"""The model that was chosen by its name, its config or its checkpoint, built."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.apis.model_configs import chosen_config
from textxfer_mm.engine.classes import set_template
from textxfer_mm.inputs import CONFIG_SUFFIXES, URL, WEIGHT_SUFFIXES
from textxfer_mm.text.class_names import load_class_names


def load_chosen(
    *,
    config: Config | str | Path | None = None,
    checkpoint: str | Path | None = None,
    clip: str | None = None,
    labels: str | Path | Sequence[str] | None = None,
    pretrained: str | None = None,
    template: str | None = None,
    glosses: Any = None,
    device: str | None = None,
) -> nn.Module:
    """Build the model that was chosen by a config, a checkpoint or the name of a CLIP model; see
    :class:`~textxfer_mm.apis.recognizer.Recognizer`.

    Raises:
        UserError: The parts do not fit together, or are not at hand.
    """
    names = None if labels is None else load_class_names(labels, distinct=glosses is None)
    cfg = chosen_config(config=config, checkpoint=checkpoint, clip=clip, pretrained=pretrained, class_names=names)
    if template is not None:
        set_template(cfg, template)
    return load_recognizer(cfg, checkpoint, class_names=names, glosses=glosses, device=device)


def meaning_of(model: Config | str | Path | None) -> dict[str, Any]:
    """Whether a config, a checkpoint or a CLIP model was given."""
    if model is None:
        return {}
    if isinstance(model, Config):
        return dict(config=model)
    suffix = Path(model).suffix.lower()
    if suffix in CONFIG_SUFFIXES:
        return dict(config=model)
    if suffix in WEIGHT_SUFFIXES or URL.match(str(model)):
        return dict(checkpoint=model)
    return dict(clip=str(model))
