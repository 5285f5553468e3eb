"""The dimensions of a CLIP model, told by all of its tensors, so that one that disagrees with the rest is found out."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from torch import Tensor

#: What the dimensions of an entry of a ViT are: W is its width, D that of the features, M the hidden width of a block,
#: S the number of positions, P the side of a patch; ``(W, 3)`` is three times W, a number says nothing.
_VIT = {
    r'visual\.class_embedding': ('W',),
    r'visual\.positional_embedding': ('S', 'W'),
    r'visual\.proj': ('W', 'D'),
    r'visual\.conv1\.weight': ('W', 3, 'P', 'P'),
    r'visual\.ln_(?:pre|post)\.\w+': ('W',),
    r'visual\.transformer\.resblocks\.\d+\.ln_[12]\.\w+': ('W',),
    r'visual\.transformer\.resblocks\.\d+\.attn\.in_proj_weight': (('W', 3), 'W'),
    r'visual\.transformer\.resblocks\.\d+\.attn\.in_proj_bias': (('W', 3),),
    r'visual\.transformer\.resblocks\.\d+\.attn\.out_proj\.weight': ('W', 'W'),
    r'visual\.transformer\.resblocks\.\d+\.attn\.out_proj\.bias': ('W',),
    r'visual\.transformer\.resblocks\.\d+\.mlp\.c_fc\.weight': ('M', 'W'),
    r'visual\.transformer\.resblocks\.\d+\.mlp\.c_fc\.bias': ('M',),
    r'visual\.transformer\.resblocks\.\d+\.mlp\.c_proj\.weight': ('W', 'M'),
    r'visual\.transformer\.resblocks\.\d+\.mlp\.c_proj\.bias': ('W',),
}
#: The same of a ModifiedResNet: W is the width of its first stage.
_RESNET = {
    r'visual\.bn3\.(?:weight|bias|running_mean|running_var)': ('W',),
    r'visual\.conv3\.weight': ('W', 0, 0, 0),
    r'visual\.layer1\.\d+\.conv2\.weight': ('W', 'W', 3, 3),
    r'visual\.layer1\.\d+\.bn[12]\.(?:weight|bias|running_mean|running_var)': ('W',),
    r'visual\.layer4\.\d+\.conv2\.weight': (('W', 8), ('W', 8), 3, 3),
    r'visual\.attnpool\.[kqv]_proj\.weight': (('W', 32), ('W', 32)),
    r'visual\.attnpool\.[kqv]_proj\.bias': (('W', 32),),
    r'visual\.attnpool\.positional_embedding': ('S', ('W', 32)),
    r'visual\.attnpool\.c_proj\.weight': ('D', ('W', 32)),
    r'visual\.attnpool\.c_proj\.bias': ('D',),
}
#: Who else knows the width of the features: T-Trans over them, and the text tower.
_OTHERS = {
    r'fusion_model\.frame_position_embeddings\.weight': (0, 'D'),
    r'fusion_model\.transformer\.resblocks\.\d+\.(?:ln_[12]\.\w+|(?:attn\.out_proj|mlp\.c_proj)\.bias)': ('D',),
    r'fusion_model\.transformer\.resblocks\.\d+\.attn\.in_proj_weight': (('D', 3), 'D'),
    r'fusion_model\.transformer\.resblocks\.\d+\.mlp\.c_fc\.weight': (0, 'D'),
    r'(?:text\.)?text_projection': (0, 'D'),
}

#: The entry that tells a dimension where nothing else does.
TOLD_BY = {
    'vit': dict(W='class_embedding', D='proj', S='positional_embedding', P='conv1.weight'),
    'resnet': dict(W='layer1.0.conv2.weight', D='attnpool.c_proj.weight', S='attnpool.positional_embedding'),
}


def kind_of(visual: Mapping[str, Tensor]) -> str | None:
    """``'vit'`` or ``'resnet'`` for the weights of open_clip's towers of these kinds, None for others."""
    if any(name.startswith('transformer.resblocks.') for name in visual):
        return 'vit'
    return 'resnet' if any(name.startswith('layer1.') for name in visual) else None


def dimensions(weights: Mapping[str, Tensor], kind: str) -> dict[str, list[int]]:
    """For each dimension, the value that most tensors tell; several where as many tell another.

    Args:
        weights: A model, with the names of open_clip and ``fusion_model.*``.
        kind: See :func:`kind_of`.
    """
    table = {re.compile(name): dims for name, dims in ((_VIT if kind == 'vit' else _RESNET) | _OTHERS).items()}
    votes: dict[str, Counter[int]] = defaultdict(Counter)
    for name, value in weights.items():
        dims = next((dims for pattern, dims in table.items() if pattern.fullmatch(name)), None)
        if dims is not None and len(dims) == value.ndim:
            for symbol, size in set(_votes(dims, value.shape)):  # one vote for each tensor
                votes[symbol][size] += 1
    return {
        symbol: [size for size, count in counted.items() if count == max(counted.values())]
        for symbol, counted in votes.items()
    }


def _votes(dims: tuple[object, ...], shape: tuple[int, ...]) -> Iterator[tuple[str, int]]:
    for dim, size in zip(dims, shape, strict=True):
        symbol, factor = dim if isinstance(dim, tuple) else (dim, 1)
        if isinstance(symbol, str) and size and not size % factor:
            yield symbol, size // factor


def count_blocks(names: Mapping[str, Tensor], start: str) -> int:
    """How many blocks a transformer has whose entries begin with ``start`` and a number.

    A number with hardly any entries is a stray one, and one without any in the midst of others is missing.
    """
    found = Counter(int(match.group(1)) for name in names if (match := re.match(rf'{re.escape(start)}(\d+)\.', name)))
    most = max(found.values(), default=0)
    whole = sorted(number for number, count in found.items() if 2 * count > most)
    return min(whole[-1] + 1, 2 * len(whole)) if whole else 0
