"""The objects of the scenes, drawn from a few shapes each."""

from collections.abc import Sequence

import cv2
import numpy as np

Colour = tuple[float, float, float]
SUBPIXEL = 4
#: BGR.
COLOURS: dict[str, Colour] = dict(
    red=(40, 40, 210),
    orange=(30, 140, 245),
    yellow=(50, 225, 245),
    green=(60, 160, 50),
    blue=(210, 90, 40),
    purple=(150, 50, 130),
    white=(240, 240, 240),
    black=(35, 35, 35),
)
WOOD, METAL = (60, 100, 150), (150, 150, 150)

#: Shapes in a box of -0.5 to 0.5, y up, in the order in which they are drawn: ('poly', points), ('disc', (x, y, r)),
#: ('line', (x, y, x, y, width)), and how bright they are of the object's colour, or a colour of their own.
_SHAPES: dict[str, tuple[tuple[str, Sequence, float | Colour], ...]] = {
    'ball': (
        ('disc', (0, 0, 0.5), 1.0),
        ('line', (-0.45, 0, 0.45, 0, 0.09), 0.6),
        ('line', (0, -0.45, 0, 0.45, 0.09), 0.6),
    ),
    'box': (
        ('poly', (-0.5, -0.5, 0.5, -0.5, 0.5, 0.4, -0.5, 0.4), 1.0),
        ('line', (-0.45, -0.45, 0.45, 0.35, 0.07), 0.6),
        ('line', (-0.45, 0.35, 0.45, -0.45, 0.07), 0.6),
    ),
    'umbrella': (
        ('line', (0, -0.5, 0, 0.3, 0.08), WOOD),
        ('poly', (-0.55, 0.05, -0.4, 0.35, 0, 0.5, 0.4, 0.35, 0.55, 0.05, 0.28, 0.13, 0, 0.05, -0.28, 0.13), 1.0),
    ),
    'ladder': (
        ('line', (-0.2, -0.5, -0.2, 0.5, 0.1), 1.0),
        ('line', (0.2, -0.5, 0.2, 0.5, 0.1), 1.0),
        *((('line', (-0.2, y, 0.2, y, 0.08), 0.8)) for y in (-0.35, -0.1, 0.15, 0.4)),
    ),
    'flag': (
        ('line', (-0.35, -0.5, -0.35, 0.5, 0.09), METAL),
        ('poly', (-0.35, 0.5, 0.5, 0.42, 0.42, 0.2, 0.5, 0.0, -0.35, 0.05), 1.0),
    ),
    'star': (
        (
            'poly',
            tuple(
                c
                for n in range(10)
                for c in (
                    (0.52, 0.21)[n % 2] * np.sin(n * np.pi / 5),
                    (0.52, 0.21)[n % 2] * np.cos(n * np.pi / 5),
                )
            ),
            1.0,
        ),
    ),
    'tree': (
        ('line', (0, -0.5, 0, -0.1, 0.16), WOOD),
        ('poly', (-0.42, -0.2, 0.42, -0.2, 0, 0.25), 1.0),
        ('poly', (-0.32, 0.08, 0.32, 0.08, 0, 0.5), 0.85),
    ),
    'chair': (
        ('line', (-0.3, -0.5, -0.3, 0.5, 0.13), 0.8),
        ('line', (0.3, -0.5, 0.3, -0.05, 0.13), 0.8),
        ('poly', (-0.36, -0.12, 0.38, -0.12, 0.38, 0.05, -0.36, 0.05), 1.0),
    ),
    'bottle': (
        ('poly', (-0.2, -0.5, 0.2, -0.5, 0.2, 0.1, 0.08, 0.28, 0.08, 0.5, -0.08, 0.5, -0.08, 0.28, -0.2, 0.1), 1.0),
        ('poly', (-0.2, -0.3, 0.2, -0.3, 0.2, -0.05, -0.2, -0.05), (225, 225, 225)),
    ),
    'fish': (
        ('poly', (-0.5, 0.25, -0.25, 0, -0.5, -0.25), 0.8),
        ('poly', (-0.3, 0, -0.1, 0.2, 0.15, 0.24, 0.5, 0, 0.15, -0.24, -0.1, -0.2), 1.0),
        ('disc', (0.25, 0.06, 0.06), (20, 20, 20)),
    ),
    'car': (
        ('poly', (-0.55, -0.3, 0.55, -0.3, 0.55, 0, 0.3, 0.03, 0.15, 0.3, -0.25, 0.3, -0.38, 0.03, -0.55, 0), 1.0),
        ('poly', (-0.2, 0.05, 0.18, 0.05, 0.1, 0.22, -0.16, 0.22), (225, 215, 190)),
        ('disc', (-0.28, -0.33, 0.15), (25, 25, 25)),
        ('disc', (0.28, -0.33, 0.15), (25, 25, 25)),
    ),
    'ring': tuple(
        (
            'line',
            (
                0.4 * np.cos(n * np.pi / 6),
                0.4 * np.sin(n * np.pi / 6),
                0.4 * np.cos((n + 1) * np.pi / 6),
                0.4 * np.sin((n + 1) * np.pi / 6),
                0.16,
            ),
            1.0,
        )
        for n in range(12)
    ),
    'kite': (
        ('line', (0, -0.15, 0.12, -0.38, 0.05), 0.7),
        ('line', (0.12, -0.38, -0.05, -0.55, 0.05), 0.7),
        ('poly', (0, 0.55, 0.32, 0.2, 0, -0.2, -0.32, 0.2), 1.0),
        ('line', (-0.3, 0.2, 0.3, 0.2, 0.06), 0.6),
    ),
    'cup': (
        ('line', (0.25, 0.2, 0.45, 0.1, 0.09), 0.8),
        ('line', (0.45, 0.1, 0.25, -0.15, 0.09), 0.8),
        ('poly', (-0.3, 0.38, 0.32, 0.38, 0.22, -0.4, -0.2, -0.4), 1.0),
        ('line', (-0.26, 0.36, 0.28, 0.36, 0.08), 0.6),
    ),
    'drum': (
        ('poly', (-0.42, -0.35, 0.42, -0.35, 0.42, 0.25, -0.42, 0.25), 1.0),
        ('poly', (-0.42, 0.2, 0, 0.1, 0.42, 0.2, 0.42, 0.32, 0, 0.4, -0.42, 0.32), (215, 225, 230)),
        ('line', (-0.4, -0.33, -0.1, 0.15, 0.05), 0.55),
        ('line', (-0.1, 0.15, 0.15, -0.33, 0.05), 0.55),
        ('line', (0.15, -0.33, 0.4, 0.15, 0.05), 0.55),
    ),
    'book': (
        ('poly', (-0.55, 0.32, 0, 0.22, 0, -0.38, -0.55, -0.28), 1.0),
        ('poly', (0.55, 0.32, 0, 0.22, 0, -0.38, 0.55, -0.28), 0.85),
        ('poly', (-0.45, 0.36, 0, 0.27, 0, -0.22, -0.45, -0.15), (235, 240, 240)),
        ('poly', (0.45, 0.36, 0, 0.27, 0, -0.22, 0.45, -0.15), (215, 222, 222)),
    ),
    'closed umbrella': (
        ('line', (0, -0.5, 0, 0.5, 0.08), WOOD),
        ('poly', (-0.1, -0.1, 0, 0.48, 0.1, -0.1), 1.0),
    ),
}
SHAPES = {
    name: tuple((kind, np.asarray(numbers, np.float64), shade) for kind, numbers, shade in shapes)
    for name, shapes in _SHAPES.items()
}


