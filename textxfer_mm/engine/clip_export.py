"""A recognizer whose both towers were trained as a CLIP model of open_clip."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_folders import write_clip_folder
from textxfer_mm.text.text_tower import CLIPTextTower
from textxfer_mm.vision.clip_tower import CLIPVisionTower
from textxfer_mm.vision.positions import GRID

#: Where the parts of a CLIP lie in the state of a recognizer.
OUR_VISUAL, OUR_TEXT, OUR_SCALE = 'backbone.visual.', 'cls_head.class_rows.tower.model.', 'cls_head.cosine.logit_scale'


def export_clip(model: nn.Module, state: Mapping[str, Any], folder: str | Path, dtype: str = 'float32') -> Path:
    """Write the two towers and the scale of a recognizer in open_clip's local form.

    Args:
        model: The recognizer, see :func:`exported_arch`.
        state: Its state dict: that of now, or that of a checkpoint.
        folder: The folder of the files; it is made.
        dtype: ``'float32'`` or ``'float16'``.

    Returns:
        The folder.

    Raises:
        UserError: The model is no CLIP, the state lacks a part of it, or the files cannot be written.
    """
    arch = exported_arch(model)
    return write_clip_folder(folder, arch, open_clip_state(state, arch), dtype)


def open_clip_state(state: Mapping[str, Any], arch: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict of a recognizer -> that of open_clip's model, with what both have.

    Args:
        state: The state dict.
        arch: The model config; it decides whether the text tower lies under ``text.`` or inline.

    Raises:
        UserError: A tower or the scale is missing.
    """
    parts = (OUR_VISUAL, OUR_TEXT, OUR_SCALE)
    missing = [part for part in parts if not any(name.startswith(part) for name in state)]
    if missing:
        raise UserError(f'The weights hold no whole CLIP: they lack {" and ".join(missing)}.')
    is_apart = arch.get('custom_text') or arch['text_cfg'].get('hf_model_name')
    text = 'text.' if is_apart else ''
    renamed = {f'visual.{name.removeprefix(OUR_VISUAL)}': x for name, x in state.items() if name.startswith(OUR_VISUAL)}
    renamed.pop(f'visual.{GRID}', None)  # the model config tells it
    renamed |= {f'{text}{name.removeprefix(OUR_TEXT)}': x for name, x in state.items() if name.startswith(OUR_TEXT)}
    return {**renamed, 'logit_scale': state[OUR_SCALE]}


def exported_arch(model: nn.Module) -> dict[str, Any]:
    """The model config of the CLIP that a recognizer is, with the ``preprocess_cfg`` that it was trained with.

    Mean and standard deviation are those of its data preprocessor; how frames are resized is told by the
    ``preprocess_cfg`` of its ``arch``, and is OpenAI's way otherwise.

    Args:
        model: A recognizer with a ``CLIPBackbone``, a neck without weights and a head that trains a text tower of
            open_clip.

    Raises:
        UserError: It is another one, or its towers are not those of one model config.
    """
    backbone, head = _require_clip(model)
    vision, text = backbone.model_config, head.class_rows.source.encoder.model_config
    for key in ('embed_dim', 'vision_cfg', 'quick_gelu'):
        ours, other = _compared(vision, key), _compared(text, key)
        if ours != other:
            raise UserError(
                f'The two towers are of different models, so they make no CLIP: {key} is {ours} in the arch of the '
                f'backbone and {other} in that of the text encoder. Give both the same arch.'
            )
    told = text.get('preprocess_cfg', {}) | vision.get('preprocess_cfg', {})
    preprocess = {'interpolation': 'bicubic', 'resize_mode': 'shortest', **told, **_pixel_statistics(model)}
    return {**text, 'vision_cfg': vision['vision_cfg'], 'preprocess_cfg': preprocess}


def _require_clip(model: nn.Module) -> tuple[CLIPVisionTower, nn.Module]:
    """Backbone and head of a recognizer that is a CLIP and nothing else."""
    backbone, neck, head = (getattr(model, part, None) for part in ('backbone', 'neck', 'cls_head'))
    rows = getattr(head, 'class_rows', None)
    tower = rows.require_tower() if isinstance(rows, TowerRows) else None
    reason = ''
    if not isinstance(backbone, CLIPVisionTower):
        reason = f'its backbone is {type(backbone).__name__}, not CLIPBackbone'
    elif backbone.temporal:
        reason = 'its backbone has temporal modules, which open_clip does not know'
    elif neck is not None and neck.state_dict():
        reason = f'its neck {type(neck).__name__} has weights, which open_clip does not know'
    elif not isinstance(tower, CLIPTextTower):
        reason = (
            f'its head {type(head).__name__} trains no text tower of open_clip, as CaptionMatchingHead does with a '
            'CLIPTextEncoder'
        )
    elif head.projection.state_dict():
        reason = f'its head has a projection ({type(head.projection).__name__}), which open_clip does not know'
    elif 'multimodal_cfg' in rows.source.encoder.model_config:
        reason = 'its arch has a third tower (multimodal_cfg)'
    if reason:
        raise UserError(f'This model cannot be saved as a CLIP model of open_clip: {reason}.')
    return backbone, head


def _compared(config: Mapping[str, Any], key: str) -> Any:
    """An entry that both towers must have in common; the input size is the backbone's alone."""
    value = config.get(key, False)
    return {name: x for name, x in value.items() if name != 'image_size'} if isinstance(value, Mapping) else value


def _pixel_statistics(model: nn.Module) -> dict[str, list[float]]:
    """Mean and standard deviation of the pixels (R, G, B) in units of 0 to 1; frames as they are have 0 and 1 / 255."""
    mean, std = (getattr(model.data_preprocessor, name, None) for name in ('mean', 'std'))
    if mean is None or std is None:
        return dict(mean=[0.0] * 3, std=[1 / 255] * 3)
    return {name: [round(v / 255, 8) for v in x.flatten().tolist()] for name, x in (('mean', mean), ('std', std))}
