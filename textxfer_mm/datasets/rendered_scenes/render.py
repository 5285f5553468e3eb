"""Rendering a scene: a still, or the frames of a clip."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from textxfer_mm.datasets.rendered_scenes.objects import COLOURS, draw_object
from textxfer_mm.datasets.rendered_scenes.places import draw_place
from textxfer_mm.datasets.rendered_scenes.poses import POSES, Placed
from textxfer_mm.datasets.rendered_scenes.words import Scene
from textxfer_mm.datasets.toy_actions.figure import Body, draw, joints


@dataclass(frozen=True)
class Look:
    """A style of images.

    Attributes:
        height: Heights of an adult, lowest and highest, as shares of the image.
        jitter: Standard deviation of the colours of a place, and half of it for objects, of 255.
        saturation: Saturations, lowest and highest; 1 leaves colours as they are.
        contrast: Contrasts, lowest and highest; 1 leaves them.
        noise: Highest standard deviation of the noise, of 255.
        texture: Highest amplitude of a texture over everything, of 255.
        blur: Highest standard deviation of the blur, in pixels of an image of 64.
        clutter: Most objects that stand around.
    """

    height: tuple[float, float]
    jitter: float
    saturation: tuple[float, float]
    contrast: tuple[float, float]
    noise: float
    texture: float
    blur: float
    clutter: int


#: What captions are of.
PLAIN = Look((0.48, 0.62), 14, (0.7, 1.1), (0.75, 1.1), 6, 6, 0.3, 0)
#: What classes are recognised in: paler, noisier, textured, of other sizes, with things that stand around.
SHIFTED = Look((0.42, 0.66), 24, (0.3, 0.85), (0.6, 0.95), 11, 14, 0.5, 2)


def render_still(scene: Scene, rng: np.random.Generator, *, size: int = 64, look: Look = PLAIN) -> np.ndarray:
    """Render a scene at some moment of its action.

    Args:
        scene: What it shows.
        rng: Source of what the scene leaves open.
        size: Height and width in pixels.
        look: The style.

    Returns:
        An RGB image (H, W, 3), uint8.
    """
    return _render(scene, rng, np.array([rng.uniform(0, 1)]), size, look)[0]


def render_clip(
    scene: Scene, rng: np.random.Generator, *, frames: int = 8, size: int = 64, look: Look = SHIFTED
) -> np.ndarray:
    """Render the action of a scene from near its beginning to near its end.

    Args:
        scene: What it shows.
        rng: Source of what the scene leaves open.
        frames: T.
        size: Height and width in pixels.
        look: The style.

    Returns:
        RGB frames (T, H, W, 3), uint8.
    """
    begin, end = rng.uniform(0, 0.2), rng.uniform(0.8, 1)
    return _render(scene, rng, np.linspace(begin, end, frames), size, look)


def _render(scene: Scene, rng: np.random.Generator, moments: np.ndarray, size: int, look: Look) -> np.ndarray:
    """The frames at some moments, 0 to 1."""
    body, height = _sample_body(scene.person, rng, look), rng.uniform(*look.height) * size
    height *= 0.72 if scene.person == 'child' else 1.0
    ground = rng.uniform(0.82, 0.93) * size
    middle = rng.uniform(-0.1, 0.1) * size
    colour = tuple(np.clip(rng.normal(COLOURS[scene.colour], look.jitter / 2), 0, 255).tolist())
    backdrop = np.empty((size, size, 3), np.uint8)
    draw_place(backdrop, scene.place, ground - rng.uniform(0.06, 0.22) * size, rng, look.jitter)
    _draw_clutter(backdrop, scene, rng, look, ground)
    phase, drift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.03, 0.03) * size
    finish = _finish(rng, look, size)
    images = []
    for s in moments:
        pose, placed = POSES[scene.verb](float(s), float(np.sin(phase + 4 * s)))
        start = size / 2 + middle - 0.45 * placed.x * height + drift * s  # person and object about the middle
        image = backdrop.copy()
        points = {
            name: np.array([start, ground]) + point * (height, -height) for name, point in joints(pose, body).items()
        }
        at = start + placed.x * height, ground - placed.y * height
        if placed.rope:
            hand = points['hand'][1]
            cv2.line(image, _pixel(hand), _pixel(at), (60, 100, 150), max(1, size // 48), cv2.LINE_AA)
        if not placed.in_front:
            _draw_placed(image, scene.object, colour, placed, at, height)
        draw(image, points, body, scale=height, turn=pose.turn)
        if placed.in_front:
            _draw_placed(image, scene.object, colour, placed, at, height)
        images.append(image)
    flip = rng.random() < 0.5
    return np.stack([finish(image[:, ::-1] if flip else image)[..., ::-1] for image in images])


def _draw_placed(image: np.ndarray, name: str, colour: tuple, placed: Placed, at: tuple, height: float) -> None:
    """Draw the object of the scene where it is."""
    stretch = (1.0, 1.0)
    if placed.opened < 1:
        closed = placed.opened < 0.25
        name, stretch = ('closed umbrella', stretch) if closed else (name, (0.3 + 0.7 * placed.opened, 1.0))
    size = placed.size * height
    draw_object(image, name, colour, centre=at, size=size, angle=placed.angle, stretch=stretch)


def _draw_clutter(image: np.ndarray, scene: Scene, rng: np.random.Generator, look: Look, ground: float) -> None:
    """Grey things in the background that are no object of any scene."""
    size = image.shape[1]
    for _ in range(rng.integers(look.clutter + 1)):
        shade, side = float(rng.uniform(60, 190)), rng.uniform(0.06, 0.16) * size
        x, y = rng.uniform(0, size), ground - rng.uniform(0.1, 0.5) * size
        corner = _pixel((x + side, y + side * rng.uniform(0.4, 1.6)))
        cv2.rectangle(image, _pixel((x, y)), corner, (shade, shade, shade), -1)


def _finish(rng: np.random.Generator, look: Look, size: int):
    """What is done to every frame of a clip alike: texture, saturation, contrast, blur; noise is drawn anew."""
    saturation, contrast = rng.uniform(*look.saturation), rng.uniform(*look.contrast)
    brightness, noise, blur = rng.uniform(-12, 12), rng.uniform(0, look.noise), rng.uniform(0, look.blur) * size / 64
    texture = None
    if look.texture:
        cells = int(rng.integers(6, 24))
        coarse = rng.normal(0, rng.uniform(0, look.texture), (cells, cells)).astype(np.float32)
        texture = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
    weights = np.array([0.114, 0.587, 0.299], np.float32)

    def finish(image: np.ndarray) -> np.ndarray:
        pixels = image.astype(np.float32)
        if blur > 0.2:
            pixels = cv2.GaussianBlur(pixels, (0, 0), blur)
        grey = (pixels @ weights)[..., None]
        pixels = (grey + saturation * (pixels - grey) - 128) * contrast + (128 + brightness)
        if texture is not None:
            pixels += texture
        pixels += rng.standard_normal((size, size, 1), np.float32) * noise
        return np.clip(pixels, 0, 255).astype(np.uint8)

    return finish


def _sample_body(person: str, rng: np.random.Generator, look: Look) -> Body:
    """Draw a body that shows who it is: women have long hair, children large heads."""
    body = replace(Body.sample(rng), long_hair=person == 'woman', limb=rng.uniform(0.07, 0.1))
    if person == 'child':
        return replace(body, head=rng.uniform(0.1, 0.12), leg=0.45, torso=0.28)
    return replace(body, head=rng.uniform(0.07, 0.09))


def _pixel(point: np.ndarray | tuple[float, float]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