def draw_object(
    image: np.ndarray,
    name: str,
    colour: Colour,
    *,
    centre: tuple[float, float],
    size: float,
    angle: float = 0.0,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> None:
    """Draw an object into an image.

    Args:
        image: BGR image (H, W, 3), uint8, changed in place.
        name: One of the objects.
        colour: Its colour, BGR.
        centre: Its middle in pixels.
        size: Side of the box it fills, in pixels.
        angle: Rotation in radians, anticlockwise.
        stretch: Factors on its width and its height.
    """
    cos, sin = np.cos(angle) * size, np.sin(angle) * size
    matrix = np.array([[cos * stretch[0], -sin * stretch[1]], [-sin * stretch[0], -cos * stretch[1]]])
    for kind, numbers, shade in SHAPES[name]:
        bgr = tuple(shade) if isinstance(shade, tuple) else tuple(shade * c for c in colour)
        if kind == 'disc':
            x, y = _fixed(numbers[:2] @ matrix.T + centre)
            radius = round(float(numbers[2]) * size * 2**SUBPIXEL)
            cv2.circle(image, (int(x), int(y)), radius, bgr, -1, cv2.LINE_AA, SUBPIXEL)
            continue
        points = _fixed(
            numbers[:4].reshape(-1, 2) @ matrix.T + centre
            if kind == 'line'
            else numbers.reshape(-1, 2) @ matrix.T + centre
        )
        if kind == 'line':
            width = max(1, round(float(numbers[4]) * size))
            cv2.line(image, points[0].tolist(), points[1].tolist(), bgr, width, cv2.LINE_AA, SUBPIXEL)
        else:
            cv2.fillPoly(image, [points], bgr, cv2.LINE_AA, SUBPIXEL)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Points in the fixed-point coordinates of cv2's drawing functions."""
    return np.round(points * 2**SUBPIXEL).astype(np.int32)
