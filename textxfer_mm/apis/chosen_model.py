"""The model that a user chose: a config, a checkpoint, the name of a CLIP model, or a model that has been built."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.apis.model_configs import chosen_config
from textxfer_mm.engine.classes import choose_dataset, set_template
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import CONFIG_SUFFIXES, URL, WEIGHT_SUFFIXES
from textxfer_mm.text.class_names import load_class_names

#: The one class of a model whose classes do not matter; it is never embedded.
_UNREAD = 'anything'


def model_of(
    model: nn.Module | Config | str | Path | None, *, checkpoint: str | Path | None = None, **options: Any
) -> nn.Module:
    """The model that is meant, built unless it has been.

    Args:
        model: A checkpoint, a config, the name of an open_clip model, or the folder of one; or a model that
            :func:`~textxfer_mm.apis.load_recognizer` built. None takes the packaged model.
        checkpoint: Weights for a config.
        options: Those of :func:`load_chosen`.

    Raises:
        UserError: The parts do not fit together, or are not at hand.
    """
    if not isinstance(model, nn.Module):
        chosen = dict(meaning_of(model), **({} if checkpoint is None else dict(checkpoint=checkpoint)))
        return load_chosen(**chosen, **options)
    given = [name for name, value in dict(checkpoint=checkpoint, **options).items() if value is not None]
    if set(given) - {'for_any_text'}:
        raise UserError(
            'checkpoint, labels, pretrained, template, glosses, device and dataset belong to a model that is still to '
            'be built: give its config, checkpoint or name instead of the model itself.'
        )
    return model


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
    dataset: str | None = None,
    for_any_text: bool = False,
) -> nn.Module:
    """Build the model that was chosen by a config, a checkpoint or the name of a CLIP model.

    Args:
        config: A config.
        checkpoint: A checkpoint, whose own config is taken where none is given.
        clip: The name of an open_clip model, or the folder of one. Without any of the three, the packaged model.
        labels: Class names: a list, a file, or the name of a dataset. None takes the model's.
        pretrained: Tag or file of the weights of a CLIP model, or of a config's text encoder.
        template: A prompt, or the name of a set of them.
        glosses: Glosses behind the class names, see :func:`~textxfer_mm.engine.classes.set_glosses`.
        device: Where the model runs; None takes the GPU where there is one.
        dataset: By the classes of which dataset it predicts, where the model has several.
        for_any_text: Whether its classes do not matter: a model that has none of its own gets one that nobody reads.

    Raises:
        UserError: The parts do not fit together, or are not at hand.
    """
    if for_any_text and config is None and checkpoint is None:
        labels = [_UNREAD]
    names = None if labels is None else load_class_names(labels, distinct=glosses is None)
    cfg = chosen_config(config=config, checkpoint=checkpoint, clip=clip, pretrained=pretrained, class_names=names)
    if template is not None:
        set_template(cfg, template)
    if dataset is not None:
        choose_dataset(cfg, dataset)
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
