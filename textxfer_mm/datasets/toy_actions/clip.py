"""One clip: a body, a style, a background and a camera, drawn frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from textxfer_mm.datasets.toy_actions.figure import Body, draw, joints
from textxfer_mm.datasets.toy_actions.motions import SEEN_ACTIONS, UNSEEN_ACTIONS, Motion, Style
from textxfer_mm.datasets.toy_actions.scene import Camera, background

ACTIONS: dict[str, Motion] = {**SEEN_ACTIONS, **UNSEEN_ACTIONS}
WIDTH, HEIGHT = 160, 120


@dataclass(frozen=True)
class Clip:
    """A rendered clip.

    Attributes:
        frames: BGR frames (T, H, W, 3), uint8.
        fps: Frames a second.
        centres: Where the middle of the body is in each frame, in pixels (T, 2).
    """

    frames: np.ndarray
    fps: float
    centres: np.ndarray


def render_clip(action: str, key: Sequence[int]) -> Clip:
    """Render one clip.

    Args:
        action: Class name.
        key: Non-negative integers that seed the clip, such as (seed, split, index); the class is added to them, so
            that the same key gives another person and another scene in every class.
    """
    rng = np.random.default_rng([*key, list(ACTIONS).index(action)])
    motion, body, style, camera = ACTIONS[action], Body.sample(rng), Style.sample(rng), Camera.sample(rng)
    fps = float(rng.uniform(12, 16))
    length = round(rng.uniform(1.8, 2.2) * fps)
    times = np.arange(length) / fps
    middle = motion(times[length // 2], style).x
    start = rng.uniform(-0.2, 0.2) * WIDTH  # where the path has its middle, whatever the direction
    ground = rng.uniform(0.42, 0.56) * body.height
    follow = rng.uniform(0.2, 0.6) * (rng.random() < 0.5)
    canvas = background(rng, WIDTH, HEIGHT, ground - rng.uniform(2, 25))
    grain = (rng.standard_normal((2 * HEIGHT, 2 * WIDTH), dtype=np.float32) * rng.uniform(0, 5)).astype(np.int16)
    frames, centres = [], []
    for index, t in enumerate(times):
        pose = motion(t, style)
        pose.x -= middle
        look = np.array([follow * pose.x * body.height, 0.0])
        affine = camera.matrix(index / (length - 1), t - times[length // 2], look, WIDTH, HEIGHT)
        frame = _view(canvas, affine)
        points = {
            name: _project(point * body.height, np.array([start, ground]), affine)
            for name, point in joints(pose, body).items()
        }
        zoom = float(np.hypot(*affine[:, 0]))
        draw(frame, points, body, scale=body.height * zoom, turn=pose.turn)
        y, x = int(rng.integers(HEIGHT)), int(rng.integers(WIDTH))
        noise = cv2.merge([grain[y : y + HEIGHT, x : x + WIDTH]] * 3)
        frames.append(cv2.add(frame, noise, dtype=cv2.CV_8U))
        centres.append(points['pelvis'])
    return Clip(np.stack(frames), fps, np.stack(centres))


def _view(canvas: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """What the camera sees of the canvas."""
    rows, columns = canvas.shape[:2]
    shift = affine[:, 2] - affine[:, :2] @ np.array([columns / 2, rows / 2])
    matrix = np.column_stack([affine[:, :2], shift])
    return cv2.warpAffine(canvas, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _project(points: np.ndarray, origin: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Points (..., 2) in pixels, y up from ``origin``, to frame pixels."""
    return (points * np.array([1.0, -1.0]) + origin) @ affine[:, :2].T + affine[:, 2]
