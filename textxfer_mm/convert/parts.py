"""The parts of a model in the weights of others, and whether they are all there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from textxfer_mm.convert.arch import RecognizedArch, embed_dim, expected_shapes
from textxfer_mm.convert.source_files import SourceFile
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.layers.temporal_transformer import TemporalTransformerLayers
from textxfer_mm.text.clip_files import is_of_text_tower

#: Under which prefixes the parts of a model lie: the authors', and ours.
VISUAL, OUR_VISUAL = 'visual.', 'backbone.visual.'
FUSION, OUR_FUSION = 'fusion_model.', 'neck.layers.'
SCALE, OUR_SCALE = 'logit_scale', 'cls_head.cosine.logit_scale'
TABLE = 'frame_position_embeddings.weight'
#: How many names of a list a message shows.
SHOWN = 20
#: The authors' TokenT1D in a block: one depthwise Conv1d, whatever it is called.
_CONTROL_POINT = re.compile(r'^visual\.(transformer\.resblocks\.(\d+)\.)(control_point\.(?:.+\.)?weight)$')


@dataclass
class Parts:
    """The weights of a source by part; ``blocks`` are its TokenT1D by the number of the block."""

    visual: dict[str, Tensor]
    fusion: dict[str, Tensor]
    blocks: dict[int, Tensor]
    control_point: str
    scale: Tensor | None
    dropped: dict[str, list[str]]
    unknown: list[str]


def split(file: SourceFile) -> Parts:
    """Sort the entries of a source into the parts of a model."""
    parts = Parts({}, {}, {}, '', None, {}, [])
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
        else:
            parts.unknown.append(name)
    return parts


def require_fit(parts: Parts, known: RecognizedArch, path: Path) -> None:
    """Refuse weights with entries that are missing, unexpected or of another shape; all kinds are listed."""
    expected = {VISUAL + name: shape for name, shape in expected_shapes(known.arch, known.image_size).items()}
    given = {VISUAL + name: value for name, value in parts.visual.items()}
    for number, weight in parts.blocks.items():
        block = f'{VISUAL}transformer.resblocks.{number}.'
        given[block + parts.control_point] = weight
        if f'{block}ln_1.weight' in expected:
            expected[block + parts.control_point] = (*expected[f'{block}ln_1.weight'], 1, 3)
    if parts.fusion:
        expected |= {
            FUSION + name: shape for name, shape in _fusion_shapes(parts.fusion, embed_dim(known.arch)).items()
        }
        given |= {FUSION + name: value for name, value in parts.fusion.items()}
    missing = [name for name in expected if name not in given] + ([SCALE] if parts.scale is None else [])
    unexpected = [name for name in given if name not in expected] + parts.unknown
    shapes = [
        f'{name} is {tuple(given[name].shape)}, not {shape}'
        for name, shape in expected.items()
        if name in given and tuple(given[name].shape) != shape
    ]
    if parts.scale is not None and parts.scale.numel() != 1:
        shapes.append(f'{SCALE} is {tuple(parts.scale.shape)}, not one number')
    found = [
        f'{len(names)} {what}: {first_few(names, SHOWN)}'
        for names, what in ((missing, 'missing'), (unexpected, 'unexpected'), (shapes, 'of another shape'))
        if names
    ]
    if found:
        arch = known.arch if isinstance(known.arch, str) else 'the architecture'
        raise UserError(f'{path} does not fit {arch}; {"; ".join(found)}.{_hint(unexpected)}')


def _hint(unexpected: list[str]) -> str:
    """What unexpected entries of the released code are, where that is known."""
    if any(name.startswith(FUSION) for name in unexpected):
        return ' Of its sim_header, Transf (T-Trans) and none at all (TAP) have a counterpart here.'
    return ''


def _fusion_shapes(fusion: Mapping[str, Tensor], width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a temporal transformer with as many layers and positions as these weights have."""
    blocks = {name.split('.')[2] for name in fusion if name.startswith('transformer.resblocks.')}
    rows = len(fusion[TABLE]) if TABLE in fusion and fusion[TABLE].ndim else 77
    with torch.device('meta'):
        layers = TemporalTransformerLayers(width, num_layers=len(blocks) or 6, num_heads=1, max_frames=rows)
    return {name: tuple(value.shape) for name, value in layers.state_dict().items()}
