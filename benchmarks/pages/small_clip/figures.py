"""The figures, as tables with a plot."""

from functools import partial

import numpy as np
from harness.claims import Claim, Results
from harness.page import Row, Table
from harness.plots import plot_curves, plot_losses, plot_shares
from harness.statistics import values

from pages.small_clip.configs import Scale
from pages.small_clip.measures import MEASURES, SEEN
from pages.small_clip.rows import SHOTS
from pages.small_clip.tables import FIRST

COLOURS = {'vision-text': 'tab:blue', 'vision-only': 'tab:orange', 'random matrix': 'tab:green'}
TITLES = {'text': 'vision-text', 'vision': 'vision-only', 'random': 'random matrix'}
SHOWN = (*SHOTS, Scale.train)


def _at(name: str, shots: int) -> str:
    """The row of a number of shots."""
    return name if shots == Scale.train else f'{name}-{shots}'


FIGURE_3 = Table(
    'Figure 3 and Table 8: fewer labels',
    f'Clips a class, of {Scale.train}; fewer are repeated, so that all runs take about the same number of steps. A '
    'seed draws the same clips for all rows.',
    tuple(Row(_at(name, shots), f'{title}, {shots} a class') for name, title in TITLES.items() for shots in SHOWN),
    (
        *(
            Claim(
                f'Vision-text beats vision-only with {shots} a class',
                'about 5 more' if shots == Scale.train else '',
                (_at('text', shots),),
                (_at('vision', shots),),
            )
            for shots in SHOWN
        ),
        Claim('Text rows beat random ones with 1 a class', '', ('text-1',), ('random-1',)),
        Claim(
            'The gain over vision-only shrinks with labels',
            'as read off Fig. 3',
            ('text-1', '-vision-1'),
            ('text', '-vision'),
        ),
    ),
    columns=('seen', 'captioned', 'new', 'unseen'),
    group=FIRST,
    image='small_clip_labels.png',
    plot=partial(
        plot_shares,
        measure=MEASURES['seen'],
        curves={
            title: {100 * shots / Scale.train: _at(name, shots) for shots in SHOWN} for name, title in TITLES.items()
        },
        colours=COLOURS,
        xlabel='share of the labels',
        ylabel='top-1 on 60 classes (%)',
    ),
)

FIGURE_4_LOSS = Table(
    'Figure 4: training loss',
    'Mean over the seeds of the training loss, smoothed over 10 steps. The heads start at different losses (a linear '
    'head near that of guessing), so the beginnings of the curves cannot be compared. The comparison below is of the '
    'mean loss over the second half of the training.',
    tuple(Row(name, title) for name, title in TITLES.items()),
    (
        Claim('Vision-text has the lower training loss', 'as read off Fig. 4', ('text',), ('vision',), measure='loss'),
        Claim('Text rows have a lower training loss than random ones', '', ('text',), ('random',), measure='loss'),
    ),
    columns=('loss',),
    group=FIRST,
    image='small_clip_loss.png',
    plot=partial(plot_losses, rows=TITLES, colours=COLOURS),
)


def near_chance(results: Results) -> str:
    """Of which rows the last value is too close to guessing for the steps to it to mean anything."""
    means = {TITLES[row]: np.mean(list(values(results, row, MEASURES['seen']).values() or [np.inf])) for row in TITLES}
    near = [f'{title} ({mean:.1f} %)' for title, mean in means.items() if mean < 3 * 100 / SEEN]
    return f'The last value of {", ".join(near)} is near chance, so that its steps say little.' if near else ''


FIGURE_4 = Table(
    'Figure 4: how fast it learns',
    'Top-1 on every sixth test clip during training; steps to 90 % of the last value, linear between the '
    'measures. Rows that start from what the tower knows have a head start.',
    tuple(Row(name, title) for name, title in TITLES.items()),
    (
        Claim(
            'Vision-text is at 90 % of its final accuracy earlier than vision-only',
            'as read off Fig. 4',
            ('text',),
            ('vision',),
            measure='steps',
        ),
        Claim('Text rows are there earlier than random ones', '', ('text',), ('random',), measure='steps'),
    ),
    columns=('steps', 'seen'),
    caveat=near_chance,
    group=FIRST,
    image='small_clip_curves.png',
    plot=partial(plot_curves, rows=TITLES, colours=COLOURS, ylabel='top-1 on 60 classes (%)', scale=100),
)

FIGURES = (FIGURE_3, FIGURE_4_LOSS, FIGURE_4)
