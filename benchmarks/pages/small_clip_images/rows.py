"""Every row: what it changes in the shipped config of images with the small CLIP."""

from harness.training import Setting
from mmengine.config import Config

from pages.edits import Edit, edits, untrained
from pages.small_clip.rows import RATES, WIDTH, at, nothing, shots

#: Shots a class; all stills of the training list are the rows without a number.
SHOTS = (1, 3, 5)


def vision_only(cfg: Config) -> None:
    """MMPretrain's linear head on the same tower."""
    cfg.model.head = dict(
        type='LinearClsHead',
        num_classes=len(cfg.class_names),
        in_channels=WIDTH,
        loss=dict(type='CrossEntropyLoss'),
    )


def literal(cfg: Config) -> None:
    """Eq. 3 at its word: neither side normalised, no scale."""
    cfg.model.head.normalize = False
    cfg.model.head.pop('init_scale')


#: The classifiers that are compared.
ROWS: dict[str, Edit] = dict(text=nothing, vision=vision_only, literal=literal)
#: Those and the ones with a single shot: rows that may have a rate of their own.
RATED: dict[str, Edit] = {**ROWS, **{f'{row}-1': edits(ROWS[row], shots(1)) for row in ('text', 'vision')}}


def _settings(changes: dict[str, Edit]) -> dict[str, Setting]:
    return {name: Setting(name, edit, tower='main') for name, edit in changes.items()}


SETTINGS = _settings(
    {
        'untrained': untrained,
        **ROWS,
        **{f'{row}-{count}': edits(ROWS[row], shots(count)) for count in SHOTS for row in ('text', 'vision')},
    }
)


def at_own(own: dict[str, float]) -> dict[str, Setting]:
    """Rows at rates of their own."""
    return _settings({f'{row}-own': edits(RATED[row], at(rate)) for row, rate in own.items()})


#: All rates that are tried.
TRIED = _settings({f'{row}@{rate:g}': edits(edit, at(rate)) for row, edit in RATED.items() for rate in RATES})
