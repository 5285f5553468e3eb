"""Which videos are trained with and which are tested on: whole groups on one side, every class on all, by a seed."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from textxfer_mm.errors import UserError, first_few, first_line, shown

#: Ways to tell groups that have a name; anything else is a regular expression.
NAMED_GROUPS = ('prefix', 'folder')


@dataclass
class _Group:
    """Videos that stay together.

    Attributes:
        key: What they have in common.
        counts: Number of videos of each class.
        side: Where they are.
    """

    key: str
    counts: Counter = field(default_factory=Counter)
    side: str = ''


def groups_of(paths: Sequence[str], rule: str | None) -> list[str]:
    """Name the group of each video.

    Args:
        paths: Paths of videos.
        rule: ``'prefix'``: the name of the file up to its last underscore or hyphen, as ``v_Archery_g01`` of
            ``v_Archery_g01_c03.avi``; ``'folder'``: the folder of the file; otherwise a regular expression that is
            searched in each path, whose groups in parentheses (or the whole match) are the name. None makes each video
            a group of its own.

    Raises:
        UserError: It is no regular expression, or there are paths in which nothing is found.
    """
    if rule is None:
        return list(paths)
    if rule == 'folder':
        return [str(PurePath(path).parent) for path in paths]
    expression = _compiled(r'([^/\\]*)[_-][^_/\\-]*$' if rule == 'prefix' else rule)
    found = [expression.search(path) for path in paths]
    lost = [path for path, match in zip(paths, found, strict=True) if match is None]
    if lost:
        raise UserError(
            f'groups {shown(rule)!r}: {len(lost):,} of {len(paths):,} videos are in no group, the first '
            f'{shown(lost[0])}: give {" or ".join(NAMED_GROUPS)}, or a regular expression that is found in each path.'
        )
    return ['\0'.join(part or '' for part in (match.groups() or (match[0],))) for match in found]


def _compiled(rule: str) -> re.Pattern[str]:
    try:
        return re.compile(rule)
    except re.error as error:
        raise UserError(f'groups {shown(rule)!r} is no regular expression: {first_line(error)}.') from error


def draw_sides(
    labels: Sequence[Sequence[int]], groups: Sequence[str], shares: Mapping[str, float], seed: int
) -> list[str]:
    """Draw a side for each video, groups as a whole, so that each class comes near its shares.

    The order in which groups are given a side depends on the seed and on their names alone, not on the order of the
    list. A class of at least as many groups as sides is on every side, unless its groups hold other classes that forbid
    it.

    Args:
        labels: The label, or labels, of each video.
        groups: The group of each video.
        shares: The share of each side, above 0; the sum is 1.
        seed: Seed of the draw.

    Returns:
        The side of each video.
    """
    found: dict[str, _Group] = {}
    for classes, key in zip(labels, groups, strict=True):
        found.setdefault(key, _Group(key)).counts.update(classes)
    ordered = sorted(found.values(), key=lambda group: (-sum(group.counts.values()), _order(group.key, seed)))
    totals: Counter = Counter()
    for group in ordered:
        totals.update(group.counts)
    lacking = {side: Counter({c: share * n for c, n in totals.items()}) for side, share in shares.items()}
    for group in ordered:
        group.side = max(
            shares, key=lambda side: sum(n * lacking[side][c] / totals[c] for c, n in group.counts.items())
        )
        for label, count in group.counts.items():
            lacking[group.side][label] -= count
    _fill(ordered, list(shares))
    return [found[key].side for key in groups]


def _order(key: str, seed: int) -> str:
    return hashlib.sha256(f'{seed}\0{key}'.encode(errors='surrogateescape')).hexdigest()


def _fill(groups: Sequence[_Group], sides: Sequence[str]) -> None:
    """Move small groups to sides on which a class is missing, where that takes no class off another side."""
    held: dict[int, list[_Group]] = defaultdict(list)
    for group in groups:
        for label in group.counts:
            held[label].append(group)
    for side in sides:
        for members in held.values():
            if any(group.side == side for group in members):
                continue
            for group in reversed(members):  # the smallest first
                if all(sum(other.side == group.side for other in held[one]) > 1 for one in group.counts):
                    group.side = side
                    break


def missing_on(labels: Sequence[Sequence[int]], sides: Sequence[str], wanted: Sequence[str]) -> dict[str, list[int]]:
    """The classes that are not on a side: ``{side: [label, ...]}``, without sides that have all."""
    present: dict[str, set[int]] = {side: set() for side in wanted}
    for classes, side in zip(labels, sides, strict=True):
        present[side] |= set(classes)
    everything = set().union(*present.values())
    return {side: sorted(everything - found) for side, found in present.items() if everything - found}


def shares_of(val: float, test: float) -> dict[str, float]:
    """The shares of the sides, without those of 0.

    Raises:
        UserError: One is out of range, none is above 0, or nothing is left for training.
    """
    for name, share in (('val', val), ('test', test)):
        if not 0 <= share < 1:
            raise UserError(f'The share {name}={share:g} is out of range: from 0 to below 1, such as 0.2.')
    if val + test >= 1 or val + test == 0:
        what = 'leaves nothing to train with' if val + test else 'splits nothing'
        raise UserError(f'val={val:g} and test={test:g} {what}: give shares such as val=0.2.')
    return {side: share for side, share in (('train', 1 - val - test), ('val', val), ('test', test)) if share > 0}


def describe_missing(missing: Mapping[str, Sequence[int]], names: Sequence[str] | None) -> list[str]:
    """One line for each side on which classes are missing."""
    said = []
    for side, labels in missing.items():
        few = first_few(names[label] if names else f'label {label}' for label in labels)
        said.append(f'{len(labels)} classes have no video in {side}, as they have too few videos or groups: {few}.')
    return said
