"""What scenes are made of, in words: verbs, objects, colours, places and people, captions, and lists of classes."""

from dataclasses import dataclass

import numpy as np

VERBS = (
    'holding',
    'lifting',
    'kicking',
    'throwing',
    'pushing',
    'pulling',
    'sitting on',
    'standing on',
    'balancing',
    'pointing at',
    'jumping over',
    'hiding behind',
)
OBJECTS = (
    'ball',
    'box',
    'umbrella',
    'ladder',
    'flag',
    'star',
    'tree',
    'chair',
    'bottle',
    'fish',
    'car',
    'ring',
    'kite',
    'cup',
    'drum',
    'book',
)
COLOURS = ('red', 'orange', 'yellow', 'green', 'blue', 'purple', 'white', 'black')
PLACES = (
    'in a park',
    'on a beach',
    'in a street',
    'in the snow',
    'in a room',
    'in the desert',
    'on a stage',
    'at night',
)
PEOPLE = ('man', 'woman', 'child')
#: Verbs of which one is the other played backwards, with their object: one frame does not tell them apart.
MOTIONS = (
    ('picking up', 'putting down', 'ball'),
    ('walking towards', 'walking away from', 'tree'),
    ('climbing up', 'climbing down', 'ladder'),
    ('opening', 'closing', 'umbrella'),
    ('raising', 'lowering', 'flag'),
)
#: What captions begin with.
_OPENINGS = ('', '', 'a photo of ', 'a picture of ', 'a video of ', 'an image of ')
#: Shares of the stills: scenes of a motion, and captions that leave a part unsaid.
MOTION_SHARE, UNSAID_COLOUR, UNSAID_PLACE, UNSAID_PERSON, UNSAID_VERB = 0.06, 0.4, 0.4, 0.3, 0.1


@dataclass(frozen=True)
class Scene:
    """What a scene shows.

    Attributes:
        verb: One of the verbs, or of the motions.
        object: One of the objects.
        colour: Colour of the object.
        place: Where it is.
        person: Who does it.
    """

    verb: str
    object: str
    colour: str
    place: str
    person: str

    @property
    def action(self) -> str:
        """The name of its class, such as 'lifting a ball'."""
        return action(self.verb, self.object)

    @classmethod
    def sample(cls, rng: np.random.Generator, verb: str, thing: str) -> 'Scene':
        """Draw what a class leaves open."""
        return cls(verb, thing, _one(rng, COLOURS), _one(rng, PLACES), _one(rng, PEOPLE))


def action(verb: str, thing: str) -> str:
    """The name of a class: a verb and its object."""
    return f'{verb} {_with_article(thing)}'


def is_captioned(verb: str, thing: str) -> bool:
    """Whether captions may tell of a pair; a quarter, four of each verb and three of each object, never appear."""
    return (VERBS.index(verb) + OBJECTS.index(thing)) % 4 != 0


def sample_captioned(rng: np.random.Generator) -> Scene:
    """Draw a scene that captions may tell of."""
    if rng.random() < MOTION_SHARE:
        forward, backward, thing = MOTIONS[rng.integers(len(MOTIONS))]
        return Scene.sample(rng, _one(rng, (forward, backward)), thing)
    while True:
        verb, thing = _one(rng, VERBS), _one(rng, OBJECTS)
        if is_captioned(verb, thing):
            return Scene.sample(rng, verb, thing)


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Describe a scene in one of many ways; parts may be left unsaid."""
    colour = '' if rng.random() < UNSAID_COLOUR else f'{scene.colour} '
    person = 'a person' if rng.random() < UNSAID_PERSON else f'a {scene.person}'
    place = '' if rng.random() < UNSAID_PLACE else scene.place
    thing = _with_article(f'{colour}{scene.object}')
    if rng.random() < UNSAID_VERB:
        core = f'{person} and {thing}' if rng.random() < 0.5 else f'{thing} and {person}'
    else:
        core = f'{person} {scene.verb} {thing}'
    end = '.' if rng.random() < 0.4 else ''
    if place and rng.random() < 0.2:
        return f'{place}, {core}{end}'
    return f'{_one(rng, _OPENINGS)}{core} {place}'.rstrip() + end


def _pairs(captioned: bool) -> list[tuple[str, str]]:
    """All pairs that captions may tell of, or all others."""
    return [(verb, thing) for verb in VERBS for thing in OBJECTS if is_captioned(verb, thing) == captioned]


def _spread(pairs: list[tuple[str, str]], count: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """A number of pairs spread evenly over a list, and the rest."""
    chosen = [pair for n, pair in enumerate(pairs) if n * count % len(pairs) < count]
    return chosen, [pair for pair in pairs if pair not in chosen]


def _one(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[rng.integers(len(choices))]


def _with_article(noun: str) -> str:
    return f'{"an" if noun[0] in "aeiou" else "a"} {noun}'


_NEW, _NEW_REST = _spread(_pairs(captioned=False), 30)
_OLD, _OLD_REST = _spread(_pairs(captioned=True), 30)
#: (verb, object) that captions may tell of; of the classes that are trained on, half of them never captioned; of those
#: that are only tested; and of those that differ in motion only.
CAPTIONED_PAIRS: tuple[tuple[str, str], ...] = tuple(_pairs(captioned=True))
SEEN_PAIRS: tuple[tuple[str, str], ...] = (*_OLD, *_NEW)
UNSEEN_PAIRS: tuple[tuple[str, str], ...] = (*_spread(_OLD_REST, 10)[0], *_spread(_NEW_REST, 10)[0])
MOTION_PAIRS: tuple[tuple[str, str], ...] = tuple((verb, thing) for *verbs, thing in MOTIONS for verb in verbs)
