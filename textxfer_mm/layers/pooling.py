"""Every kind of feature that reaches a head in mmaction2, reduced to one row a clip."""

from collections.abc import Sequence

import torch
from torch import Tensor

from textxfer_mm.errors import UserError

Features = Tensor | Sequence['Features']

FEATURE_CHOICES = ('auto', 'last', 'concat', 'cls', 'patch', 'skeleton')


def _shapes(feats: Features) -> str:
    if isinstance(feats, Tensor):
        return 'x'.join(map(str, feats.shape))
    return f'({", ".join(_shapes(f) for f in feats)})'


def _pool(feats: Tensor) -> Tensor:
    """Average a map over all axes behind the channels: (rows, D, ...) -> (rows, D)."""
    if feats.dim() == 2:
        return feats
    if feats.dim() in (4, 5):
        return feats.flatten(2).mean(-1)
    raise UserError(
        f'A head takes features of shape (rows, D), (rows, D, H, W) or (rows, D, T, H, W), got {_shapes(feats)}. '
        'Let the backbone return pooled features or a feature map.'
    )


def _unwrap(feats: Features) -> Features:
    while not isinstance(feats, Tensor) and len(feats) == 1:
        feats = feats[0]
    return feats


def _is_pair(feats: Features) -> bool:
    """Whether this is MViT's [patch map, class token]."""
    return (
        not isinstance(feats, Tensor)
        and len(feats) == 2
        and all(isinstance(part, Tensor) for part in feats)
        and feats[0].dim() > 2
        and feats[1].dim() == 2
    )


def pool_features(feats: Features, feature: str = 'auto') -> Tensor:
    """Select and average what a backbone or neck hands to the head.

    Args:
        feats: a tensor (rows, D), (rows, D, H, W), (rows, D, T, H, W), or tuples and lists of them.
        feature: ``'auto'`` takes a single tensor and refuses to guess among several; ``'last'`` takes the last of
            several stages; ``'concat'`` pools all and concatenates them last first (SlowFastHead's order: fast, slow);
            ``'cls'`` and ``'patch'`` take the class token or the patch map of MViT's (last) [patch, class token] pair;
            ``'skeleton'`` averages (N, persons, D, T, joints) of the GCN recognisers.

    Returns:
        (rows, D).

    Raises:
        UserError: the features do not fit the choice; the message lists the choices.
    """
    feats = _unwrap(feats)
    if feature == 'skeleton':
        if not isinstance(feats, Tensor) or feats.dim() != 5:
            raise UserError(f"feature='skeleton' expects (N, persons, D, T, joints), got {_shapes(feats)}.")
        return feats.mean((1, 3, 4))
    if feature in ('cls', 'patch'):
        pair = feats if isinstance(feats, Tensor) or _is_pair(feats) else feats[-1]
        if not _is_pair(pair):
            raise UserError(f'feature={feature!r} expects a [patch map, class token] pair, got {_shapes(feats)}.')
        return pair[1] if feature == 'cls' else _pool(pair[0])
    if isinstance(feats, Tensor):
        return _pool(feats)
    if feature == 'concat' and all(isinstance(part, Tensor) for part in feats):
        return torch.cat([_pool(part) for part in reversed(feats)], dim=1)
    if feature == 'last' and not _is_pair(feats) and isinstance(feats[-1], Tensor):
        return _pool(feats[-1])
    raise UserError(
        f'The backbone returns several features {_shapes(feats)}: say which with the head option `feature`: '
        "'concat' (SlowFast), 'cls' or 'patch' (MViT's class token or patch map), 'last' (the last of several stages)."
    )
