"""How pretrained weights expect their frames: taken from their tag or the model config, never guessed."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import timm
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.text.clip_arch import resolve_arch, resolve_pretrained
from textxfer_mm.text.clip_files import is_torchscript
from textxfer_mm.vision.imagenet import TIMM, timm_pretrained_cfg
from textxfer_mm.vision.packaged import PACKAGED, PACKAGED_TOWERS
from textxfer_mm.vision.towers import Arch, with_text_cfg

_KEYS = ('mean', 'std', 'interpolation', 'resize_mode')
_INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic', 'area', 'lanczos')
_RESIZE_MODES = ('shortest', 'longest', 'squash')
_OPENAI = dict(mean=OPENAI_DATASET_MEAN, std=OPENAI_DATASET_STD, interpolation='bicubic', resize_mode='shortest')


def preprocessor_cfg(arch: Arch, pretrained: str | PathLike | None = None) -> dict[str, list[float]]:
    """Return ``mean`` and ``std`` for ``ActionDataPreprocessor``, in units of 0 to 255, channels R, G, B.

    Args:
        arch: An open_clip model name, or a model config; a ``preprocess_cfg`` in the config (with ``mean`` and ``std``
            in units of 0 to 1) decides.
        pretrained: A tag, a local file, ``'packaged'``, ``'timm'`` or None, as for ``CLIPBackbone``. A tag,
            ``'packaged'`` and ``'timm'`` say what they were trained with, and so does a TorchScript archive, which is
            OpenAI's. For any other file this is known only if all tags of the architecture agree.

    Raises:
        UserError: This cannot be known.
    """
    known = _known(arch, pretrained, ('mean', 'std'))
    return {key: [255.0 * value for value in known[key]] for key in ('mean', 'std')}


def input_cfg(arch: Arch, pretrained: str | PathLike | None = None) -> dict[str, Any]:
    """Return ``size`` (height, width) in pixels, ``interpolation`` and ``resize_mode`` of the input.

    Args:
        arch: See :func:`preprocessor_cfg`.
        pretrained: See :func:`preprocessor_cfg`.

    Raises:
        UserError: This cannot be known.
    """
    size = resolve_arch(with_text_cfg(arch))[1]['vision_cfg'].get('image_size', 224)
    known = _known(arch, pretrained, ('interpolation', 'resize_mode'))
    size = (size, size) if isinstance(size, int) else tuple(size)
    return {'size': size, 'interpolation': known['interpolation'], 'resize_mode': known['resize_mode']}


def _known(arch: Arch, pretrained: str | PathLike | None, keys: tuple[str, str]) -> dict[str, Any]:
    """Return the entries ``keys`` (perhaps with others) from whichever source knows them."""
    name, config = resolve_arch(with_text_cfg(arch))
    if 'preprocess_cfg' in config:
        return _from_config(name, config['preprocess_cfg'])
    if pretrained in (PACKAGED, TIMM):
        trained = timm.get_pretrained_cfg(PACKAGED_TOWERS[0]) if pretrained == PACKAGED else timm_pretrained_cfg(arch)
        return {**_OPENAI, 'mean': trained.mean, 'std': trained.std, 'interpolation': trained.interpolation}
    resolved = resolve_pretrained(with_text_cfg(arch), pretrained, also=(PACKAGED, TIMM))
    if isinstance(resolved, str):
        return get_pretrained_cfg(name, resolved)
    if isinstance(resolved, Path) and is_torchscript(resolved):
        return _OPENAI
    tags = [get_pretrained_cfg(name, tag) for tag in list_pretrained_tags_by_model(name)]
    if tags and all(tag[key] == tags[0][key] for tag in tags for key in keys):
        return tags[0]
    weights = f'the weights {resolved}' if resolved else 'random weights'
    reason = 'its tags differ in it' if tags else 'it has no tags to tell'
    raise UserError(
        f'Which {" and ".join(keys)} {weights} of {name} want cannot be known ({reason}). Name a tag, or give `arch` '
        'as a model config with preprocess_cfg=dict(mean=[...], std=[...]) in units of 0 to 1, or write mean and std '
        'into the data_preprocessor yourself, in units of 0 to 255.'
    )


def _from_config(name: str, preprocess_cfg: Mapping[str, Any]) -> dict[str, Any]:
    for key in ('mean', 'std'):
        values = preprocess_cfg.get(key)
        numbers = values if isinstance(values, Sequence) and not isinstance(values, str) else ()
        if len(numbers) != 3 or not all(isinstance(value, int | float) and 0 <= value <= 1 for value in numbers):
            raise UserError(
                f'preprocess_cfg of {name} needs {key} as three numbers between 0 and 1 (R, G, B), not {values}.'
            )
    for key, known in (('interpolation', _INTERPOLATIONS), ('resize_mode', _RESIZE_MODES)):
        value = preprocess_cfg.get(key, _OPENAI[key])
        if value not in known:
            raise UserError(f'Unknown {key}={value!r} in preprocess_cfg of {name}.{nearest(str(value), known)}')
    return {**{key: _OPENAI[key] for key in _KEYS}, **preprocess_cfg}
