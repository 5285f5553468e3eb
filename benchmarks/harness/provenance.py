"""What results cost and what they come from, in sentences for the fine print of a page."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.claims import Results


def cost_in_words(results: Results) -> str:
    """Wall and processor time of all runs and pre-trainings, the machines and the versions; empty without results.

    Wall time is that of the command: of runs that were done at once each counts a part. What a stop threw away is not
    in it, nor is the making of data. Equal runs under several names are counted once.
    """
    runs = list({run['key']: run for by_seed in results.values() for run in by_seed.values()}.values())
    if not runs:
        return ''
    wall = sum(run['seconds'] / run['at_once'] for run in runs)
    processor = sum(run['cpu_seconds'] for run in runs)
    cores = _listed(sorted({run['cpu_count'] for run in runs}))
    versions = {f'{name} {version}' for run in runs for name, version in run['versions'].items()}
    return (
        f'{len(runs)} runs and pre-trainings took {_time(wall)} of wall time, up to '
        f'{max(run["at_once"] for run in runs)} at once, and {_time(processor)} of processor time of all their '
        f'processes, on {cores} CPU cores{_accelerators(runs)}; '
        'not counted are the making of data and what a stop threw away. '
        f'Versions: {", ".join(sorted(versions))}.'
    )


def _accelerators(runs: Sequence[Mapping[str, Any]]) -> str:
    """How many of the runs computed on which accelerator; empty where none did."""
    found = Counter(run['device'] for run in runs if 'device' in run)
    return ''.join(f', {count} of them on one {name}' for name, count in sorted(found.items()))


def weights_in_words(results: Results, towers: Mapping[str, str]) -> str:
    """Which towers runs started from with unequal weights; empty where there are none.

    Args:
        results: All results; those that started from a tower hold the hash of its weights as ``tower``.
        towers: The tower of each row that has one.
    """
    found: dict[str, Counter[str]] = {}
    for row, tower in towers.items():
        found.setdefault(tower, Counter()).update(run['tower'] for run in results.get(row, {}).values())
    several = [
        f'{name} ({_listed((n for _, n in weights.most_common()), " and ")} runs)'
        for name, weights in found.items()
        if len(weights) > 1
    ]
    if not several:
        return ''
    return (
        f'Runs started from unequal weights of one tower: {", ".join(several)}. Each machine trains its towers itself, '
        'and machines that compute differently end with other weights; what is compared between such runs is compared '
        'between two towers as well.'
    )


def _time(seconds: float) -> str:
    """Hours, or minutes where there is less than one."""
    return f'{seconds / 3600:.1f} hours' if seconds >= 3600 else f'{seconds / 60:.1f} minutes'


def _listed(values: Iterable[Any], separator: str = ' or ') -> str:
    """Values in a row of words."""
    return separator.join(map(str, values))
