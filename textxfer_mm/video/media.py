"""What one video or image is: a file, or frames in memory. Light: no torch here."""

from pathlib import Path

import numpy as np

from textxfer_mm.errors import UserError

#: What one video or image is: a path, or RGB frames (T, H, W, 3) of type uint8.
Medium = str | Path | np.ndarray


def name_of(medium: Medium, position: int) -> str:
    """What to call a video or an image: its path, or ``'array 0'`` and so on by its position.

    Raises:
        UserError: An array is no RGB frames (T, H, W, 3) of type uint8.
    """
    if not isinstance(medium, np.ndarray):
        return str(medium)
    if medium.ndim != 4 or medium.shape[-1] != 3 or medium.dtype != np.uint8 or not medium.size:
        raise UserError(
            f'array {position} has shape {medium.shape} and type {medium.dtype}; a video is RGB frames (T, H, W, 3) of '
            'type uint8, values 0 to 255.'
        )
    return f'array {position}'
