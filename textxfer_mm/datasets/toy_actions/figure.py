"""Bodies, their joints and how they are drawn."""

from dataclasses import dataclass

import cv2
import numpy as np

from textxfer_mm.datasets.toy_actions.motions import PELVIS, SIDES, Pose

Colour = tuple[int, int, int]
SKINS = ((214, 226, 255), (172, 203, 241), (135, 172, 224), (92, 134, 198), (66, 97, 141), (45, 62, 92))
HAIRS = ((30, 30, 35), (40, 60, 90), (70, 130, 190), (120, 190, 230), (150, 150, 155), (40, 70, 150))
SUBPIXEL = 4
UPPER = 0.5  # share of a limb that lies above its elbow or knee


@dataclass(frozen=True)
class Body:
    """Proportions (in body heights, radii included) and colours (BGR) of one figure."""

    height: float
    torso: float
    shoulder: float
    hip: float
    arm: float
    leg: float
    limb: float
    head: float
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    bare_arms: bool
    bare_legs: bool
    long_hair: bool

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Body':
        """Draw a body; its height is 62 to 92 pixels."""
        return cls(
            height=rng.uniform(62, 92),
            torso=rng.uniform(0.27, 0.31),
            shoulder=rng.uniform(0.085, 0.125),
            hip=rng.uniform(0.045, 0.07),
            arm=rng.uniform(0.33, 0.38),
            leg=rng.uniform(0.47, 0.50),
            limb=rng.uniform(0.055, 0.09),
            head=rng.uniform(0.065, 0.085),
            skin=SKINS[rng.integers(len(SKINS))],
            hair=HAIRS[rng.integers(len(HAIRS))],
            shirt=_colour(rng),
            trousers=_colour(rng),
            shoes=_colour(rng, high=120),
            bare_arms=bool(rng.random() < 0.5),
            bare_legs=bool(rng.random() < 0.3),
            long_hair=bool(rng.random() < 0.4),
        )


def _colour(rng: np.random.Generator, high: int = 256) -> Colour:
    """Draw a colour."""
    blue, green, red = (int(c) for c in rng.integers(0, high, 3))
    return blue, green, red


