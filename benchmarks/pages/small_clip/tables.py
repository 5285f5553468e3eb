"""Which rows make up which table, and what is read off them.

All numbers marked as the paper's are Text4Vis': top-1 on Kinetics-400, single view.
"""

from harness.claims import Claim
from harness.page import Row, Table

from pages.paper_tables import SUPP_2_ROWS, TABLE_6_CLAIMS, TABLE_6_ROWS, supp_2_claims, table_4_claims
from pages.small_clip.plots import plot_pretraining

FIRST, SECOND = 'one rate for all rows', 'each row at its own best rate'
ALL = ('seen', 'captioned', 'new', 'motion', 'unseen')
WITH_COSINE = (*ALL, 'cosine')


def _rows(end: str = '') -> tuple[Row, ...]:
    """The rows of Table 1, with something behind their names."""
    return (
        Row(f'text{end}', "class names (the tower's own text side)", '81.52'),
        Row(f'lda{end}', 'linear discriminant projection', '80.77'),
        Row(f'vision{end}', 'learned linear layer, not frozen (vision-only)', '75.27 (with TAP)'),
        Row(f'random{end}', 'random normal matrix', '59.30'),
        Row(f'orthogonal{end}', 'random orthogonal matrix', '59.44'),
    )


def _controls(end: str = '') -> tuple[Row, ...]:
    """The controls of Table 1."""
    return (
        Row(f'rotated{end}', 'class names, rotated at random: their correlations without the alignment'),
        Row(f'shuffled{end}', 'class names, each given to another class: the alignment with wrong classes'),
        Row(f'sentences{end}', 'class names by a sentence encoder, behind a trained linear map', '81.45 (DistilBERT)'),
    )


def _claims(end: str = '') -> tuple[Claim, ...]:
    """What is read off Table 1 and its controls."""

    def claim(words: str, paper: str, left: str, right: str, **options: bool) -> Claim:
        return Claim(words, paper, (f'{left}{end}',), (f'{right}{end}',), **options)

    return (
        claim('Text rows beat random ones', '81.52 against 59.30', 'text', 'random'),
        claim('Text rows beat orthogonal ones', '81.52 against 59.44', 'text', 'orthogonal'),
        claim('Text rows beat a learned classifier', '80.13 against 75.27 (TAP)', 'text', 'vision'),
        claim('Rows of a discriminant analysis beat random ones', '80.77 against 59.30', 'lda', 'random'),
        claim('Text rows and those of a discriminant analysis are alike', '81.52 and 80.77', 'text', 'lda', alike=True),
        claim('Random and orthogonal rows are alike', '59.30 and 59.44', 'random', 'orthogonal', alike=True),
    )


def _control_claims(end: str = '') -> tuple[Claim, ...]:
    """What is read off the controls."""

    def claim(words: str, left: str, right: str) -> Claim:
        return Claim(words, '', (f'{left}{end}',), (f'{right}{end}',))

    return (
        claim('Text rows beat the same rows rotated: alignment matters', 'text', 'rotated'),
        claim('Rotated text rows beat random ones: correlation matters', 'rotated', 'random'),
        claim('Random rows beat the text rows of other classes: wrong rows mislead', 'random', 'shuffled'),
        claim('Text rows of the tower beat those of a sentence encoder', 'text', 'sentences'),
        claim('Rows of a sentence encoder beat random ones', 'sentences', 'random'),
    )


PRETRAINING = Table(
    'Pre-training: zero-shot accuracy against captions seen',
    'Top-1 on clips of the 60 classes in the style of the downstream task, by the class names alone: before the first '
    'step, and after the last one. A tower is one pre-training, so there is no spread.',
    (
        Row('tower-main', 'main'),
        Row('tower-second', 'with another seed, on other stills'),
        Row('tower-vit', 'vision transformer'),
        Row('tower-shuffled', 'each still with the caption of another one'),
    ),
    (),
    columns=('before', 'after', 'samples'),
    image='small_clip_pretraining.png',
    plot=plot_pretraining,
)

TABLE_1 = Table(
    'Table 1: where the frozen classifier comes from',
    'One tower, one rate, one number of steps; of the frozen rows only the matrix differs, but for a trained map '
    'before the rows of the sentence encoder. The linear discriminant analysis sees the '
    'centred features of all training clips by the tower before training (solver `lsqr`, shrinkage `auto`). '
    "Vision-only is MMAction2's `I3DHead` without dropout. The last three are controls that the paper does not have, "
    'but for the sentence encoder.',
    (Row('untrained', 'class names, before training'), *_rows(), *_controls()),
    (*_claims(), *_control_claims()),
    columns=WITH_COSINE,
    group=FIRST,
)

