"""Which rows make up which table, what is read off them, and what would falsify the finding.

All numbers marked as the paper's are Text4Vis': top-1 on ImageNet, ViT-B/16 (Tables 10 and 11).
"""

from harness.claims import Claim, Falsifier
from harness.page import Row, Table

FIRST, SECOND = 'one rate for all rows', 'each row at its own best rate'

TABLE_10 = Table(
    'Table 10: few-shot recognition of images',
    'Few stills a class are repeated, so that all rows take about as many steps. Vision-only is the stock '
    '`LinearClsHead` of MMPretrain on the same tower; without training it has no classifier.',
    (
        Row('untrained', 'ours, 0-shot: class names, before training', '66.73'),
        *(Row(f'text-{k}', f'ours, {k}-shot', paper) for k, paper in ((1, '71.50'), (3, '73.64'), (5, '74.99'))),
        Row('text', 'ours, all stills', '82.25'),
        *(Row(f'vision-{k}', f'vision-only, {k}-shot', p) for k, p in ((1, '4.71'), (3, '30.44'), (5, '41.70'))),
        Row('vision', 'vision-only, all stills', '79.70'),
    ),
    (
        *(
            Claim(
                f'Text rows beat a learned classifier with {k} shot{"s" * (k > 1)}',
                paper,
                (f'text-{k}',),
                (f'vision-{k}',),
            )
            for k, paper in ((1, '71.50 against 4.71'), (3, '73.64 against 30.44'), (5, '74.99 against 41.70'))
        ),
        Claim('Text rows beat a learned classifier with all labels', '82.25 against 79.70', ('text',), ('vision',)),
        Claim('One shot beats none', '71.50 against 66.73', ('text-1',), ('untrained',)),
        Claim('All labels beat five shots', '82.25 against 74.99', ('text',), ('text-5',)),
        Claim(
            'The gain over a learned classifier shrinks with labels',
            '66.79 against 2.55',
            ('text-1', '-vision-1'),
            ('text', '-vision'),
        ),
    ),
    columns=('seen', 'captioned', 'new'),
    group=FIRST,
)

TABLE_11 = Table(
    'Table 11: zero-shot recognition of images',
    'Trained on the 60 classes, tested on 20 others by their names. The paper trains on 600 classes of ImageNet and '
    'tests on 400.',
    (Row('untrained', 'ours, without training', '70.28'), Row('text', 'ours, with training', '72.62')),
    (
        Claim(
            'Training on other classes helps unseen ones',
            '72.62 against 70.28',
            ('text',),
            ('untrained',),
            measure='unseen',
        ),
    ),
    columns=('unseen', 'seen'),
    group=FIRST,
)

_EQ_3_NOTE = (
    "The paper's Eq. 3 has logits W g(x), its code normalises both sides and scales their cosine (`normalize=False` "
    'against the default). The rows have length one in both, so that before training both rank classes alike; what '
    'differs is that the length of a feature scales its logits, and that no scale is learned.'
)
EQ_3 = Table(
    'The literal Eq. 3',
    _EQ_3_NOTE,
    (Row('text', 'normalised and scaled'), Row('literal', 'Eq. 3 at its word')),
    (
        Claim('Normalised logits beat the literal Eq. 3', '', ('text',), ('literal',)),
        Claim(
            'Normalised logits beat the literal Eq. 3 on unseen classes', '', ('text',), ('literal',), measure='unseen'
        ),
    ),
    group=FIRST,
)

OWN_RATE = Table(
    'The same at rates of their own',
    'Each row at the best of four rates for the encoder. That of both rows with one shot is the lowest of the four, so '
    'that still lower ones may be better for them.',
    (
        Row('text-own', 'ours, all stills', '82.25'),
        Row('vision-own', 'vision-only, all stills', '79.70'),
        Row('text-1-own', 'ours, 1-shot', '71.50'),
        Row('vision-1-own', 'vision-only, 1-shot', '4.71'),
        Row('literal-own', 'Eq. 3 at its word'),
    ),
    (
        Claim('Text rows beat a learned classifier', '82.25 against 79.70', ('text-own',), ('vision-own',)),
        Claim('Text rows beat it with one shot', '71.50 against 4.71', ('text-1-own',), ('vision-1-own',)),
        Claim('Normalised logits beat the literal Eq. 3', '', ('text-own',), ('literal-own',)),
    ),
    group=SECOND,
)

#: All in the regime of one rate, said before a reported seed was run.
FALSIFIERS = (
    Falsifier(
        'text rows with one shot are not above vision-only',
        (Claim('text-1 over vision-1', '', ('text-1',), ('vision-1',)),),
    ),
    Falsifier(
        'the gain of text rows over vision-only does not shrink with labels',
        (Claim('(text-1 - vision-1) over (text - vision)', '', ('text-1', '-vision-1'), ('text', '-vision')),),
    ),
    Falsifier(
        'training lowers the accuracy on unseen classes',
        (Claim('text over untrained', '', ('text',), ('untrained',), measure='unseen'),),
    ),
)
