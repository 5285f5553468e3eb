"""Which rows make up which table, and what would have to be seen for a claim to hold.

The claims were written before any reported seed was run. Numbers marked as the paper's are iCLIP's supplementary
Tables 1 and 2: zero-shot top-1 on ImageNet-1K, and recall at 1 on MSCOCO.
"""

from collections.abc import Sequence

from harness.claims import Claim, Falsifier
from harness.page import Row, Table

from pages.unified_ratios.rows import ENRICHED, MIXTURES, SHARES, row_of

#: By the share of captions: ImageNet-1K, MSCOCO by text (IR), by image (TR).
PAPER = {
    100: (30.1, 12.5, 21.2),
    90: (40.9, 13.9, 25.5),
    75: (43.9, 15.2, 27.5),
    50: (45.9, 15.5, 27.2),
    25: (44.8, 14.1, 27.1),
    10: (44.2, 14.9, 25.9),
}
#: What they are called here: the classes of ImageNet-1K have labels in the paper's data, too.
COLUMNS = ('seen', 'ir1', 'tr1')
PARTS = ('seen_captioned', 'seen_new', 'unseen_captioned', 'unseen_new')


def _title(share: int) -> str:
    """What a share is called in the paper's table, the captions first."""
    kinds = {100: ', captions alone (CLIP)', 0: ', labels alone'}
    return f'{share} % + {100 - share} %{kinds.get(share, "")}'


def _rows(way: str, paper: bool = False) -> tuple[Row, ...]:
    """A row a share."""
    numbers = {share: '{}; IR {}, TR {}'.format(*found) for share, found in PAPER.items()} if paper else {}
    return tuple(Row(row_of(share, way), _title(share), numbers.get(share, '')) for share in SHARES)


def _against(left: int, right: int, measure: str) -> str:
    """Two of the paper's numbers, where it has both."""
    if measure not in COLUMNS or right not in PAPER:
        return ''
    column = COLUMNS.index(measure)
    return f'{PAPER[left][column]} against {PAPER[right][column]}'


def _claims(way: str) -> tuple[Claim, ...]:
    """What is read off the table of one kind of class texts; the captions alone know no definitions."""
    end, paper = (', with definitions', _against) if way == ENRICHED else ('', lambda *numbers: '')

    def claim(text: str, left: int, right: int, measure: str) -> Claim:
        sides = (row_of(left, way),), (row_of(right, 'names' if right == 100 else way),)
        return Claim(f'{text}{end}', paper(left, right, measure), *sides, measure=measure)

    return (
        *(claim(f'{100 - share} % of labels help on labelled classes', share, 100, 'seen') for share in MIXTURES),
        claim('Half and half beats captions alone in retrieval by text', 50, 100, 'ir1'),
        claim('Half and half beats captions alone in retrieval by image', 50, 100, 'tr1'),
        claim('Half and half beats captions alone on unseen classes', 50, 100, 'unseen'),
        claim('Half and half beats labels alone on labelled classes', 50, 0, 'seen'),
        claim('Half and half beats labels alone on unseen classes', 50, 0, 'unseen'),
        claim('Half and half beats labels alone in retrieval by text', 50, 0, 'ir1'),
        *(
            claim(f'Half and half beats {share} % + {100 - share} % on labelled classes', 50, share, 'seen')
            for share in MIXTURES
            if share != 50
        ),
    )


def _enriched() -> tuple[Claim, ...]:
    """What definitions are worth where the names are the words of the captions."""
    sides = (f'mixtures-{ENRICHED}',), ('mixtures-names',)
    told = (('seen', 'on labelled classes'), ('unseen', 'on unseen classes'), ('ir1', 'in retrieval by text'))
    told = (*told, ('tr1', 'in retrieval by image'))
    mixtures = (Claim(f'Definitions help mixtures {where}', '', *sides, measure=name) for name, where in told)
    alone = (
        Claim(
            'Definitions help labels alone on unseen classes',
            '',
            (row_of(0, ENRICHED),),
            (row_of(0, 'names'),),
            measure='unseen',
        ),
    )
    return (*mixtures, *alone)


