"""The models between before and after training, which keep more of what was known before (WiSE-FT)."""

from harness.claims import Claim, Measure, Results
from harness.page import Row, Table

from pages.small_clip.measures import MOTION, SEEN, UNSEEN, percent
from pages.small_clip.rows import ALPHAS
from pages.small_clip.tables import FIRST

#: Of the sweep, by the fields of its points.
POINTS = dict(
    between_seen=Measure(f'{SEEN + MOTION} trained classes', percent('seen'), ' points'),
    between_unseen=Measure(f'{UNSEEN} unseen classes', percent('unseen'), ' points'),
    between_seen_among_all=Measure('trained, all names competing', percent('seen_among_all'), ' points'),
    between_unseen_among_all=Measure('unseen, all names competing', percent('unseen_among_all'), ' points'),
    between_harmonic=Measure('their harmonic mean', percent('harmonic_mean'), ' points'),
    between_stacked=Measure('the same, stacked', percent('stacked_harmonic_mean'), ' points'),
)


def at(alpha: float) -> str:
    """The row of a model on the way."""
    return f'between@{alpha:g}'


def along_the_way(results: Results) -> Results:
    """A row for each model on the way."""
    return {
        at(alpha): {
            seed: {**run, **next(point for point in run['between'] if point['alpha'] == alpha)}
            for seed, run in results.get('between', {}).items()
        }
        for alpha in ALPHAS
    }


BETWEEN = Table(
    'Between before and after training (WiSE-FT)',
    'Weights on the straight line between the model before training and after it, BatchNorm included, by the same text '
    'rows; `textxfer interpolate --sweep` does this. With all names competing a video of a trained class must be told '
    'from unseen classes, too, and the other way round. *Stacked*: the constant off the logits of trained classes '
    'whose harmonic mean is best on these very clips, so an upper bound. Wortsman et al. (2022) report that models on '
    'the way keep more of the zero-shot accuracy and lose nothing, or gain, on what was trained.',
    tuple(
        Row(at(alpha), {0.0: 'before training', 1.0: 'after training'}.get(alpha, f'{alpha:g} of the way'))
        for alpha in ALPHAS
    ),
    (
        Claim(
            'Weights at 0.6 beat those after training on unseen classes', '', (at(0.6),), (at(1.0),), 'between_unseen'
        ),
        Claim(
            'Weights at 0.6 and at the end are alike on trained classes',
            '',
            (at(0.6),),
            (at(1.0),),
            'between_seen',
            alike=True,
        ),
        Claim(
            'Weights at 0.6 have the better harmonic mean where all names compete',
            '',
            (at(0.6),),
            (at(1.0),),
            'between_harmonic',
        ),
        Claim('Stacked, weights at 0.6 have the better one, too', '', (at(0.6),), (at(1.0),), 'between_stacked'),
    ),
    columns=tuple(POINTS),
    group=FIRST,
)
