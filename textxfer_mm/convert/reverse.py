"""From checkpoints of our recognizers to the layout of Text4Vis' released code, and to the folders of open_clip."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope
from torch import Tensor

from textxfer_mm.classifiers.stored_rows import FILLED, METADATA, WEIGHT, stored_rows
from textxfer_mm.convert.conversion import refuse_same_file
from textxfer_mm.convert.parts import FUSION, OUR_FUSION, SCALE, SHOWN, VISUAL
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of, write_checkpoint
from textxfer_mm.engine.clip_export import OUR_SCALE, OUR_VISUAL, export_clip, exported_arch
from textxfer_mm.engine.config_files import config_of_checkpoint, load_config
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.files import require_writable_file, require_writable_folder
from textxfer_mm.registry import MODELS

_BLOCK = re.compile(r'^backbone\.temporal\.block(\d+)\.weight$')
_CLASS_ROWS = 'cls_head.class_rows.'
_LEFT_OUT = tuple(_CLASS_ROWS + name for name in (WEIGHT, FILLED, METADATA))
#: Where a TokenT1D that no file of the authors named goes.
_CONTROL_POINT = 'control_point.conv.weight'


def reverse_checkpoint(src: str | Path, dst: str | Path, *, source: str = 'text4vis') -> list[str]:
    """Write a checkpoint of ours as the authors' code reads it: ``model_state_dict`` with their names.

    A file that was converted from theirs comes back entry by entry, bit by bit, with the prefix and dtypes it had.

    Args:
        src: A checkpoint of a recognizer with ``CLIPBackbone``: converted, or trained here.
        dst: The file to write, in one piece, over an older one.
        source: The layout to write: only ``'text4vis'``, since the others hold a text tower, which a recognizer lacks;
            for one that was trained with its text tower see :func:`reverse_to_folder`.

    Returns:
        What was left out and why, one line each.

    Raises:
        UserError: Entries have no place in that layout, or are missing.
    """
    if source == 'multitrain':
        raise UserError('--reverse writes the layout of text4vis only; that of multitrain is read, not written.')
    if source != 'text4vis':
        raise UserError(
            f'--reverse writes the layout of text4vis only: a checkpoint of {source} also holds the text tower, which '
            'a recognizer does not have. One that was trained with its text tower becomes a folder of open_clip: '
            '--source open_clip.'
        )
    target = require_writable_file(dst, 'DST')
    refuse_same_file(src, target)
    loaded = load_checkpoint_file(src)
    state, meta = state_of(loaded, src), loaded.get('meta')
    meta = meta if isinstance(meta, Mapping) and meta.get('source') == 'text4vis' else {}
    renamed, unknown = _renamed(state, meta.get('control_point') or _CONTROL_POINT)
    if unknown:
        shown = first_few(unknown, SHOWN)
        raise UserError(f"{src}: {len(unknown)} entries have no place in the authors' layout: {shown}.")
    missing = [name for name, found in (('backbone.visual.*', VISUAL), (OUR_SCALE, SCALE)) if not _has(renamed, found)]
    if missing:
        raise UserError(f'{src} is no checkpoint of a recognizer with CLIPBackbone: it lacks {" and ".join(missing)}.')
    dtypes, prefix = meta.get('dtypes', {}), meta.get('prefix', '')
    weights = {prefix + name: _in_dtype(value, dtypes.get(name)) for name, value in renamed.items()}
    write_checkpoint(target, dict(model_state_dict=weights))
    return _left_out(state)


def reverse_to_folder(src: str | Path, dst: str | Path, config: str | Path | None = None) -> Path:
    """Write a checkpoint of a recognizer whose both towers were trained as a CLIP model of open_clip.

    Args:
        src: A checkpoint of a run with ``CaptionMatchingHead``, or with another head that trains a text tower.
        dst: The folder of the files, see :func:`~textxfer_mm.text.clip_folders.write_clip_folder`.
        config: The config of the run; None takes the one in the checkpoint.

    Returns:
        The folder.

    Raises:
        UserError: The checkpoint holds no config, or is that of another model.
    """
    if Path(dst).expanduser().exists():  # told before minutes of work; a new folder is made at the end
        require_writable_folder(dst, 'DST')
    cfg = config_of_checkpoint(src) if config is None else load_config(config)
    if 'model' not in cfg:
        raise UserError(f'{config or src} has no `model`: give the config that the checkpoint was trained with.')
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    model = MODELS.build(cfg.model)
    exported_arch(model)
    state = state_of(load_checkpoint_file(src), src)
    load_fully(model, dict(state), src)
    return export_clip(model, state, require_writable_folder(dst, 'DST'))


def _renamed(state: Mapping[str, Any], control_point: str) -> tuple[dict[str, Tensor], list[str]]:
    """The entries under the authors' names, and the names that have none."""
    renamed, unknown = {}, []
    for name, value in state.items():
        block = _BLOCK.match(name)
        if block:
            renamed[f'{VISUAL}transformer.resblocks.{block.group(1)}.{control_point}'] = value
        elif name.startswith(OUR_VISUAL):
            renamed[VISUAL + name.removeprefix(OUR_VISUAL)] = value
        elif name.startswith(OUR_FUSION):
            renamed[FUSION + name.removeprefix(OUR_FUSION)] = value
        elif name == OUR_SCALE:
            renamed[SCALE] = value
        elif name not in _LEFT_OUT:
            unknown.append(name)
    return renamed, unknown


def _has(names: Mapping[str, Tensor], start: str) -> bool:
    return any(name.startswith(start) for name in names)


def _in_dtype(value: Tensor, dtype: str | None) -> Tensor:
    return value if dtype is None else value.to(getattr(torch, dtype))


def _left_out(state: Mapping[str, Any]) -> list[str]:
    """Say what became of the classifier, which the authors' files never hold."""
    held = next(iter(stored_rows(state).values()), None)
    if held is None:
        return []
    line = f"{_CLASS_ROWS}*: the authors' code makes the classifier anew from the class names"
    if held.trained:
        line += '. Its rows were TRAINED here, and are lost: the features may not fit others'
    return [line + '.']