def _bend(root: np.ndarray, tip: np.ndarray, length: float, towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-bone inverse kinematics: the middle joint, bent ``towards`` a direction, and the tip, pulled within reach."""
    reach = tip - root
    distance = float(np.hypot(*reach)) + 1e-6
    tip = root + reach * min(1.0, length / distance)
    distance = min(distance, length)
    sag = length * UPPER * np.sqrt(max(0.0, 1 - (distance / length) ** 2))
    unit = (tip - root) / distance
    normal = np.array([-unit[1], unit[0]])
    if normal @ towards < 0:
        normal = -normal
    return (root + tip) / 2 + normal * sag, tip


def joints(pose: Pose, body: Body) -> dict[str, np.ndarray]:
    """Joints of a posed body in body heights, x to the right and y up from the ground below the path's origin.

    Returns:
        Arrays of shape (2,) for ``pelvis``, ``neck`` and ``head``; (2, 2), one row a side, for the others.
    """
    pelvis = np.array([0.0, pose.pelvis - PELVIS + body.leg - 0.01])
    neck = pelvis + np.array([0.0, body.torso * (1 - 0.85 * pose.stoop)])
    head = neck + np.array([0.0, (body.head + 0.055) * (1 - 1.7 * pose.stoop)])
    squash = abs(pose.turn)
    facing = 1.0 if pose.turn >= 0 else -1.0
    limbs = {name: np.zeros((2, 2)) for name in ('shoulder', 'elbow', 'hand', 'hip', 'knee', 'foot')}
    for side, sign in enumerate(SIDES * facing):
        width = max(squash, 0.35)
        limbs['shoulder'][side] = neck + np.array([sign * body.shoulder * width, -0.02])
        limbs['hip'][side] = pelvis + np.array([sign * body.hip * width, 0.0])
        hand = limbs['shoulder'][side] + pose.hands[side] * np.array([sign, 1 - 0.3 * pose.stoop]) * body.arm / 0.34
        foot = pose.feet[side] * np.array([sign, 1.0])
        out_down, out_up = np.array([sign, -0.7]), np.array([sign, 0.3])
        limbs['elbow'][side], limbs['hand'][side] = _bend(limbs['shoulder'][side], hand, body.arm, out_down)
        limbs['knee'][side], limbs['foot'][side] = _bend(limbs['hip'][side], foot, body.leg, out_up)
    points = dict(pelvis=pelvis, neck=neck, head=head, **limbs)
    cos, sin = np.cos(pose.roll), np.sin(pose.roll)
    rotation = np.array([[cos, -sin], [sin, cos]])  # row vectors times this turn clockwise for a positive roll
    return {name: point @ rotation + np.array([pose.x, 0.0]) for name, point in points.items()}


def draw(image: np.ndarray, points: dict[str, np.ndarray], body: Body, *, scale: float, turn: float) -> None:
    """Draw a body into ``image``; ``points`` are in pixels, ``scale`` is the body height in pixels."""
    limb = max(2.0, body.limb * scale)

    def line(a: np.ndarray, b: np.ndarray, colour: Colour, width: float) -> None:
        cv2.line(image, _fixed(a), _fixed(b), colour, max(1, round(width)), cv2.LINE_AA, SUBPIXEL)

    def disc(centre: np.ndarray, radius: float, colour: Colour) -> None:
        cv2.circle(image, _fixed(centre), round(radius * 2**SUBPIXEL), colour, -1, cv2.LINE_AA, SUBPIXEL)

    lower_leg = body.skin if body.bare_legs else body.trousers
    for side in range(2):
        line(points['knee'][side], points['foot'][side], lower_leg, limb)
        line(points['hip'][side], points['knee'][side], body.trousers, limb * 1.15)
        disc(points['foot'][side], limb * 0.7, body.shoes)
    trunk = np.stack([points['shoulder'][0], points['shoulder'][1], points['hip'][1], points['hip'][0]])
    corners = np.round(trunk * 2**SUBPIXEL).astype(np.int32)
    cv2.fillConvexPoly(image, corners, body.shirt, cv2.LINE_AA, SUBPIXEL)
    for a, b in zip(trunk, np.roll(trunk, -1, 0), strict=True):
        line(a, b, body.shirt, limb)
    _draw_head(image, points, body, scale=scale, turn=turn)
    forearm = body.skin if body.bare_arms else body.shirt
    for side in range(2):
        line(points['shoulder'][side], points['elbow'][side], tuple(int(c * 0.85) for c in body.shirt), limb * 0.9)
        line(points['elbow'][side], points['hand'][side], tuple(int(c * 0.9) for c in forearm), limb * 0.8)
        disc(points['hand'][side], limb * 0.55, body.skin)


def _draw_head(image: np.ndarray, points: dict[str, np.ndarray], body: Body, *, scale: float, turn: float) -> None:
    """Draw neck, head and hair; a figure that faces away or sideways shows no face."""
    radius = body.head * scale
    up = points['head'] - points['neck']
    up = up / (np.hypot(*up) + 1e-6)
    neck_width = max(1, round(radius * 0.8))
    cv2.line(image, _fixed(points['neck']), _fixed(points['head']), body.skin, neck_width, cv2.LINE_AA, SUBPIXEL)
    size = round(radius * 2**SUBPIXEL)

    def disc(centre: np.ndarray, radius: int, colour: Colour) -> None:
        cv2.circle(image, _fixed(centre), radius, colour, -1, cv2.LINE_AA, SUBPIXEL)

    if body.long_hair:
        disc(points['head'] - up * radius * 0.3, round(size * 1.15), body.hair)
    disc(points['head'] + up * radius * 0.25, size, body.hair)
    if turn > 0:
        disc(points['head'] - up * radius * 0.15, round(size * 0.88), body.skin)
    if turn > 0.7:
        across = np.array([-up[1], up[0]]) * radius * 0.35
        for eye in (-across, across):
            disc(points['head'] + eye, max(8, round(size * 0.13)), (30, 30, 30))


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """A point in the fixed-point coordinates of cv2's drawing functions."""
    x, y = np.round(point * 2**SUBPIXEL).astype(int)
    return int(x), int(y)
