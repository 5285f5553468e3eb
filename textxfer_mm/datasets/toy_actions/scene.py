"""Backgrounds and cameras."""

from dataclasses import dataclass

import cv2
import numpy as np

MARGIN = 2.0  # the canvas is this many times as wide and high as the frame


def background(rng: np.random.Generator, width: int, height: int, horizon: float) -> np.ndarray:
    """Paint a backdrop, a ground, textures and clutter.

    Args:
        rng: Source of randomness.
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        horizon: Height at which the ground ends, in pixels below the centre of the canvas.

    Returns:
        A BGR canvas (``MARGIN * height``, ``MARGIN * width``, 3), uint8.
    """
    rows, columns = int(MARGIN * height), int(MARGIN * width)
    ground_row = int(rows / 2 + horizon)
    canvas = np.empty((rows, columns, 3), np.float32)
    canvas[:ground_row] = _gradient(rng, ground_row, columns)
    canvas[ground_row:] = _gradient(rng, rows - ground_row, columns)
    texture = rng.integers(3)
    if texture == 1:
        grain = rng.normal(0, rng.uniform(6, 18), (rows // rng.integers(3, 9), columns // rng.integers(3, 9), 1))
        canvas += cv2.resize(grain.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)[..., None]
    elif texture == 2:
        period, direction = rng.uniform(8, 26), rng.uniform(0, np.pi)
        y, x = np.mgrid[:rows, :columns]
        wave = np.sin((x * np.cos(direction) + y * np.sin(direction)) * 2 * np.pi / period)
        canvas += (np.sign(wave) * rng.uniform(4, 14)).astype(np.float32)[..., None]
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)
    _clutter(rng, canvas, ground_row)
    return cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.4, 1.2))


def _gradient(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A blend of two colours from top to bottom and a little from left to right (rows, columns, 3)."""
    top, bottom = rng.uniform(20, 235, (2, 3))
    top = top.mean() + (top - top.mean()) * rng.uniform(0.15, 0.8)  # mostly muted colours
    bottom = top + (bottom - top) * rng.uniform(0.1, 0.6)
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    across = np.linspace(-1, 1, columns, dtype=np.float32)[None, :, None] * rng.uniform(-15, 15)
    return top * (1 - down) + bottom * down + across


def _clutter(rng: np.random.Generator, canvas: np.ndarray, ground_row: int) -> None:
    """Windows, posts, bushes and boxes, in place."""
    rows, columns = canvas.shape[:2]
    for _ in range(rng.integers(0, 12)):
        colour = tuple(int(c) for c in rng.integers(20, 235, 3))
        x, kind = int(rng.integers(columns)), rng.integers(4)
        if kind == 0:
            y = int(rng.integers(ground_row))
            cv2.rectangle(canvas, (x, y), (x + int(rng.integers(8, 50)), y + int(rng.integers(8, 40))), colour, -1)
        elif kind == 1:
            top = int(rng.integers(rows // 4, max(rows // 4 + 1, ground_row - 5)))
            cv2.line(canvas, (x, ground_row), (x, top), colour, int(rng.integers(2, 8)), cv2.LINE_AA)
        elif kind == 2:
            axes = (int(rng.integers(6, 24)), int(rng.integers(5, 18)))
            cv2.ellipse(canvas, (x, ground_row - axes[1] // 2), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            size = rng.integers(8, 30, 2)
            y = int(rng.integers(ground_row, rows))
            cv2.rectangle(canvas, (x, y - int(size[1])), (x + int(size[0]), y), colour, -1)


@dataclass(frozen=True)
class Camera:
    """A camera that pans, zooms, rolls and shakes.

    Attributes:
        pan: Its own speed, in pixels a second (2,).
        zoom: Zoom factor at the beginning and at the end (2,).
        roll: Rotation in radians at the beginning and at the end (2,).
        shake: Amplitude in pixels, frequency in hertz and phase of the shaking in x and y (3, 2).
    """

    pan: np.ndarray
    zoom: np.ndarray
    roll: np.ndarray
    shake: np.ndarray

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Camera':
        """Draw a camera; nearly half of them stand still apart from their shaking."""
        moving = rng.random() < 0.6
        zoom = rng.uniform(0.9, 1.1) * np.array([1.0, rng.uniform(0.92, 1.08) if moving else 1.0])
        shake = np.stack([rng.uniform(0, 1.2, 2), rng.uniform(0.5, 3.0, 2), rng.uniform(0, 2 * np.pi, 2)])
        return cls(
            pan=rng.uniform(-1, 1, 2) * np.array([12.0, 4.0]) * moving,
            zoom=zoom,
            roll=rng.uniform(-0.04, 0.04) + np.array([0.0, rng.uniform(-0.03, 0.03)]) * moving,
            shake=shake,
        )

    def matrix(self, progress: float, seconds: float, centre: np.ndarray, width: int, height: int) -> np.ndarray:
        """Affine map (2, 3) from canvas pixels, with the canvas centre as origin, to frame pixels.

        Args:
            progress: Share of the clip that has passed, 0 to 1.
            seconds: Time since the middle of the clip.
            centre: Where the camera would look without a motion of its own (2,).
            width: Width of the frame.
            height: Height of the frame.
        """
        amplitude, frequency, phase = self.shake
        look = centre + self.pan * seconds + amplitude * np.sin(2 * np.pi * frequency * seconds + phase)
        zoom = self.zoom[0] + (self.zoom[1] - self.zoom[0]) * progress
        roll = self.roll[0] + (self.roll[1] - self.roll[0]) * progress
        linear = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        return np.column_stack([linear, np.array([width / 2, height / 2]) - linear @ look])
