"""The report of a choice of senses: each class with what was chosen, and how many classes have a gloss at all."""

import csv
import io
from collections import Counter
from collections.abc import Sequence

from textxfer_mm.text.glosses.choice import ChosenGloss

#: Classes that are named as the most doubtful ones.
_FEW = 10
COLUMNS = ('label', 'name', 'read as', 'sense', 'likeness', 'senses', 'gloss')


def report_rows(chosen: Sequence[ChosenGloss]) -> list[list[str]]:
    """The rows of the report under :data:`COLUMNS`, one for each sense, and one for a class without any."""
    rows = []
    for label, choice in enumerate(chosen):
        entry = choice.entry
        for number in range(max(len(entry.glosses), 1)):
            sense, gloss, likeness = '', '', ''
            if entry.glosses:
                sense = ' '.join(filter(None, (choice.words[number], f'({entry.senses[number]})')))
                sense, gloss = sense.removesuffix(' ()'), entry.glosses[number]
            if choice.likeness:
                likeness = f'{choice.likeness[number]:.2f}'
            count = str(choice.choices or '')
            rows.append([str(label), entry.name, choice.how, sense, likeness, count, gloss])
    return rows


def coverage_lines(chosen: Sequence[ChosenGloss]) -> list[str]:
    """How many classes have a gloss, how their names were read, and which have none."""
    bare = [choice.entry.name for choice in chosen if not choice.entry.glosses]
    covered = len(chosen) - len(bare)
    counts = Counter(choice.how for choice in chosen)
    how = ', '.join(f'{count} {how}' for how, count in counts.most_common())
    lines = [f'{covered} of {len(chosen)} classes have a gloss ({100 * covered / len(chosen):.1f} %); read as: {how}.']
    if bare:
        lines.append(f'Without a gloss, and so with their bare name: {", ".join(bare)}.')
    compared = sorted((choice.likeness[0], choice.entry.name) for choice in chosen if choice.likeness)
    if compared:
        lines.append(f'Least like their gloss, look at these first: {", ".join(name for _, name in compared[:_FEW])}.')
    return lines


def report_csv(chosen: Sequence[ChosenGloss]) -> str:
    """The report as a CSV file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='\n')
    writer.writerow(COLUMNS)
    writer.writerows(report_rows(chosen))
    return buffer.getvalue()


def report_markdown(chosen: Sequence[ChosenGloss]) -> str:
    """The report as a Markdown file."""
    rows = [[cell.replace('|', r'\|') for cell in row] for row in report_rows(chosen)]
    table = [COLUMNS, ['---'] * len(COLUMNS), *rows]
    return '\n'.join([*coverage_lines(chosen), '', *(f'| {" | ".join(row)} |' for row in table)]) + '\n'
