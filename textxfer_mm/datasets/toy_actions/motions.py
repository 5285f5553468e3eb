"""The motions of toy actions: a pose of a figure as a function of time.

Lengths are in body heights with y pointing up; side 0 is the figure's limb on the left of the image, side 1 on the
right. Every gait is mirror symmetric in distribution: one frame of a figure that moves to the left looks like one frame
of a figure that moves to the right, and only the order of the frames tells them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

SIDES = np.array([-1.0, 1.0])
REST_HAND = (0.05, -0.33)
REST_FOOT = 0.075
PELVIS = 0.48


@dataclass
class Pose:
    """One pose.

    Attributes:
        x: Horizontal position of the body along its path.
        pelvis: Height of the pelvis over the ground.
        hands: Hand positions from their shoulders, outward and up (2, 2).
        feet: Foot positions, outward from the body's axis and up from the ground (2, 2).
        turn: Cosine of the angle by which the body faces away from the camera, -1 to 1.
        stoop: How far the trunk is bent towards the camera, 0 to 1.
        roll: Angle by which the whole body is rotated about its feet, in radians.
    """

    x: float = 0.0
    pelvis: float = PELVIS
    hands: np.ndarray = field(default_factory=lambda: np.array([REST_HAND, REST_HAND]))
    feet: np.ndarray = field(default_factory=lambda: np.array([[REST_FOOT, 0.0], [REST_FOOT, 0.0]]))
    turn: float = 1.0
    stoop: float = 0.0
    roll: float = 0.0

    def lift(self, height: float) -> None:
        """Raise the whole body, feet included, over the ground."""
        self.pelvis += height
        self.feet[:, 1] += height


@dataclass(frozen=True)
class Style:
    """What varies between two clips of one class.

    Attributes:
        tempo: Factor on every frequency and speed.
        size: Factor on every amplitude.
        phase: Phase of the periodic motions, in radians.
        onset: Time at which a motion that happens once begins, in seconds.
        side: The limb used by one-sided actions, 0 or 1.
        offset: Phase between the two limbs of two-sided actions, in radians.
        turn: Cosine of the angle by which the body faces away from the camera.
    """

    tempo: float
    size: float
    phase: float
    onset: float
    side: int
    offset: float
    turn: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Style':
        """Draw a style."""
        return cls(
            tempo=rng.uniform(0.8, 1.25),
            size=rng.uniform(0.85, 1.15),
            phase=rng.uniform(0, 2 * np.pi),
            onset=rng.uniform(0.1, 0.7),
            side=int(rng.integers(2)),
            offset=float(rng.choice([0.0, np.pi])),
            turn=rng.uniform(0.8, 1.0),
        )

    def angle(self, t: float, hertz: float) -> float:
        """Phase at time ``t`` (seconds) of a motion with ``hertz`` cycles a second."""
        return 2 * np.pi * hertz * self.tempo * t + self.phase

    def pulse(self, t: float, hertz: float) -> float:
        """A smooth value that goes from 0 to 1 and back once a cycle."""
        return 0.5 - 0.5 * np.cos(self.angle(t, hertz))


def _ease(value: float) -> float:
    """Smooth step from 0 to 1."""
    value = min(max(value, 0.0), 1.0)
    return value * value * (3 - 2 * value)


def _stride(t: float, style: Style, *, direction: int, hertz: float, length: float, lift: float) -> Pose:
    """Legs that swing along the path; the foot that swings forward is off the ground."""
    pose = Pose(turn=0.55 * style.turn)
    for side, sign in enumerate(SIDES):
        angle = style.angle(t, hertz) + np.pi * side
        swing = length * style.size * np.sin(angle)
        pose.feet[side] = sign * swing + 0.03, lift * max(0.0, direction * np.cos(angle))
        pose.hands[side, 0] -= 0.75 * sign * swing
    pose.pelvis -= 0.22 * length * np.sin(style.angle(t, hertz)) ** 2
    return pose


def walking(t: float, style: Style, direction: int) -> Pose:
    """Walking along the image; direction is -1 (left) or 1 (right)."""
    pose = _stride(t, style, direction=direction, hertz=1.0, length=0.13, lift=0.05)
    pose.x = direction * 0.30 * style.tempo * t
    return pose


def running(t: float, style: Style, direction: int) -> Pose:
    """Running along the image: long fast strides, bent arms, feet that leave the ground together."""
    pose = _stride(t, style, direction=direction, hertz=1.7, length=0.22, lift=0.18)
    pose.lift(0.06 * abs(np.cos(style.angle(t, 1.7))))
    pose.hands[:, 1] += 0.17
    pose.x = direction * 0.62 * style.tempo * t
    return pose


def jumping(t: float, style: Style, direction: int = 0) -> Pose:
    """Jumping with both feet, on the spot (0) or to one side."""
    pose = Pose(turn=style.turn)
    height = np.sin(style.angle(t, 1.1))
    pose.lift(0.22 * style.size * max(0.0, height))
    pose.pelvis -= 0.13 * max(0.0, -height)
    pose.hands += np.array([0.08, 0.16]) * max(0.0, height) * style.size + np.array([0.04, 0.04])
    pose.x = direction * 0.42 * style.tempo * t
    return pose


def jumping_jacks(t: float, style: Style) -> Pose:
    """Arms swing from the thighs over the head while the legs open, and back."""
    pose = Pose(turn=style.turn)
    opened = style.pulse(t, 1.0)
    angle = opened * 0.92 * np.pi
    pose.hands[:] = 0.33 * np.sin(angle) + 0.05, -0.33 * np.cos(angle)
    pose.feet[:, 0] += 0.20 * style.size * opened
    pose.lift(0.07 * np.sin(np.pi * opened) ** 2)
    return pose


def _used(style: Style, hands: int) -> list[int]:
    """The sides that a one-handed or two-handed action uses."""
    return [style.side] if hands == 1 else [0, 1]


def waving(t: float, style: Style, hands: int) -> Pose:
    """Forearms swing from side to side over the shoulders."""
    pose = Pose(turn=style.turn)
    for side in _used(style, hands):
        swing = np.sin(style.angle(t, 1.5) + style.offset * side)
        pose.hands[side] = 0.17 + 0.11 * style.size * swing, 0.22 - 0.05 * abs(swing)
    return pose


def raising(t: float, style: Style, hands: int) -> Pose:
    """Straight arms go up once, sideways, and stay up."""
    pose = Pose(turn=style.turn)
    angle = 0.2 + (np.pi * 0.93 - 0.2) * _ease((t - style.onset) * 1.2 * style.tempo)
    for side in _used(style, hands):
        pose.hands[side] = 0.34 * np.sin(angle), -0.34 * np.cos(angle)
    return pose


def punching(t: float, style: Style, hands: int) -> Pose:
    """Fists before the chin; the punching ones shoot out sideways."""
    pose = Pose(turn=style.turn)
    pose.hands[:] = 0.0, -0.04
    for side in _used(style, hands):
        reach = max(0.0, np.sin(style.angle(t, 1.2) + style.offset * side)) ** 0.6
        pose.hands[side] = -0.01 + 0.34 * reach, -0.04 + 0.06 * reach
    pose.feet[:, 0] += 0.04
    return pose


def clapping(t: float, style: Style) -> Pose:
    """Hands meet before the chest and part."""
    pose = Pose(turn=style.turn)
    apart = style.pulse(t, 1.5)
    pose.hands[:] = -0.095 + 0.20 * style.size * apart, -0.13
    return pose


def squatting(t: float, style: Style) -> Pose:
    """Knees bend outward, the body goes down and comes up, arms held forward."""
    pose = Pose(turn=style.turn)
    depth = style.pulse(t, 0.6)
    pose.pelvis -= 0.29 * style.size * depth
    pose.feet[:, 0] += 0.05
    pose.hands[:] = np.array(REST_HAND) + np.array([-0.06, 0.22]) * depth
    return pose


def bowing(t: float, style: Style) -> Pose:
    """The trunk bends towards the camera and comes up again."""
    pose = Pose(turn=style.turn)
    pose.stoop = style.pulse(t, 0.55) * min(1.0, 0.95 * style.size)
    return pose


def kicking(t: float, style: Style) -> Pose:
    """One leg swings up sideways and returns."""
    pose = Pose(turn=style.turn)
    reach = max(0.0, np.sin(style.angle(t, 0.9))) * style.size
    angle = 1.45 * reach
    pose.feet[style.side] = REST_FOOT + 0.44 * np.sin(angle), PELVIS - 0.46 * np.cos(angle) - 0.02
    pose.hands += np.array([0.10, 0.10]) * (0.4 + 0.6 * reach)
    return pose


def spinning(t: float, style: Style) -> Pose:
    """The body turns about its vertical axis, arms held off it."""
    pose = Pose(turn=np.cos(style.angle(t, 0.7)))
    pose.hands[:] = 0.22 * style.size * abs(pose.turn), -0.24
    return pose


def falling(t: float, style: Style) -> Pose:
    """The body tips over to one side and lies on the ground."""
    pose = Pose(turn=style.turn)
    tipped = _ease((t - style.onset) * 1.3 * style.tempo) ** 1.5
    pose.roll = SIDES[style.side] * tipped * 1.5
    pose.hands += np.array([0.12, 0.2]) * np.sin(np.pi * min(tipped, 0.7))
    pose.pelvis -= 0.05 * np.sin(np.pi * tipped)
    return pose


def standing(t: float, style: Style) -> Pose:
    """Hardly any motion."""
    pose = Pose(turn=style.turn)
    pose.hands[:, 0] += 0.02 + 0.008 * np.sin(style.angle(t, 0.5))
    return pose


Motion = Callable[[float, Style], Pose]

#: Class name to motion. The first ones are seen in training; their words recombine into the unseen ones. Of two
#: opposite directions both are seen or neither: between a seen and an unseen one a recogniser prefers what it was
#: trained on.
SEEN_ACTIONS: dict[str, Motion] = {
    'walking to the left': partial(walking, direction=-1),
    'walking to the right': partial(walking, direction=1),
    'running to the left': partial(running, direction=-1),
    'running to the right': partial(running, direction=1),
    'jumping up and down': jumping,
    'jumping jacks': jumping_jacks,
    'waving one hand': partial(waving, hands=1),
    'raising one hand': partial(raising, hands=1),
    'raising two hands': partial(raising, hands=2),
    'punching with one hand': partial(punching, hands=1),
    'clapping hands': clapping,
    'squatting down': squatting,
    'bowing down': bowing,
    'falling down': falling,
    'kicking with one leg': kicking,
    'spinning around': spinning,
    'standing still': standing,
}

UNSEEN_ACTIONS: dict[str, Motion] = {
    'jumping to the left': partial(jumping, direction=-1),
    'jumping to the right': partial(jumping, direction=1),
    'waving two hands': partial(waving, hands=2),
    'punching with two hands': partial(punching, hands=2),
}
