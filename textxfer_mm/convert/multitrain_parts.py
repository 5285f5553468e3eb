"""The parts of a checkpoint of MultiTrain's released code, under our names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmaction.models.backbones.mvit import MViT
from torch import Tensor

from textxfer_mm.convert.dimensions import count_blocks
from textxfer_mm.layers.named_modules import module_key

BACKBONE, HEAD = 'backbone.', 'cls_head.'
#: Theirs and ours; what else begins with ``blocks.`` has one name in both.
_RENAMED = (
    (re.compile(r'^patch_embed\.proj\.'), 'patch_embed.projection.'),
    (re.compile(r'^pos_embed_spatial$'), 'pos_s'),
    (re.compile(r'^pos_embed_temporal$'), 'pos_t'),
    (re.compile(r'^(blocks\.\d+\.)proj_max_pool\.'), r'\1proj.'),
)
_BACKBONE = re.compile(r'^(?:patch_embed\.projection\.|blocks\.\d+\.|pos_[st]$|norm\.)')
#: Heads and their containers have no fixed names: they are told by how these end.
_EXPANDER = re.compile(r'(?:^|[._])expander\.(?:\w+\.)*?(fc1|fc2|0|2)\.(weight|bias)$')
_CLASSIFIER = re.compile(r'(?:^|\.)([^.]+)\.(fc[12]\.(?:weight|bias))$')
_LINEAR = re.compile(r'^head\.projection\.(weight|bias)$')
_PAIR = re.compile(r'(?:^|\.)([^.]+_[^.]+)\.weight$')
_LAYERS = {'fc1': '0', 'fc2': '2', '0': '0', '2': '2'}


@dataclass
class MultiTrainParts:
    """The weights under our names, and what they tell of the model.

    ``original`` are the file's names of ours, ``unknown`` the file's entries that have no place.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    original: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    datasets: dict[str, int] = field(default_factory=dict)
    is_linear: bool = False

    def of(self, prefix: str) -> dict[str, Tensor]:
        """The entries under a prefix, without it."""
        return {name.removeprefix(prefix): value for name, value in self.state.items() if name.startswith(prefix)}

    @property
    def has_projections(self) -> bool:
        """Whether there are projections between datasets."""
        return any(name.startswith(f'{HEAD}training_only.projections.') for name in self.state)

    @property
    def has_expander(self) -> bool:
        """Whether there is an expander."""
        return any(name.startswith(f'{HEAD}training_only.expander.') for name in self.state)

    def width(self, name: str) -> int | None:
        """The rows of a matrix, or the entries of its bias where it is missing."""
        found = self.state.get(f'{name}.weight', self.state.get(f'{name}.bias'))
        return None if found is None or not found.ndim else len(found)


def split_multitrain(weights: Mapping[str, Tensor], renamed: Mapping[str, str] | None = None) -> MultiTrainParts:
    """Sort the entries of a checkpoint into backbone, heads, projections and expander.

    Args:
        weights: A state dict of the authors' code, without wrapper prefixes.
        renamed: What datasets of the file are to be called.
    """
    parts, renamed = MultiTrainParts(), renamed or {}
    datasets = _datasets(weights)
    stages = sum(1 for _ in wider_blocks(weights))
    for name, value in weights.items():
        ours = _backbone_name(name, stages) or _head_name(name, datasets, renamed)
        if ours is None or ours in parts.state:
            parts.unknown.append(name)
        else:
            parts.state[ours], parts.original[ours] = value, name
    parts.is_linear = f'{HEAD}fc_cls.weight' in parts.state or f'{HEAD}fc_cls.bias' in parts.state
    if not parts.is_linear:
        names = [renamed.get(name, name) for name in datasets]
        parts.datasets = {name: _num_classes(parts, module_key(name)) for name in names}
    return parts


def wider_blocks(names: Mapping[str, Any]) -> list[int]:
    """The numbers of the blocks that widen: they have a linear layer in their shortcut."""
    found = (re.match(r'(?:backbone\.)?blocks\.(\d+)\.proj(?:_max_pool)?\.', name) for name in names)
    return sorted({int(match.group(1)) for match in found if match})


def told_backbone(parts: MultiTrainParts) -> dict[str, Any] | None:
    """The config of the backbone; None where the weights do not tell it."""
    backbone = parts.of(BACKBONE)
    patches, place, time = (backbone.get(name) for name in ('patch_embed.projection.weight', 'pos_s', 'pos_t'))
    first = backbone.get('blocks.0.attn.pool_q.weight')
    depth = count_blocks(backbone, 'blocks.')
    if not depth or any(value is None or value.ndim < 2 for value in (patches, place, time, first)):
        return None
    side = round(place.shape[1] ** 0.5)
    if side**2 != place.shape[1]:
        return None
    arch = dict(
        embed_dims=len(patches),
        num_layers=depth,
        num_heads=max(len(patches) // max(len(first), 1), 1),
        downscale_indices=wider_blocks(backbone),
    )
    known = next((name for name, one in MViT.arch_zoo.items() if one == arch), arch)
    size = {} if side == 56 else dict(spatial_size=4 * side)
    return dict(type='MultiTrainMViT', arch=known, temporal_size=2 * time.shape[1], **size)


def _num_classes(parts: MultiTrainParts, dataset: str) -> int:
    """K of a dataset: by its classifier, or by the projections onto it where the last layer is missing."""
    onto = f'.{dataset}.weight'
    rows = [len(value) for name, value in parts.of(f'{HEAD}training_only.').items() if name.endswith(onto)]
    return parts.width(f'{HEAD}heads.{dataset}.fc2') or next(iter(rows), 1)


def _backbone_name(name: str, stages: int) -> str | None:
    for theirs, ours in _RENAMED:
        name = theirs.sub(ours, name)
    if not _BACKBONE.match(name):
        return None
    return BACKBONE + (name.replace('norm.', f'norm{stages}.', 1) if name.startswith('norm.') else name)


def _datasets(weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The names of the datasets, in the order of their classifiers in the file."""
    found = (
        _CLASSIFIER.search(name)
        for name in weights
        if not name.startswith('blocks.') and not _EXPANDER.search(name) and not _LINEAR.match(name)
    )
    return tuple(dict.fromkeys(match.group(1) for match in found if match))


def _head_name(name: str, datasets: tuple[str, ...], renamed: Mapping[str, str]) -> str | None:
    if expander := _EXPANDER.search(name):
        return f'{HEAD}training_only.expander.{_LAYERS[expander.group(1)]}.{expander.group(2)}'
    if linear := _LINEAR.match(name):
        return f'{HEAD}fc_cls.{linear.group(1)}'
    ours = {dataset: module_key(renamed.get(dataset, dataset)) for dataset in datasets}
    classifier = _CLASSIFIER.search(name)
    if classifier:
        return f'{HEAD}heads.{ours[classifier.group(1)]}.{classifier.group(2)}'
    pair = _PAIR.search(name)
    words = pair.group(1).split('_') if pair else []
    for cut in range(1, len(words)):  # the file's names of datasets may hold a _ themselves
        source, target = '_'.join(words[:cut]), '_'.join(words[cut:])
        if source in ours and target in ours and source != target:
            return f'{HEAD}training_only.projections.maps.{ours[source]}.{ours[target]}.weight'
    return None