NAMES = Table(
    'Supplementary Table 1, bare class names',
    'The share of captioned stills first, then that of labelled ones, as in the paper. All rows have as many stills '
    'and steps.',
    _rows('names'),
    _claims('names'),
)
DEFINITIONS = Table(
    'Supplementary Table 1, class names with definitions',
    'The same with a definition behind each class name, in training and in testing, as iCLIP has it. Captions alone '
    'train no class text: their model is that of the other table, tested with definitions here and compared with its '
    'bare names below.',
    _rows(ENRICHED, paper=True),
    _claims(ENRICHED),
)
WORTH = Table(
    'What the definitions are worth',
    'The mean of the five mixtures; and a model that was trained with one kind of class texts, tested with the other.',
    (
        Row('mixtures-names', 'mixtures, bare names'),
        Row(f'mixtures-{ENRICHED}', 'mixtures, with definitions'),
        Row(row_of(0, 'names'), 'labels alone, bare names'),
        Row(row_of(0, ENRICHED), 'labels alone, with definitions'),
    ),
    _enriched(),
    columns=('seen', 'unseen', 'ir1', 'tr1', 'other_seen', 'other_unseen'),
)
_HALVES = tuple(
    Row(row.name, f'{row.title}{end}')
    for way, end in (('names', ''), (ENRICHED, ', definitions'))
    for row in _rows(way)
)
WHICH = Table(
    'Which classes',
    'Half of the labelled and half of the unseen classes are pairs of a verb and an object that captions tell of, the '
    'others no caption ever has; in each column all classes of its kind compete.',
    _HALVES,
    (
        Claim(
            'Labels help on what captions tell of, too',
            '',
            (row_of(50, 'names'),),
            (row_of(100, 'names'),),
            'seen_captioned',
        ),
        Claim(
            'Captions help on what only labels tell of, too',
            '',
            (row_of(50, 'names'),),
            (row_of(0, 'names'),),
            'seen_new',
        ),
        Claim(
            'Both beat captions alone on what neither tells of',
            '',
            (row_of(50, 'names'),),
            (row_of(100, 'names'),),
            'unseen_new',
        ),
    ),
    columns=PARTS,
)
OTHER_WORDS = Table(
    'Class names in other words than the captions',
    'In the tables above the class names are phrases of the captions, so that nothing is left to bring together. Here '
    'the labelled classes are called by words that no caption has, half and half: "hoisting a sphere" for "lifting a '
    'ball". The definition is what captions say, "lifting a ball". "Other texts" are the names of the captions.',
    (
        Row('captions-50-other-names', 'names in other words'),
        Row('captions-50-other-names-glosses', 'names in other words, with definitions'),
        Row('captions-50', 'for comparison: names as in captions'),
    ),
    (
        *(
            Claim(
                f'Definitions in the words of captions help {where}',
                '',
                ('captions-50-other-names-glosses',),
                ('captions-50-other-names',),
                measure=measure,
            )
            for measure, where in (
                ('seen', 'on labelled classes'),
                ('unseen', 'on unseen classes'),
                ('ir1', 'in retrieval by text'),
                ('tr1', 'in retrieval by image'),
                ('other_seen', 'where labelled classes are called as in captions'),
            )
        ),
        Claim(
            'Names that captions have are better on unseen classes than others',
            '',
            ('captions-50',),
            ('captions-50-other-names',),
            measure='unseen',
        ),
    ),
    columns=('seen', 'unseen', 'ir1', 'tr1', 'other_seen', 'other_unseen'),
)
UNICL = Table(
    "Supplementary Table 2: UniCL's loss",
    "Half and half. UniCL's loss takes labelled and captioned stills for pairs of one batch, of which those of one "
    'class are positives, and has bare names; its rate is that of the mixtures, which iCLIP chose. The paper compares '
    'on half of the data of both; its numbers of UniCL on MSCOCO are those of the CLIP row of its Table 1 to the '
    'digit, so that one of the two may be a copy.',
    (
        Row('unicl-50', 'UniCL', 'COCO IR 12.5, TR 21.2'),
        Row('captions-50', 'iCLIP, bare names'),
        Row('captions-50-glosses', 'iCLIP, with definitions', 'COCO IR 15.5, TR 27.2'),
    ),
    (
        Claim(
            'iCLIP beats UniCL in retrieval by text',
            '15.5 against 12.5',
            ('captions-50-glosses',),
            ('unicl-50',),
            'ir1',
        ),
        Claim(
            'iCLIP beats UniCL in retrieval by image',
            '27.2 against 21.2',
            ('captions-50-glosses',),
            ('unicl-50',),
            'tr1',
        ),
        Claim('Its loss alone beats that of UniCL on labelled classes', '', ('captions-50',), ('unicl-50',), 'seen'),
        Claim('Its loss alone beats that of UniCL on unseen classes', '', ('captions-50',), ('unicl-50',), 'unseen'),
    ),
)

TABLES = (NAMES, DEFINITIONS, WORTH, WHICH, OTHER_WORDS, UNICL)


def _falsifier(text: str, claims: Sequence[Claim]) -> Falsifier:
    """What would be seen if one of these claims failed."""
    return Falsifier(text, tuple(claims))


def _both(measures: Sequence[str], right: int) -> list[Claim]:
    """That half and half with definitions is above one kind of data alone, in some measures."""
    other = row_of(right, 'names' if right == 100 else ENRICHED)
    return [
        Claim(f'captions-50-glosses over {other} ({name})', '', (row_of(50, ENRICHED),), (other,), name)
        for name in measures
    ]


FALSIFIERS = (
    _falsifier(
        'half and half is not above captions alone on labelled classes and in retrieval',
        _both(('seen', 'ir1', 'tr1'), 100),
    ),
    _falsifier('half and half is not above labels alone on unseen classes', _both(('unseen',), 0)),
    _falsifier(
        'definitions do not help on unseen classes where names are in other words than captions',
        [
            Claim(
                'captions-50-other-names-glosses over captions-50-other-names',
                '',
                ('captions-50-other-names-glosses',),
                ('captions-50-other-names',),
                'unseen',
            )
        ],
    ),
)
