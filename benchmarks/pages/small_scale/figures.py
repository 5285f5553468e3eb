"""The figures, as tables with a plot."""

from functools import partial

from harness.claims import Claim
from harness.page import Row, Table
from harness.plots import plot_losses, plot_shares

from pages.small_scale.measures import MEASURES

COLOURS = {'vision-text': 'tab:blue', 'vision-only': 'tab:orange', 'random matrix': 'tab:green'}
FRACTIONS = (10, 25, 50, 100)


def _at(name: str, percent: int) -> str:
    """The row of a label fraction."""
    return name if percent == 100 else f'{name}-{percent}'


FIGURE_3 = Table(
    'Figure 3: label fractions',
    'Shares of the training videos of each class; fewer videos are repeated, so that all runs take the same number of '
    'steps. A seed draws the same videos for both. The paper shows curves and gives no numbers but a difference of '
    'about 5 with all labels.',
    tuple(
        Row(_at(name, percent), f'{title}, {percent} %')
        for name, title in (('text', 'vision-text'), ('vision', 'vision-only'))
        for percent in FRACTIONS
    ),
    (
        *(
            Claim(
                f'Vision-text beats vision-only with {percent} % of the labels',
                'about 5 more' if percent == 100 else '',
                (_at('text', percent),),
                (_at('vision', percent),),
            )
            for percent in FRACTIONS
        ),
        Claim(
            'The advantage is larger with 10 % of the labels than with all',
            'as read off Fig. 3',
            ('text-10', '-vision-10'),
            ('text', '-vision'),
        ),
    ),
    image='small_scale_label_fractions.png',
    plot=partial(
        plot_shares,
        measure=MEASURES['seen'],
        curves={
            title: {percent: _at(name, percent) for percent in FRACTIONS}
            for name, title in (('text', 'vision-text'), ('vision', 'vision-only'))
        },
        colours=COLOURS,
        xlabel='share of the labels',
        ylabel='top-1 on seen classes (%)',
    ),
)

FIGURE_4 = Table(
    'Figure 4: training loss',
    'Mean over the seeds of the training loss, smoothed over 10 steps. The cosine head starts at a scale of 20 and at '
    'text rows, the linear head at small weights and so near ln 17 = 2.83: the beginnings of the curves cannot be '
    'compared. The comparison below is of the mean loss over the second half of the training.',
    (
        Row('text', 'vision-text'),
        Row('vision', 'vision-only'),
        Row('random', 'random normal matrix'),
    ),
    (
        Claim('Vision-text has the lower training loss', 'as read off Fig. 4', ('text',), ('vision',), measure='loss'),
        Claim('Text rows have a lower training loss than random ones', '', ('text',), ('random',), measure='loss'),
    ),
    image='small_scale_loss.png',
    plot=partial(
        plot_losses,
        rows=dict(text='vision-text', vision='vision-only', random='random matrix'),
        colours=COLOURS,
    ),
)

FIGURES = (FIGURE_3, FIGURE_4)
