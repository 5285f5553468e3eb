"""How a person and an object are placed in an action, as a function of how far it has gone.

Lengths are in body heights; the person stands at the origin, y up from the ground, and acts to the right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from textxfer_mm.datasets.toy_actions.motions import PELVIS, Pose

SMALL, MIDDLE, LARGE = 0.42, 0.5, 0.62


@dataclass
class Placed:
    """Where an object is.

    Attributes:
        x: Its middle.
        y: Its middle, over the ground.
        size: Side of the box it fills.
        angle: Rotation in radians, anticlockwise.
        in_front: Whether it hides the person, or is hidden.
        rope: Whether a rope leads from the hands to it.
        opened: How far it is opened, 0 to 1, where it can be.
    """

    x: float
    y: float
    size: float = SMALL
    angle: float = 0.0
    in_front: bool = True
    rope: bool = False
    opened: float = 1.0


Posing = Callable[[float, float], tuple[Pose, Placed]]


def _arms(pose: Pose, x: float, y: float) -> None:
    """Both hands to one point right of the shoulders."""
    pose.hands[1] = x, y
    pose.hands[0] = -x, y


def _overhead(pose: Pose, share: float) -> None:
    """Hands from before the chest to over the head."""
    pose.hands[:] = 0.12 * np.sin(np.pi * share) - 0.02, -0.14 + 0.46 * share


def holding(s: float, sway: float) -> tuple[Pose, Placed]:
    """Before the chest."""
    pose = Pose(turn=0.9)
    pose.hands[:] = -0.02, -0.18 + 0.02 * sway
    return pose, Placed(0, 0.60 + 0.02 * sway)


def lifting(s: float, sway: float) -> tuple[Pose, Placed]:
    """From the chest to over the head."""
    pose, share = Pose(turn=0.9), 0.4 + 0.6 * s
    _overhead(pose, share)
    return pose, Placed(0, 0.68 + 0.54 * share + 0.01 * sway)


def kicking(s: float, sway: float) -> tuple[Pose, Placed]:
    """A leg swings to the right; the object leaves the foot."""
    pose, swing = Pose(turn=0.6), min(1.0, 0.35 + 1.3 * s)
    angle = 1.25 * swing
    pose.feet[1] = 0.075 + 0.4 * np.sin(angle), PELVIS - 0.46 * np.cos(angle) - 0.02
    pose.hands += 0.12
    away = max(0.0, s - 0.4)
    return pose, Placed(0.62 + 0.5 * away, 0.2 + 0.5 * away, SMALL, -1.5 * away)


def throwing(s: float, sway: float) -> tuple[Pose, Placed]:
    """An arm swings over the head; the object flies off it."""
    pose, angle = Pose(turn=0.6), 2.9 - 1.5 * min(1.0, 1.4 * s)
    pose.hands[1] = 0.33 * np.sin(angle), -0.33 * np.cos(angle)
    pose.hands[0] = 0.18, -0.15
    away = max(0.0, s - 0.3)
    return pose, Placed(0.4 + 0.55 * away, 1.14 - 0.1 * away, SMALL, 2.0 * away)


def pushing(s: float, sway: float) -> tuple[Pose, Placed]:
    """Both arms against an object on the ground, leaning."""
    pose = Pose(turn=0.55, roll=0.22, x=0.25 * (s - 0.5))
    _arms(pose, 0.3, -0.12 + 0.01 * sway)
    pose.feet[0] = 0.22, 0.0
    return pose, Placed(0.74 + 0.25 * (s - 0.5), LARGE / 2, LARGE)


def pulling(s: float, sway: float) -> tuple[Pose, Placed]:
    """A rope to an object on the ground, leaning away."""
    pose = Pose(turn=0.55, roll=-0.3, x=-0.25 * (s - 0.5))
    _arms(pose, 0.28, -0.1 + 0.01 * sway)
    pose.feet[1] = 0.16, 0.0
    return pose, Placed(0.9 - 0.25 * (s - 0.5), LARGE / 2, LARGE, in_front=False, rope=True)


def sitting(s: float, sway: float) -> tuple[Pose, Placed]:
    """On the object, knees bent."""
    pose = Pose(turn=0.8, pelvis=0.36 - 0.02 * s)
    pose.feet[:] = [0.2, 0.0], [0.2, 0.0]
    pose.hands[:] = 0.06, -0.24 + 0.02 * sway
    return pose, Placed(0, 0.24, LARGE + 0.1, in_front=False)


def standing(s: float, sway: float) -> tuple[Pose, Placed]:
    """On top of the object, arms off the body."""
    pose = Pose(turn=0.9)
    pose.lift(MIDDLE * 0.92)
    pose.hands[:] = 0.16 + 0.04 * sway, -0.24
    return pose, Placed(0, MIDDLE / 2, MIDDLE, in_front=False)


def balancing(s: float, sway: float) -> tuple[Pose, Placed]:
    """On the head, arms wide."""
    pose = Pose(turn=0.9)
    pose.hands[:] = [0.32, 0.03 + 0.06 * sway], [0.32, 0.03 - 0.06 * sway]
    return pose, Placed(0.02 * sway, 1.14, SMALL, 0.12 * sway)


def pointing(s: float, sway: float) -> tuple[Pose, Placed]:
    """One arm stretched out, the object at a distance on the ground."""
    pose = Pose(turn=0.6)
    pose.hands[1] = 0.33, 0.02 + 0.02 * sway
    return pose, Placed(1.0, SMALL / 2 + 0.1, SMALL)


def jumping(s: float, sway: float) -> tuple[Pose, Placed]:
    """In the air with legs apart, the object below."""
    pose, height = Pose(turn=0.8, x=0.3 * (s - 0.5)), 0.30 + 0.18 * np.sin(np.pi * s)
    pose.feet[:] = [0.24, 0.1], [0.24, 0.1]
    pose.hands[:] = 0.24, 0.14
    pose.lift(height)
    return pose, Placed(0, SMALL / 2, SMALL)


def hiding(s: float, sway: float) -> tuple[Pose, Placed]:
    """Crouched, the object before the body."""
    pose = Pose(turn=0.9, pelvis=0.2 + 0.08 * s, stoop=0.25)
    pose.feet[:] = [0.14, 0.0], [0.14, 0.0]
    pose.hands[:] = 0.05, -0.2
    return pose, Placed(0.03 * sway, LARGE / 2, LARGE + 0.08)


def picking_up(s: float, sway: float) -> tuple[Pose, Placed]:
    """From the ground to the chest."""
    pose = Pose(turn=0.8, pelvis=PELVIS - 0.24 * (1 - s), stoop=0.5 * (1 - s))
    pose.feet[:, 0] += 0.06
    pose.hands[:] = -0.02, -0.3 + 0.14 * s
    return pose, Placed(0, 0.17 + 0.46 * s)


def walking(s: float, sway: float) -> tuple[Pose, Placed]:
    """Towards an object at the right."""
    pose = Pose(turn=0.55, x=-0.5 + 0.75 * s)
    swing = np.sin(4 * np.pi * s + sway)
    pose.feet[:] = [0.03 - 0.12 * swing, 0.03 * max(0, swing)], [0.03 - 0.12 * swing, 0.03 * max(0, -swing)]
    pose.hands[:, 0] += [0.08 * swing, 0.08 * swing]
    return pose, Placed(0.75, LARGE / 2, LARGE, in_front=False)


def climbing(s: float, sway: float) -> tuple[Pose, Placed]:
    """Up an object that stands there."""
    pose, step = Pose(turn=-0.9), np.sin(4 * np.pi * s + sway)
    pose.hands[:] = [0.0, 0.22 + 0.07 * step], [0.0, 0.22 - 0.07 * step]
    pose.feet[:] = [0.05, 0.06 + 0.06 * step], [0.05, 0.06 - 0.06 * step]
    pose.lift(0.05 + 0.45 * s)
    return pose, Placed(0, 0.62, 1.25, in_front=False)


def opening(s: float, sway: float) -> tuple[Pose, Placed]:
    """An umbrella over the head."""
    pose = Pose(turn=0.9)
    pose.hands[1] = 0.04, 0.06 + 0.01 * sway
    return pose, Placed(0.14, 1.06, 0.6, opened=s)


def raising(s: float, sway: float) -> tuple[Pose, Placed]:
    """A flag in one hand, from the hip to over the head."""
    pose, angle = Pose(turn=0.9), 0.5 + 2.3 * s
    pose.hands[1] = 0.33 * np.sin(angle), -0.33 * np.cos(angle)
    return pose, Placed(0.2 + 0.33 * np.sin(angle), 0.92 - 0.33 * np.cos(angle), 0.46)


def _backwards(posing: Posing) -> Posing:
    return lambda s, sway: posing(1 - s, sway)


POSES: dict[str, Posing] = {
    'holding': holding,
    'lifting': lifting,
    'kicking': kicking,
    'throwing': throwing,
    'pushing': pushing,
    'pulling': pulling,
    'sitting on': sitting,
    'standing on': standing,
    'balancing': balancing,
    'pointing at': pointing,
    'jumping over': jumping,
    'hiding behind': hiding,
    'picking up': picking_up,
    'putting down': _backwards(picking_up),
    'walking towards': walking,
    'walking away from': _backwards(walking),
    'climbing up': climbing,
    'climbing down': _backwards(climbing),
    'opening': opening,
    'closing': _backwards(opening),
    'raising': raising,
    'lowering': _backwards(raising),
}
