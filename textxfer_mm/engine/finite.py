"""Weights and scores that are numbers: what a run that diverged leaves behind is none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.errors import UserError, first_few


def is_finite(tensor: Tensor) -> bool:
    """Whether all is finite; a mask of zeros and minus infinity is let pass, as CLIP's text towers hold one."""
    if not tensor.is_floating_point() or tensor.is_meta:
        return True
    finite = tensor.isfinite()
    if bool(finite.all()):
        return True
    return tensor.ndim > 1 and bool(finite.any()) and bool(((tensor == 0) | tensor.isneginf()).all())


def non_finite_names(state: Mapping[str, Any]) -> list[str]:
    """The names of the tensors of a state dict that are not finite."""
    return [name for name, value in state.items() if isinstance(value, Tensor) and not is_finite(value)]


def refuse_non_finite(state: Mapping[str, Any], source: str | Path) -> None:
    """Refuse weights that are not finite: they recognise nothing, and whatever is computed with them is no result.

    Args:
        state: A state dict.
        source: Where it comes from, for the message.

    Raises:
        UserError: Some are not finite.
    """
    broken = non_finite_names(state)
    if broken:
        raise UserError(
            f'{source} holds weights that are not finite ({first_few(broken)}): its training diverged. Use an earlier '
            'checkpoint.'
        )


def refuse_non_finite_scores(scores: Any, video: str) -> None:
    """Refuse scores that are not finite.

    Args:
        scores: Scores of one video; anything but a tensor is let pass.
        video: Its name, for the message.

    Raises:
        UserError: Some are not finite.
    """
    if isinstance(scores, Tensor) and scores.is_floating_point() and not bool(torch.isfinite(scores).all()):
        raise UserError(
            f'The model gives scores that are not finite for {video}, so there is no result. Did its training diverge? '
            'Use an earlier checkpoint; with --amp in float16, try without it.'
        )
