"""What would falsify the finding of the paper, said before the reported seeds were run."""

from harness.claims import Claim, Falsifier


def _falsifier(text: str, *claims: tuple[tuple[str, ...], tuple[str, ...]], measure: str = '') -> Falsifier:
    """What would falsify the finding: that one of these sides is not above the other."""
    return Falsifier(
        text,
        tuple(
            Claim(f'{_in_words(left)} over {_in_words(right)}', '', left, right, measure=measure)
            for left, right in claims
        ),
    )


def _in_words(side: tuple[str, ...]) -> str:
    """One side of a comparison."""
    words = ' - '.join(name.removeprefix('-') for name in side)
    return f'({words})' if len(side) > 1 else words


#: All in the regime of one rate.
FALSIFIERS = (
    _falsifier(
        'text rows are not above random and orthogonal ones', (('text',), ('random',)), (('text',), ('orthogonal',))
    ),
    _falsifier('text rows with one shot are not above vision-only', (('text-1',), ('vision-1',))),
    _falsifier(
        'the gain of text rows over vision-only does not shrink with labels',
        (('text-1', '-vision-1'), ('text', '-vision')),
    ),
    _falsifier('training lowers the accuracy on unseen classes', (('text',), ('untrained',)), measure='unseen'),
    _falsifier(
        'a tower that was pre-trained on shuffled captions gives the same gain over random rows',
        (('text', '-random'), ('text-shuffled-tower', '-random-shuffled-tower')),
    ),
    _falsifier('rotated text rows are as good as text rows: it would not be alignment', (('text',), ('rotated',))),
    _falsifier('rotated text rows are as bad as random ones: it would not be correlation', (('rotated',), ('random',))),
)