TABLE_1_SECOND = Table(
    'Table 1 with another tower',
    'The same with a tower that was pre-trained with another seed on other stills.',
    (*_rows('-second'), Row('rotated-second', 'class names, rotated at random')),
    (
        *_claims('-second'),
        Claim('Text rows beat the same rows rotated', '', ('text-second',), ('rotated-second',)),
    ),
    group=FIRST,
)

TABLE_1_SHUFFLED = Table(
    'Table 1 with a tower of shuffled captions',
    'A tower that was pre-trained on the same stills and the same captions, but each still had the caption of another '
    'one. Its vision and its text are not aligned, and its vision has learned less, too: what alignment alone does, '
    'the rotated rows of Table 1 tell. Nothing was to be gained by telling its captions apart, and where the largest '
    'cosine of two rows is 1, its class names are all one row; "centred" is what differs between them, of unit norm.',
    (
        Row('untrained-shuffled-tower', 'class names, before training'),
        *(row for row in _rows('-shuffled-tower') if not row.name.startswith('lda')),
        Row('centred-shuffled-tower', 'class names, centred'),
    ),
    (
        Claim(
            'Text rows gain more over random ones where the captions were true',
            '',
            ('text', '-random'),
            ('text-shuffled-tower', '-random-shuffled-tower'),
        ),
        Claim(
            'Text rows gain more over a learned classifier where the captions were true',
            '',
            ('text', '-vision'),
            ('text-shuffled-tower', '-vision-shuffled-tower'),
        ),
        Claim(
            'They do so over random ones if the rows of that tower are centred, too',
            '',
            ('text', '-random'),
            ('centred-shuffled-tower', '-random-shuffled-tower'),
        ),
    ),
    columns=('seen', 'cosine'),
    group=FIRST,
)

TABLE_2 = Table(
    'Table 2: temporal modules',
    "T1D and T-Trans on the ResNet: the paper's ResNet-50 rows are the ones to compare. TokenT1D on a vision "
    'transformer of like cost that was pre-trained on the same captions. The 10 classes that differ in motion are five '
    'objects in two motions each: whoever recognises the object in one frame can have 50 %, so that below it a '
    'difference may be one of objects.',
    (
        Row('text', 'ResNet, TAP', '71.20'),
        Row('t1d', 'ResNet, T1D', '67.18'),
        Row('ttrans', 'ResNet, T-Trans (6 layers)', '74.26'),
        Row('text-vit', 'ViT, TAP', '80.13'),
        Row('token-t1d-vit', 'ViT, TokenT1D', '80.42'),
    ),
    (
        Claim('T-Trans beats TAP', '74.26 against 71.20', ('ttrans',), ('text',)),
        Claim('TAP beats T1D', '71.20 against 67.18', ('text',), ('t1d',)),
        Claim('TokenT1D and TAP are alike', '80.42 and 80.13', ('token-t1d-vit',), ('text-vit',), alike=True),
        Claim('T-Trans tells motions apart better than TAP', '', ('ttrans',), ('text',), measure='motion'),
        Claim('T1D tells motions apart better than TAP', '', ('t1d',), ('text',), measure='motion'),
        Claim('TokenT1D tells motions apart better than TAP', '', ('token-t1d-vit',), ('text-vit',), measure='motion'),
    ),
    columns=('seen', 'motion', 'unseen'),
    group=FIRST,
)

TABLE_3 = Table(
    'Table 3: pre-training of the encoder',
    'The twin was trained on as many stills of the same kind, equally many of each of the 144 captioned pairs and none '
    "of motions, with the pair as the label, as the paper's ImageNet encoder was trained with labels. It has no text "
    'side: its vision-text row has the rows of a sentence encoder behind a trained linear map. Random weights with the '
    "main tower's text.",
    (
        Row('vision', 'contrastive, vision-only', '75.27 (CLIP)'),
        Row('text', 'contrastive, vision-text', '80.13 (CLIP)'),
        Row('vision-twin', 'supervised, vision-only', '74.78 (ImageNet)'),
        Row('sentences-twin', 'supervised, vision-text', '75.63 (ImageNet)'),
        Row('vision-scratch', 'random weights, vision-only'),
        Row('text-scratch', 'random weights, vision-text'),
    ),
    (
        Claim('Vision-text beats vision-only on a contrastive encoder', '80.13 against 75.27', ('text',), ('vision',)),
        Claim(
            'Vision-text beats vision-only on a supervised encoder',
            '75.63 against 74.78',
            ('sentences-twin',),
            ('vision-twin',),
        ),
        Claim(
            'Vision-text gains more on a contrastive encoder',
            '4.86 against 0.85',
            ('text', '-vision'),
            ('sentences-twin', '-vision-twin'),
        ),
    ),
    group=FIRST,
)

