"""What each dataset calls its classes. A line of ``MOTIONS`` is one motion, so that its names are synonyms."""

#: The datasets of toy actions, by their looks; the last one is also the one that zero-shot models have not seen.
TOYS = ('colour', 'infrared', 'dim')
#: The real clips.
CLIPS = 'clips'
CLIP_NAMES = ('fighting', 'no fighting')

#: Each toy action with its name in the datasets that have it, in the order of :data:`TOYS`; empty where one has not.
MOTIONS: dict[str, tuple[str, str, str]] = {
    'walking to the left': ('walking to the left', 'going left on foot', 'strolling leftwards'),
    'walking to the right': ('walking to the right', 'going right on foot', 'strolling rightwards'),
    'squatting down': ('squatting down', 'crouching and getting up', 'doing knee bends'),
    'bowing down': ('bowing down', 'taking a bow', 'bending forward'),
    'running to the left': ('running to the left', 'racing to the left side', ''),
    'running to the right': ('running to the right', 'racing to the right side', ''),
    'clapping hands': ('clapping hands', 'applauding', ''),
    'raising two hands': ('raising two hands', '', 'putting both arms up'),
    'standing still': ('standing still', '', 'not moving at all'),
    'falling down': ('', 'tumbling to the ground', 'collapsing'),
    'kicking with one leg': ('', 'kicking with one leg', 'swinging a foot in the air'),
    'jumping jacks': ('jumping jacks', '', ''),
    'jumping up and down': ('', 'hopping on the spot', ''),
    'waving two hands': ('', '', 'waving with both arms'),
    'punching with one hand': ('', '', 'boxing'),
}


def actions_of(dataset: str) -> list[str]:
    """The toy actions of a dataset, in the order of its labels."""
    return [action for action, names in MOTIONS.items() if names[TOYS.index(dataset)]]


def names_of(dataset: str) -> list[str]:
    """What a dataset calls its classes, in the order of its labels."""
    if dataset == CLIPS:
        return list(CLIP_NAMES)
    return [MOTIONS[action][TOYS.index(dataset)] for action in actions_of(dataset)]


def synonyms(datasets: tuple[str, ...] = TOYS) -> list[list[str]]:
    """The groups of names in these datasets that mean the same and are spelled differently."""
    chosen = [number for number, name in enumerate(TOYS) if name in datasets]
    groups = [list(dict.fromkeys(names[n] for n in chosen if names[n])) for names in MOTIONS.values()]
    return [group for group in groups if len(group) > 1]


def are_synonyms(left: str, right: str) -> bool:
    """Whether two names of different datasets mean the same motion."""
    return any(left in names and right in names for names in MOTIONS.values())


def known_and_new(trained: tuple[str, ...], tested: str) -> tuple[list[str], list[str]]:
    """The names of a dataset for motions that the trained ones have under other names, and for those they have not."""
    known = {action for dataset in trained for action in actions_of(dataset)}
    parts: tuple[list[str], list[str]] = [], []
    for action, name in zip(actions_of(tested), names_of(tested), strict=True):
        parts[action not in known].append(name)
    return parts


def share_of_synonyms(left: str, right: str) -> float:
    """The share of all pairs of names of two datasets that mean the same: what guessing finds."""
    both = len(set(actions_of(left)) & set(actions_of(right)))
    return both / (len(actions_of(left)) * len(actions_of(right)))
