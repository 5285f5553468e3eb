"""Upright frames: the rotation and mirroring that a file asks its player for."""

from collections.abc import Callable

import av
import numpy as np

Turn = Callable[[np.ndarray], np.ndarray]


def turn_of(frame: av.VideoFrame) -> Turn | None:
    """What makes the pixels (H, W, C) of a frame upright by its display matrix; None where they are.

    The matrix maps a point of the frame (x, y) to one of the screen, (a x + c y, b x + d y); only quarter turns and
    mirrors are applied, to the nearest.
    """
    matrix = frame.side_data.get('DISPLAYMATRIX')
    return None if matrix is None else _turn(*np.frombuffer(bytes(matrix), np.int32)[[0, 1, 3, 4]].tolist())


def _turn(a: int, b: int, c: int, d: int) -> Turn | None:
    swapped = abs(b) > abs(a)
    left_right, up_down = (c < 0, b < 0) if swapped else (a < 0, d < 0)
    if not (swapped or left_right or up_down):
        return None

    def turn(pixels: np.ndarray) -> np.ndarray:
        pixels = pixels.swapaxes(0, 1) if swapped else pixels
        return np.ascontiguousarray(pixels[:: -1 if up_down else 1, :: -1 if left_right else 1])

    return turn
