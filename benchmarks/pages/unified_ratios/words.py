"""What the classes are called, and their definitions: all written for this page, by whoever knew what is drawn."""

from collections.abc import Sequence

from textxfer_mm.datasets.rendered_scenes.words import action
from textxfer_mm.datasets.scene_datasets import PAIRS

#: Each verb in a word that no caption has, and what the picture shows; the braces are the object.
VERBS: dict[str, tuple[str, str]] = {
    'holding': ('grasping', 'both hands keep {} before the chest'),
    'lifting': ('hoisting', 'both hands bring {} up over the head'),
    'kicking': ('booting', 'one foot strikes {} away'),
    'throwing': ('hurling', 'one arm sends {} through the air'),
    'pushing': ('shoving', 'both arms press against {} on the ground'),
    'pulling': ('towing', 'a rope drags {} along the ground'),
    'sitting on': ('perching upon', 'knees bent, the body rests on {}'),
    'standing on': ('surmounting', 'both feet are on top of {}'),
    'balancing': ('poising', 'the head carries {}, arms wide'),
    'pointing at': ('indicating', 'one arm stretches towards {}'),
    'jumping over': ('vaulting', 'in the air, with {} below'),
    'hiding behind': ('lurking by', 'crouching, with {} before the body'),
}
#: Each object in a word that no caption has, and its definition.
OBJECTS: dict[str, tuple[str, str]] = {
    'ball': ('sphere', 'a round thing'),
    'box': ('crate', 'a square case'),
    'umbrella': ('parasol', 'a wide cover with a stick'),
    'ladder': ('stile', 'two poles with steps between'),
    'flag': ('banner', 'a cloth on a pole'),
    'star': ('pentagram', 'a shape with five points'),
    'tree': ('conifer', 'a tall plant with a trunk'),
    'chair': ('seat', 'a thing with a back and legs'),
    'bottle': ('flask', 'a vessel with a narrow neck'),
    'fish': ('trout', 'an animal with fins'),
    'car': ('automobile', 'a vehicle with wheels'),
    'ring': ('hoop', 'a band around a hole'),
    'kite': ('glider', 'a toy that flies from a string'),
    'cup': ('mug', 'a vessel with a handle'),
    'drum': ('tambour', 'a case that is beaten with sticks'),
    'book': ('tome', 'open pages between covers'),
}


def names(kind: str) -> list[str]:
    """What the classes of a kind are called in captions."""
    return [action(*pair) for pair in PAIRS[kind]]


def definitions(kind: str) -> list[str]:
    """What defines these classes."""
    return [VERBS[verb][1].format(OBJECTS[thing][1]) for verb, thing in PAIRS[kind]]


def other_names(kind: str) -> list[str]:
    """The same classes in words that no caption has."""
    return [action(VERBS[verb][0], OBJECTS[thing][0]) for verb, thing in PAIRS[kind]]


#: The texts of classes: names, and what stands behind them; of a name in other words, that of the captions.
TEXTS = {
    'names': (names, None),
    'glosses': (names, definitions),
    'other-names': (other_names, None),
    'other-names-glosses': (other_names, names),
}


def texts(way: str, kind: str) -> tuple[list[str], list[str] | None]:
    """The names and the glosses of the classes of a kind, in one of the ways of :data:`TEXTS`."""
    named, glossed = TEXTS[way]
    return named(kind), None if glossed is None else glossed(kind)


def words_of(sentences: Sequence[str]) -> set[str]:
    """The words of some sentences."""
    return {word.strip('.,') for sentence in sentences for word in sentence.split()}