TABLE_4 = Table(
    'Table 4: the text',
    'The multiple templates are the 28 of CLIP for Kinetics, most of whose words no caption had; where one is drawn '
    'each iteration, testing uses "a video of a person {}.", as in the paper. Their mean is not in the paper.',
    (
        Row('text', '"a video of a person {}."', '81.52'),
        Row('name', 'class name', '81.37'),
        Row('templates-drawn', 'multiple fixed templates, one drawn each iteration', '80.88'),
        Row('templates-mean', 'multiple fixed templates, their normalised mean'),
        Row('prompt', 'learnable template, 4 vectors', '81.22'),
    ),
    table_4_claims('text', 'name'),
    group=FIRST,
)

TABLE_6 = Table(
    'Table 6: matching against recognition',
    'Two processes with 8 clips each, in half as many steps, and real gathering between them (gloo). BatchNorm sees '
    'the clips of its process, so no row here is one of the other tables. The time is that of one training step of one '
    'process, the median over the steps; processor time counts what the process computed, wall time also what it '
    'waited for. The paper gives V100-days.',
    TABLE_6_ROWS,
    TABLE_6_CLAIMS,
    columns=('seen', 'unseen', 'step_cpu_seconds', 'step_seconds'),
    group=FIRST,
)

SUPP_2 = Table(
    'Supplementary Table 2: frozen or trained classifier',
    'The trained classifier starts at the same text rows and learns at the rate of what is new. On the unseen classes '
    'both are given the text rows of their names. The paper reports the seen classes only; that training keeps or '
    'improves zero-shot recognition is what its Table 9 says.',
    SUPP_2_ROWS,
    supp_2_claims('unseen'),
    columns=ALL,
    group=FIRST,
)

UNIFIED = Table(
    'A tower of captions and labels (iCLIP)',
    'Pre-trained on as many stills in as many passes as the main tower, half of them with a caption and half with the '
    'class of their pair as the label ([captions and labels in any ratio](unified_ratios.md)): no label, either, is of '
    'the pairs that captions never tell of. Its rate is the one that was chosen there, a lower one than that of the '
    'main tower. One pre-training of each.',
    (
        Row('untrained', 'captions, before training'),
        Row('untrained-iclip', 'captions and labels, before training'),
        Row('text-1', 'captions, one shot'),
        Row('text-1-iclip', 'captions and labels, one shot'),
        Row('text', 'captions, all clips'),
        Row('text-iclip', 'captions and labels, all clips'),
    ),
    tuple(
        Claim(f'Labels beside captions help {when}', '', (f'{row}-iclip',), (row,), measure=measure)
        for row, when, measure in (
            ('untrained', 'before training', 'seen'),
            ('untrained', 'before training, on unseen classes', 'unseen'),
            ('untrained', 'before training, on pairs never captioned', 'new'),
            ('text-1', 'with one shot', 'seen'),
            ('text', 'with all clips', 'seen'),
            ('text', 'with all clips, on unseen classes', 'unseen'),
        )
    ),
    columns=ALL,
    group=FIRST,
)

TABLE_1_OWN = Table(
    'Table 1, each row at its own best rate',
    'The rates were chosen for each row apart, with a seed that is not reported: [the rates](small_clip_rates.md).',
    (*_rows('-own'), *_controls('-own')),
    (*_claims('-own'), *_control_claims('-own')),
    columns=ALL,
    group=SECOND,
)

ONE_SHOT_OWN = Table(
    'One shot, each row at its own best rate',
    'One clip of each class, repeated so that the number of steps is that of all clips.',
    (
        Row('text-1-own', 'class names'),
        Row('vision-1-own', 'learned linear layer (vision-only)'),
        Row('random-1-own', 'random normal matrix'),
    ),
    (
        Claim('Vision-text beats vision-only with one shot', '', ('text-1-own',), ('vision-1-own',)),
        Claim(
            'The gain over vision-only shrinks with labels',
            '',
            ('text-1-own', '-vision-1-own'),
            ('text-own', '-vision-own'),
        ),
    ),
    columns=ALL,
    group=SECOND,
)

TABLES = (PRETRAINING, TABLE_1, TABLE_1_SECOND, TABLE_1_SHUFFLED, TABLE_2, TABLE_3, TABLE_4, TABLE_6, SUPP_2, UNIFIED)
OWN_RATE = (TABLE_1_OWN, ONE_SHOT_OWN)
