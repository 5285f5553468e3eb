"""What the ``config.json`` beside a file of Hugging Face says and its weights do not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textxfer_mm.errors import UserError

#: What an absent entry stands for: the defaults of ``CLIPVisionConfig`` and ``CLIPTextConfig``.
_ACTIVATION, _VISION_HEADS, _TEXT_HEADS = 'quick_gelu', 12, 8


@dataclass(frozen=True)
class HFSettings:
    """Settings of a ``CLIPModel``; None where there is no ``config.json``.

    Attributes:
        quick_gelu: Whether its activation is quick GELU.
        vision_heads: Attention heads of the vision tower.
        text_heads: Attention heads of the text tower.
    """

    quick_gelu: bool | None = None
    vision_heads: int | None = None
    text_heads: int | None = None


def read_hf_settings(path: Path) -> HFSettings:
    """Read the ``config.json`` in the folder of a file of weights, if there is one for a CLIP.

    Raises:
        UserError: It cannot be read, or asks for an activation that no CLIP of open_clip has.
    """
    config = path.parent / 'config.json'
    try:
        content = json.loads(config.read_text(encoding='utf-8')) if config.is_file() else None
    except (OSError, ValueError) as error:
        raise UserError(
            f'{config} beside {path.name} cannot be read as JSON: {error}. Mend it, or move it away.'
        ) from error
    if not isinstance(content, Mapping) or not str(content.get('model_type')).startswith('clip'):
        return HFSettings()
    vision, text = _part(content, 'vision_config'), _part(content, 'text_config')
    activation = vision.get('hidden_act', _ACTIVATION)
    if activation not in ('quick_gelu', 'gelu'):
        raise UserError(f'{config}: hidden_act is {activation!r}; only quick_gelu and gelu have a counterpart here.')
    heads = vision.get('num_attention_heads', _VISION_HEADS)
    text_heads = text.get('num_attention_heads', _TEXT_HEADS) if 'text_config' in content else None
    if any(number is not None and (not isinstance(number, int) or number < 1) for number in (heads, text_heads)):
        raise UserError(f'{config}: num_attention_heads is {heads!r} and {text_heads!r}, not a number of heads.')
    return HFSettings(activation == 'quick_gelu', heads, text_heads)


def _part(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The settings of a tower; those of a tower alone lie at the top."""
    part = content.get(key, content)
    return part if isinstance(part, Mapping) else {}
