"""The places of the scenes: a ground, a backdrop and what stands there."""

from collections.abc import Callable

import cv2
import numpy as np

Colour = tuple[float, float, float]
#: Ground and backdrop, BGR.
_PALETTE: dict[str, tuple[Colour, Colour]] = {
    'in a park': ((70, 150, 80), (235, 200, 150)),
    'on a beach': ((150, 205, 230), (215, 160, 70)),
    'in a street': ((95, 95, 95), (200, 190, 185)),
    'in the snow': ((245, 240, 235), (215, 200, 190)),
    'in a room': ((90, 130, 175), (190, 215, 225)),
    'in the desert': ((110, 175, 225), (190, 225, 240)),
    'on a stage': ((60, 75, 110), (40, 30, 130)),
    'at night': ((60, 45, 40), (85, 40, 25)),
}


def draw_place(image: np.ndarray, place: str, horizon: float, rng: np.random.Generator, jitter: float) -> None:
    """Paint a place over a whole image.

    Args:
        image: BGR image (H, W, 3), uint8, changed in place.
        place: One of the places.
        horizon: Row at which the ground begins.
        rng: Source of what varies.
        jitter: How far its colours vary.
    """
    row = round(horizon)
    ground, back = (tuple(np.clip(rng.normal(colour, jitter), 0, 255).tolist()) for colour in _PALETTE[place])
    image[:row], image[row:] = back, ground
    _FURNISH[place](image, row, rng)


def _park(image: np.ndarray, row: int, rng: np.random.Generator) -> None:
    size = image.shape[1]
    for _ in range(rng.integers(1, 4)):
        x, radius = int(rng.integers(size)), int(rng.uniform(0.08, 0.16) * size)
        cv2.line(image, (x, row), (x, row - 2 * radius), (45, 75, 110), max(2, size // 24))
        cv2.circle(image, (x, row - 2 * radius), radius, (50, float(rng.uniform(95, 140)), 55), -1, cv2.LINE_AA)


def _beach(image: np.ndarray, row: int, rng: np.random.Generator) -> None:
    size = image.shape[1]
    image[: max(1, row - round(rng.uniform(0.15, 0.3) * size))] = (240, 215, 170)
    for _ in range(3):
        y, x = int(rng.integers(max(1, row - size // 6), row + 1)), int(rng.integers(size))
        cv2.line(image, (x, y), (x + size // 5, y), (250, 240, 225), 1, cv2.LINE_AA)


def _street(image: np.ndarray, row: int, rng: np.random.Generator) -> None:
    size, x = image.shape[1], 0
    while x < size:
        width, height = int(rng.uniform(0.15, 0.35) * size), int(rng.uniform(0.25, 0.6) * size)
        shade = float(rng.uniform(80, 160))
        cv2.rectangle(image, (x, row - height), (x + width - 1, row), (shade, shade * 0.95, shade * 1.05), -1)
        for y in range(row - height + 3, row - 3, max(4, size // 10)):
            for left in range(x + 2, x + width - 3, max(4, size // 12)):
                cv2.rectangle(image, (left, y), (left + 1, y + 2), (shade * 0.5,) * 3, -1)
        x += width
    for left in range(-size // 8, size, size // 4):
        y = (row + image.shape[0]) // 2
        cv2.line(image, (left, y), (left + size // 8, y), (225, 225, 225), max(1, size // 40))


def _snow(image: np.ndarray, row: int, rng: np.random.Generator) -> None:
    rows, size = image.shape[:2]
    for x, y in rng.integers(0, (size, rows), (20, 2)).tolist():
        cv2.circle(image, (x, y), 1, (255, 255, 255), -1, cv2.LINE_AA)
    x = int(rng.integers(size))
    points = np.array([[x - size // 3, row], [x, row - size // 3], [x + size // 3, row]], np.int32)
    cv2.fillPoly(image, [points], (205, 185, 175), cv2.LINE_AA)


def _room(image: np.ndarray, row: int, rng: np.random.Generator) -> None:
    size = image.shape[1]
    x, y, side = int(rng.integers(size)), int(0.12 * size), size // 5
    cv2.rectangle(image, (x, y), (x + side, y + side), (245, 225, 190), -1)
    cv2.rectangle(image, (x, y), (x + side, y + side), (80, 110, 140), max(1, size // 40))
    cv2.line(image, (0, row), (size, row), (70, 95, 120), max(1, size // 32))


def _desert(image: np.ndarray, row: int, rng: np.random.Generator) -> None:
    size = image.shape[1]
    x, height = int(rng.integers(size)), int(rng.uniform(0.15, 0.3) * size)
    cv2.line(image, (x, row + 2), (x, row - height), (70, 130, 60), max(2, size // 20), cv2.LINE_AA)
    cv2.line(image, (x, row - height // 2), (x + size // 10, row - height // 2), (70, 130, 60), max(2, size // 24))
    cv2.circle(image, (int(rng.integers(size)), size // 8), size // 12, (120, 225, 255), -1, cv2.LINE_AA)


def _stage(image: np.ndarray, row: int, rng: np.random.Generator) -> None:
    size, width = image.shape[1], max(1, int(rng.uniform(0.05, 0.09) * image.shape[1]))
    for x in range(0, size, 2 * width):
        cv2.rectangle(image, (x, 0), (x + width - 1, row), (30, 20, 100), -1)
    x = int(rng.integers(size))
    light = np.array([[x, 0], [x - size // 4, image.shape[0]], [x + size // 4, image.shape[0]]], np.int32)
    lit = image.copy()
    cv2.fillPoly(lit, [light], (170, 220, 235))
    cv2.addWeighted(lit, 0.3, image, 0.7, 0, dst=image)


def _night(image: np.ndarray, row: int, rng: np.random.Generator) -> None:
    size = image.shape[1]
    for x, y in rng.integers(0, (size, max(1, row)), (12, 2)).tolist():
        image[y, x] = (220, 230, 235)
    cv2.circle(image, (int(rng.integers(size)), size // 7), size // 11, (215, 235, 240), -1, cv2.LINE_AA)


_FURNISH: dict[str, Callable[[np.ndarray, int, np.random.Generator], None]] = {
    'in a park': _park,
    'on a beach': _beach,
    'in a street': _street,
    'in the snow': _snow,
    'in a room': _room,
    'in the desert': _desert,
    'on a stage': _stage,
    'at night': _night,
}
