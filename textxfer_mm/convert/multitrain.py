"""From the checkpoints of MultiTrain's released code to those of our recognizers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.convert.conversion import refuse_same_file
from textxfer_mm.convert.multitrain_parts import (
    BACKBONE,
    HEAD,
    MultiTrainParts,
    split_multitrain,
    told_backbone,
    wider_blocks,
)
from textxfer_mm.convert.parts import SHOWN
from textxfer_mm.engine.checkpoint import write_checkpoint
from textxfer_mm.engine.finite import refuse_non_finite
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.files import require_writable_file
from textxfer_mm.registry import MODELS
from textxfer_mm.text.clip_files import read_weights_file, unnest
from textxfer_mm.version import __version__
from textxfer_mm.wrappers import strip_wrappers


@dataclass(frozen=True)
class MultiTrainConversion:
    """What was recognised, and what was written.

    Attributes:
        src: The source's file.
        dst: Our checkpoint.
        backbone: The config of the backbone.
        head: The config of the head: ``MultiDatasetHead``, ``I3DHead`` for a linear one, or None.
        wider: The blocks that widen.
        entries: How many entries of the file were written.
    """

    src: Path
    dst: Path
    backbone: dict[str, Any]
    head: dict[str, Any] | None
    wider: tuple[int, ...]
    entries: int

    @property
    def datasets(self) -> dict[str, int]:
        """The number of classes K by dataset, in the order of the file; none for a linear head."""
        given = {} if self.head is None else self.head.get('datasets', {})
        return {name: one['num_classes'] for name, one in given.items()}


def convert_multitrain(
    src: str | Path, dst: str | Path, *, renamed: Mapping[str, str] | None = None
) -> MultiTrainConversion:
    """Convert a checkpoint of MultiTrain's released code into one of our recognizers.

    The MViTv2 becomes ``backbone.*``, the classifiers ``cls_head.heads.*``, projections and expander
    ``cls_head.training_only.*``, all in float32. A file of one dataset with a linear head becomes one for ``I3DHead``.

    Args:
        src: The source's file; no code in it runs.
        dst: Our checkpoint; it is written in one piece, over an older one.
        renamed: What datasets of the file are to be called, by the file's name.

    Raises:
        UserError: The file is no such checkpoint, entries are missing, unexpected or of another shape (they are
            listed), or ``dst`` is ``src`` or cannot be written.
    """
    target = require_writable_file(dst, 'DST')
    refuse_same_file(src, target)
    path = Path(src).expanduser()
    parts = split_multitrain(_weights(path), renamed)
    backbone = told_backbone(parts)
    if backbone is None:
        found = first_few(parts.original.values() or parts.unknown, SHOWN) or 'no tensors'
        raise UserError(
            f'{path} does not tell an MViTv2 of MultiTrain (patch_embed.proj, pos_embed_spatial of a square, '
            f'pos_embed_temporal, blocks.*); found {found}.'
        )
    _require_known(renamed or {}, parts, path)
    head = _head(parts)
    found = misfits(parts, backbone, head)
    if found:
        raise UserError(f'{path} does not fit {_shown_arch(backbone)}; {found}')
    refuse_non_finite({parts.original[name]: value for name, value in parts.state.items()}, path)
    done = MultiTrainConversion(path, target, backbone, head, tuple(wider_blocks(parts.of(BACKBONE))), len(parts.state))
    meta = dict(textxfer_mm=__version__, source='multitrain', backbone=backbone, datasets=done.datasets)
    state = {name: value.float().clone().contiguous() for name, value in parts.state.items()}
    write_checkpoint(target, dict(state_dict=state, meta=meta))
    return done


def misfits(parts: MultiTrainParts, backbone: Mapping[str, Any], head: Mapping[str, Any] | None) -> str:
    """Say what does not fit a model: the entries of other shapes first, an empty text where all fits."""
    expected = {BACKBONE + name: shape for name, shape in _shapes(backbone).items()}
    if head is not None:
        expected |= {HEAD + name: shape for name, shape in _shapes(head).items()}
    both = [(name, parts.state[name], shape) for name, shape in expected.items() if name in parts.state]
    groups = {
        'of another shape': [
            f'{parts.original[name]} is {tuple(value.shape)}, not {shape}'
            for name, value, shape in both
            if tuple(value.shape) != shape
        ],
        'not of plain floating-point numbers': [
            f'{parts.original[name]} is {value.dtype}' for name, value, _ in both if not _is_plain(value)
        ],
        'missing': [f'{name} (ours)' for name in expected if name not in parts.state],
        'unexpected': [parts.original[name] for name in parts.state if name not in expected] + parts.unknown,
    }
    found = [f'{len(lines)} {what}: {first_few(lines, SHOWN)}' for what, lines in groups.items() if lines]
    return f'{"; ".join(found)}.{_hint(groups["unexpected"])}' if found else ''


def _weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, without the prefixes of wrappers."""
    entries, _ = unnest(read_weights_file(path), path)
    return strip_wrappers({str(name): value.detach() for name, value in entries.items() if isinstance(value, Tensor)})[
        0
    ]


def _require_known(renamed: Mapping[str, str], parts: MultiTrainParts, path: Path) -> None:
    unknown = [name for name, ours in renamed.items() if ours not in parts.datasets]
    if unknown:
        taken = set(parts.datasets) - set(renamed.values())
        raise UserError(f'{path} has no dataset {unknown[0]!r} to rename.{nearest(unknown[0], taken)}')


def _head(parts: MultiTrainParts) -> dict[str, Any] | None:
    """The config of the head that takes the weights."""
    width = parts.width(f'{BACKBONE}blocks.{_last(parts)}.norm2')
    if parts.is_linear:
        classes = parts.width(f'{HEAD}fc_cls') or 1
        return dict(type='mmaction.I3DHead', in_channels=width, num_classes=classes, average_clips='prob')
    if not parts.datasets:
        return None
    datasets = {name: dict(num_classes=count) for name, count in parts.datasets.items()}
    hidden = [len(value) for name, value in parts.of(f'{HEAD}heads.').items() if name.endswith('fc1.weight')]
    head = dict(type='MultiDatasetHead', in_channels=width, datasets=datasets)
    if hidden and max(hidden, key=hidden.count) != 2048:
        head['hidden_channels'] = max(hidden, key=hidden.count)
    if not parts.has_projections:
        head['projection_weight'] = 0.0
    if parts.has_expander:
        expanded = parts.width(f'{HEAD}training_only.expander.0')
        head |= {} if expanded in (None, 4096) else dict(expander_channels=expanded)
    else:
        head['informative_weight'] = 0.0
    return head


def _last(parts: MultiTrainParts) -> int:
    return max(int(name.split('.')[1]) for name in parts.of(BACKBONE) if name.startswith('blocks.'))


def _shapes(cfg: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's state, without allocating it."""
    with torch.device('meta'):
        model = MODELS.build(dict(cfg))
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _is_plain(value: Tensor) -> bool:
    return value.is_floating_point() and value.layout == torch.strided and not value.is_meta


def _shown_arch(backbone: Mapping[str, Any]) -> str:
    arch = backbone['arch']
    return f'MultiTrainMViT({arch!r})' if isinstance(arch, str) else 'the MViTv2 that most of it tells'


def _hint(unexpected: list[str]) -> str:
    """What unexpected entries are, where that is known."""
    if any('rel_pos' in name or 'cls_token' in name for name in unexpected):
        return " MultiTrain's MViTv2 has neither relative positions nor a class token: is this one of SlowFast?"
    return ''
