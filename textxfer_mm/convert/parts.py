"""The parts of a model in the weights of others, and whether they are all there."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from textxfer_mm.convert.arch import RecognizedArch, embed_dim, expected_shapes
from textxfer_mm.convert.dimensions import count_blocks
from textxfer_mm.convert.source_files import SourceFile
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.layers.temporal_transformer import TemporalTransformerLayers
from textxfer_mm.text.clip_files import is_of_text_tower

#: Under which prefixes the parts of a model lie: the authors', and ours (more in ``engine.clip_export``).
VISUAL = 'visual.'
FUSION, OUR_FUSION = 'fusion_model.', 'neck.layers.'
SCALE = 'logit_scale'
TABLE = 'frame_position_embeddings.weight'
#: How many names of a list a message shows: all lists together stay within a screen.
SHOWN = 5
#: The scale of a file that has none, as towers alone: that of every CLIP of OpenAI.
_DEFAULT_SCALE = math.log(100)
#: The authors' TokenT1D in a block: one depthwise Conv1d, whatever it is called.
_PROMPTS = 'prompt_learner.'
_CONTROL_POINT = re.compile(r'^visual\.(transformer\.resblocks\.(\d+)\.)(control_point\.(?:.+\.)?weight)$')


@dataclass
class Parts:
    """The weights of a source by part; ``blocks`` are its TokenT1D by the number of the block.

    ``original`` are the file's names of the entries that it names otherwise, ``notes`` what to tell about the parts.
    """

    visual: dict[str, Tensor]
    fusion: dict[str, Tensor]
    blocks: dict[int, Tensor]
    control_point: str
    scale: Tensor | None
    dropped: dict[str, list[str]]
    unknown: list[str]
    original: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def split(file: SourceFile) -> Parts:
    """Sort the entries of a source into the parts of a model."""
    parts = Parts({}, {}, {}, '', None, {}, [], file.original)
    for name, value in file.weights.items():
        point = _CONTROL_POINT.match(name)
        if point and int(point.group(2)) not in parts.blocks and parts.control_point in ('', point.group(3)):
            parts.blocks[int(point.group(2))], parts.control_point = value, point.group(3)
        elif name.startswith(VISUAL):
            parts.visual[name.removeprefix(VISUAL)] = value
        elif name.startswith(FUSION):
            parts.fusion[name.removeprefix(FUSION)] = value
        elif name == SCALE:
            parts.scale = value
        elif is_of_text_tower(name):
            parts.dropped.setdefault('the text tower, which belongs to the classifier', []).append(name)
        elif name == 'logit_bias':
            parts.dropped.setdefault('one bias for all classes, which changes no score of a softmax', []).append(name)
        elif name.startswith(_PROMPTS):
            parts.dropped.setdefault('the words of the text side, which belong to the classifier', []).append(name)
        else:
            parts.unknown.append(name)
    if file.beside:
        parts.dropped[f'what is not under {file.prefix}*'] = file.beside
    is_tower_alone = 'huggingface' in file.looks_like and not any(map(is_of_text_tower, file.weights))
    if parts.scale is None and is_tower_alone:
        parts.scale = torch.tensor(_DEFAULT_SCALE)
        parts.notes.append('logit_scale: not in the file; ln(100) is written, the scale of the released CLIP models.')
    return parts


def misfits(parts: Parts, known: RecognizedArch) -> str:
    """Say what does not fit an architecture: the entries of other shapes first, an empty text where all fits."""
    expected, given = _expected_and_given(parts, known)
    both = [(name, given[name], shape) for name, shape in expected.items() if name in given]
    shapes = [
        f'{_named(name, parts)} is {tuple(value.shape)}, not {shape}'
        for name, value, shape in both
        if tuple(value.shape) != shape
    ]
    if parts.scale is not None and parts.scale.numel() != 1:
        shapes.append(f'{SCALE} is {tuple(parts.scale.shape)}, not one number')
    scale = [] if parts.scale is None else [(SCALE, parts.scale, ())]
    kinds = [
        f'{_named(name, parts)} is {_kind(value)}'
        for name, value, _ in both + scale
        if not name.endswith('num_batches_tracked') and _kind(value) != 'a plain tensor'
    ]
    missing = [name for name in expected if name not in given] + ([SCALE] if parts.scale is None else [])
    unexpected = [_named(name, parts) for name in given if name not in expected] + parts.unknown
    groups = {
        'of another shape': shapes,
        'not of plain floating-point numbers': kinds,
        'missing': missing,
        'unexpected': unexpected,
    }
    found = [f'{len(lines)} {what}: {first_few(lines, SHOWN)}' for what, lines in groups.items() if lines]
    return f'{"; ".join(found)}.{_hint(unexpected)}' if found else ''


def require_finite(parts: Parts, path: Path) -> None:
    """Refuse weights with NaN or infinity, which give no scores; what float32 cannot hold is infinite here."""
    weights = {VISUAL + name: value for name, value in parts.visual.items()}
    weights |= {FUSION + name: value for name, value in parts.fusion.items()}
    weights |= {f'the TokenT1D of block {number}': value for number, value in parts.blocks.items()}
    weights |= {} if parts.scale is None else {SCALE: parts.scale}
    broken = [
        _named(name, parts) for name, value in weights.items() if not value.float().sum(dtype=torch.float64).isfinite()
    ]
    if broken:
        raise UserError(
            f'{path} holds values that are not finite, in {first_few(broken, SHOWN)}: its training diverged, or the '
            'file is damaged. Give an earlier checkpoint.'
        )


def _expected_and_given(parts: Parts, known: RecognizedArch) -> tuple[dict[str, tuple[int, ...]], dict[str, Tensor]]:
    """The shapes that an architecture with the temporal modules of the parts has, and the tensors of the parts."""
    expected = {VISUAL + name: shape for name, shape in expected_shapes(known.arch, known.image_size).items()}
    given = {VISUAL + name: value for name, value in parts.visual.items()}
    for number, weight in parts.blocks.items():
        block = f'{VISUAL}transformer.resblocks.{number}.'
        given[block + parts.control_point] = weight
        if f'{block}ln_1.weight' in expected:
            expected[block + parts.control_point] = (*expected[f'{block}ln_1.weight'], 1, 3)
    if parts.fusion:
        fusion = _fusion_shapes(parts.fusion, embed_dim(known.arch))
        expected |= {FUSION + name: shape for name, shape in fusion.items()}
        given |= {FUSION + name: value for name, value in parts.fusion.items()}
    return expected, given


def _named(name: str, parts: Parts) -> str:
    """A name with the file's own, where that is another one."""
    other = parts.original.get(name, name)
    return name if other == name else f'{name} ({other})'


def _kind(value: Tensor) -> str:
    """What a tensor is, if it is none of floating-point numbers in memory."""
    if value.is_meta:
        return 'without data'
    if value.layout != torch.strided:
        return 'sparse'
    is_plain = value.is_floating_point() and not value.is_quantized
    return 'a plain tensor' if is_plain else str(value.dtype).removeprefix('torch.')


def _hint(unexpected: list[str]) -> str:
    """What unexpected entries of the released code are, where that is known."""
    if any(name.startswith(FUSION) for name in unexpected):
        return ' Of its sim_header, Transf (T-Trans) and none at all (TAP) have a counterpart here.'
    return ''


def _fusion_shapes(fusion: Mapping[str, Tensor], width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a temporal transformer with as many layers and positions as these weights have."""
    count = count_blocks(fusion, 'transformer.resblocks.')
    rows = len(fusion[TABLE]) if TABLE in fusion and fusion[TABLE].ndim else 77
    with torch.device('meta'):
        layers = TemporalTransformerLayers(width, num_layers=count or 6, num_heads=1, max_frames=rows)
    return {name: tuple(value.shape) for name, value in layers.state_dict().items()}
