"""Writing a page: tables and verdicts are made of the results alone, so that no sentence contradicts its numbers."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.claims import Claim, Measure, Results
from harness.page import Page, Row, Table
from harness.statistics import Verdict, answer, by_row, judge, seeds_of, spread, usual_seeds, values
from textxfer_mm.files import write_text

SUMMARY = {
    'holds': 'Holds here',
    'the opposite': 'The opposite of these findings was seen here',
    'not resolved': 'Not resolved',
    'no difference seen': 'Said to be alike, and no difference seen (one as large as its uncertainty would be missed)',
    'differs': 'Said to be alike, but different here',
    'no advantage': 'A larger advantage, where neither side has one here',
    'both near chance': 'Both sides near chance, so nothing can be compared',
    'one seed': 'One seed only',
    'not run': 'Not run',
}


def write_page(page: Page, docs: Path, results: Sequence[Mapping[str, Any]]) -> Path:
    """Write a page and its plots; what has no results yet is said to be not run.

    Args:
        page: The page.
        docs: Folder of the page; plots go to ``images`` in it.
        results: What the runs measured, with the row and the seed of each.

    Returns:
        The file.
    """
    ordered, extra = by_row(results), page.extra()
    ordered = {**ordered, **page.derive(ordered)}
    lines = [*page.introduction(ordered, page.work.scale), *_falsifiers(page, ordered), *_summary(page, ordered)]
    for table in page.tables:
        plotted = table.plot is not None and table.plot(docs / 'images' / table.image, ordered)
        lines += _table(page, table, ordered, plotted, extra.get(table.extra))
    lines += page.fine_print(ordered, page.work.scale)
    file = docs / f'{page.name}.md'
    write_text(file, '\n'.join(_wrapped(line) for line in lines) + '\n')
    return file


def seeds_in_words(results: Results) -> str:
    """Number and list of the seeds."""
    seeds = seeds_of(results)
    return f'{count_of(len(seeds))} ({", ".join(map(str, seeds))})' if seeds else 'no seeds yet'


def count_of(seeds: int) -> str:
    """A number of seeds."""
    return '1 seed' if seeds == 1 else f'{seeds} seeds'


def _wrapped(line: str) -> str:
    """Prose and lists at the width of the other pages; tables, code and headings as they are."""
    if line.startswith(('|', '    ', '#', '!')):
        return line
    hanging = '  ' if line.startswith('- ') else ''
    return textwrap.fill(line, 120, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)


def _judged(page: Page, claims: Sequence[Claim], results: Results) -> list[tuple[Claim, Verdict]]:
    """Claims with what the runs say."""
    return [(claim, judge(claim, results, page.measure_of(claim), page.rule)) for claim in claims]


def _falsifiers(page: Page, results: Results) -> list[str]:
    """What would falsify the finding, answered line by line."""
    if not page.falsifiers:
        return []
    lines = ['## What would falsify it', '', _how_answered(page), '']
    lines += ['| It is falsified if | measured here | answer |', '|---|---|---|']
    for falsifier in page.falsifiers:
        judged = _judged(page, falsifier.claims, results)
        found = [
            f'{claim.text}: {_difference(page, claim, verdict, usual_seeds(results))}, {verdict.word}'
            if verdict.seeds
            else f'{claim.text}: not run'
            for claim, verdict in judged
        ]
        answered = answer([verdict.word for _, verdict in judged])
        lines.append(_line([falsifier.text, '; '.join(found), f'**{answered}**']))
    return [*lines, '']


def _how_answered(page: Page) -> str:
    """What the answers mean."""
    return (
        '"Falsified" is where the opposite of what is expected is resolved, "not falsified" where the expected '
        f'difference is. "Not resolved" ({page.rule.unresolved}) is also what would be seen if both sides were equal.'
    )


def _summary(page: Page, results: Results) -> list[str]:
    """All claims, by the circumstances and ordered by what became of them."""
    if not page.tables:
        return []
    lines = ['## What holds and what does not', '']
    for group in dict.fromkeys(table.group for table in page.tables):
        lines += [f'### {group[0].upper()}{group[1:]}', ''] if group else []
        judged = [
            (f'{claim.text} ({table.title.split(":")[0]})', verdict.word)
            for table in page.tables
            if table.group == group
            for claim, verdict in _judged(page, table.claims, results)
        ]
        for word, title in SUMMARY.items():
            found = [text for text, w in judged if w == word]
            if found:
                title += f': {page.rule.unresolved}' if word == 'not resolved' else ''
                lines += [f'**{title}** ({len(found)}):', '', *(f'- {text}' for text in found), '']
    return lines


def _table(page: Page, table: Table, results: Results, plotted: bool, extra: Mapping[str, str] | None) -> list[str]:
    """Heading, note, rows, plot and verdicts of one table."""
    measures = [page.measures[name] for name in table.columns or page.columns]
    head = ['', 'paper', *(measure.title for measure in measures), *([table.extra] if extra else [])]
    note = f'{table.note} {table.caveat(results)}'.rstrip()
    lines = [f'## {table.title}', '', note, '', _line(head), f'|{"---|" * len(head)}']
    for row in table.rows:
        cells = [row.title, row.paper or '-', *_numbers(row, results, measures)]
        lines.append(_line([*cells, extra.get(row.name, '-')] if extra else cells))
    if plotted:
        lines += ['', f'![{table.title}](images/{table.image})']
    judged = _judged(page, table.claims, results)
    if judged:
        lines += ['', '| finding | paper | here | verdict |', '|---|---|---|---|']
        lines += [_claim(page, claim, verdict, usual_seeds(results)) for claim, verdict in judged]
    explained = [claim.if_opposite for claim, verdict in judged if verdict.word == 'the opposite' and claim.if_opposite]
    return [*lines, '', *(line for text in explained for line in (text, ''))]


def _line(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'


def _numbers(row: Row, results: Results, measures: Sequence[Measure]) -> list[str]:
    """The cells of the measures in one line of a table."""
    if row.name is None:
        return ['not run', *('-' for _ in measures[1:])]
    return [_mean(results, row.name, measure) for measure in measures]


def _mean(results: Results, row: str, measure: Measure) -> str:
    """Mean and spread over the seeds, of several, and their number where others have more."""
    numbers = list(values(results, row, measure).values())
    if not numbers:
        return '-' if results.get(row) else 'not run'
    fewer = f' ({count_of(len(numbers))})' if len(numbers) < usual_seeds(results) else ''
    varies = f' ± {spread(numbers):.{measure.digits}f}' if len(numbers) > 1 else ''
    return f'{np.mean(numbers):.{measure.digits}f}{varies}{fewer}'


def _claim(page: Page, claim: Claim, verdict: Verdict, usual: int) -> str:
    """One line of the verdicts."""
    paper = claim.paper or '-'
    if not verdict.seeds:
        return _line([claim.text, paper, '-', 'not run'])
    return _line([claim.text, paper, _difference(page, claim, verdict, usual), f'**{verdict.word}**'])


def _difference(page: Page, claim: Claim, verdict: Verdict, usual: int) -> str:
    """The difference between the two sides of a claim, how sure it is, and how many seeds, where others have more."""
    measure = page.measure_of(claim)
    uncertainty = page.rule.describe(verdict.left, verdict.right, measure.digits)
    fewer = f' ({count_of(verdict.seeds)})' if verdict.seeds < usual else ''
    return f'{verdict.difference:+.{measure.digits}f}{measure.unit}, {uncertainty}{fewer}'
