"""Which rows make up which table, what the paper found there, and what would have to be seen for it to hold here.

All numbers in this file are the paper's (Text4Vis: top-1 on Kinetics-400, single view).
"""

from harness.claims import Claim, Results
from harness.page import Row, Table

from pages.paper_tables import SUPP_2_ROWS, TABLE_6_CLAIMS, TABLE_6_ROWS, supp_2_claims, table_4_claims
from pages.small_scale.measures import COSINES, count_their_videos

HALF_TESTED = (
    'The accuracies of this table alone are those of every second video (170 of 340, 80 of 160): each process tested '
    "its half, and only the first one's was kept. The program has tested all since."
)


def half_tested(results: Results) -> str:
    """What is true of Table 6 as long as some of its results are from before they counted their videos."""
    return '' if count_their_videos(results, [row.name for row in TABLE_6.rows]) else HALF_TESTED


TABLE_1 = Table(
    'Table 1: where the frozen classifier comes from',
    'All rows but the last are one model: ConSE and the trained linear map beside it bring the features to the 384 '
    'dimensions of the rows, and only the frozen matrix differs. ConSE stands for what CLIP gives the paper: features '
    'that are aligned with text before training. The linear discriminant analysis sees the centred features of '
    'all training videos behind ConSE, by the encoder before training, so its rows live in the same space (solver '
    '`lsqr` with shrinkage `auto`: ConSE spans few of the 384 dimensions, and `svd` finds no usable rows there). The '
    "last row learns a linear layer on the 1280 pooled features (MMAction2's `I3DHead` without dropout).",
    (
        Row('text', 'class names (MiniLM)', '81.52 (CLIP), 81.45 (DistilBERT)'),
        Row('random', 'random normal matrix', '59.30'),
        Row('orthogonal', 'random orthogonal matrix', '59.44'),
        Row('lda', 'linear discriminant projection', '80.77'),
        Row('vision', 'learned linear layer, not frozen (vision-only)', '75.27 (with TAP)'),
    ),
    (
        Claim(
            'Text rows beat random ones',
            '81.45 against 59.30',
            ('text',),
            ('random',),
            if_opposite='What may explain the opposite, and was not tested: names that differ in one word ("walking to '
            'the left", "walking to the right") have nearly the same sentence embedding, and with a frozen classifier '
            'such classes stay close; rows drawn at random are far apart. And 17 classes that differ in their motion '
            'leave less for related names to share than 400 do.',
        ),
        Claim('Text rows beat orthogonal ones', '81.45 against 59.44', ('text',), ('orthogonal',)),
        Claim('Random and orthogonal rows are alike', '59.30 and 59.44', ('random',), ('orthogonal',), alike=True),
        Claim('Rows of a discriminant analysis beat random ones', '80.77 against 59.30', ('lda',), ('random',)),
        Claim(
            'Text rows and those of a discriminant analysis are alike',
            '81.45 and 80.77',
            ('text',),
            ('lda',),
            alike=True,
        ),
    ),
    extra=COSINES,
)

TABLE_1_LINEAR = Table(
    'Table 1 without alignment',
    'The same frozen matrices behind a linear map from 1280 to 384 dimensions that starts at random and is trained, '
    'without ConSE. Such a map can turn any frozen matrix of 17 independent rows into any linear classifier, so this '
    'tells how much of the above is alignment and how much is the correlation between the rows. The paper has no such '
    'rows.',
    (
        Row('text-linear', 'class names (MiniLM)'),
        Row('random-linear', 'random normal matrix'),
        Row('orthogonal-linear', 'random orthogonal matrix'),
    ),
    (
        Claim('Text rows beat random ones, even without alignment', '', ('text-linear',), ('random-linear',)),
        Claim('Text rows beat orthogonal ones, even without alignment', '', ('text-linear',), ('orthogonal-linear',)),
    ),
)

TABLE_2 = Table(
    'Table 2: temporal modules',
    'A trained linear map at the end of the tower gives 384 dimensions, so that T-Trans has its six layers at a width '
    "this machine can train; no ConSE. The tower is convolutional: the paper's ResNet-50 rows are the ones to compare. "
    'T1D sits in stages 4 to 7 and starts as a shift of a quarter of the channels each way. TokenT1D needs a vision '
    'transformer, and none with weights is at hand: it was not trained.',
    (
        Row('tap', 'TAP', '71.20'),
        Row('text-linear', 'T1D', '67.18'),
        Row('ttrans', 'T-Trans, 6 layers', '74.26'),
        Row(None, 'TokenT1D', '80.42 (ViT-B/16; TAP there 80.13)'),
    ),
    (
        Claim('T-Trans beats TAP', '74.26 against 71.20', ('ttrans',), ('tap',)),
        Claim('TAP beats T1D', '71.20 against 67.18', ('tap',), ('text-linear',)),
    ),
)

TABLE_3 = Table(
    'Table 3: pre-training of the encoder',
    'In the place of CLIP stand ImageNet weights that ConSE aligns with text; ImageNet weights without it are the '
    "paper's ImageNet rows; the last two rows start from random weights. All with T1D (the paper: TAP). Towers with "
    'ImageNet weights keep their first three stages frozen, the random ones are trained whole.',
    (
        Row('vision', 'ImageNet, vision-only', '74.78 (ImageNet), 75.27 (CLIP)'),
        Row('text', 'ImageNet aligned by ConSE, vision-text', '80.13 (CLIP)'),
        Row('text-linear', 'ImageNet with a trained linear map, vision-text', '75.63 (ImageNet)'),
        Row('vision-scratch', 'random weights, vision-only'),
        Row('text-scratch', 'random weights with a trained linear map, vision-text'),
    ),
    (
        Claim('Vision-text beats vision-only on an aligned encoder', '80.13 against 75.27', ('text',), ('vision',)),
        Claim(
            'Vision-text beats vision-only on ImageNet weights', '75.63 against 74.78', ('text-linear',), ('vision',)
        ),
        Claim('Vision-text beats vision-only on random weights', '', ('text-scratch',), ('vision-scratch',)),
        Claim(
            'Vision-text gains more on an aligned encoder',
            '4.86 against 0.85',
            ('text', '-vision'),
            ('text-linear', '-vision'),
        ),
    ),
)

TABLE_4 = Table(
    'Table 4: the text',
    'The model of Table 1 with other prompts. The multiple templates are the 28 of CLIP for Kinetics; where one is '
    'drawn each iteration, testing uses "a video of a person {}.", as in the paper. Their mean is not in the paper.',
    (
        Row('text', 'class name', '81.37'),
        Row('template', '"a video of a person {}."', '81.52'),
        Row('templates-drawn', 'multiple fixed templates, one drawn each iteration', '80.88'),
        Row('templates-mean', 'multiple fixed templates, their normalised mean'),
        Row('prompt', 'learnable template, 4 vectors', '81.22'),
    ),
    table_4_claims('template', 'text'),
    extra=COSINES,
)

TABLE_6 = Table(
    'Table 6: matching against recognition',
    'Two processes with four videos each a step and real gathering between them (gloo). BatchNorm sees the four videos '
    'of its process, so no row here is one of the other tables. The time is that of one training step of one process, '
    'the median over the steps; processor time counts what the process computed, wall time also what it waited for, on '
    'a machine that other work shared. The paper gives V100-days.',
    TABLE_6_ROWS,
    TABLE_6_CLAIMS,
    columns=('seen', 'zero_shot', 'step_cpu_seconds', 'step_seconds'),
    caveat=half_tested,
)

SUPP_2 = Table(
    'Supplementary Table 2: frozen or trained classifier',
    'The model of Table 1; the trained classifier starts at the same text rows and learns at the full rate. On the '
    'unseen classes both are given the text rows of their names. The paper reports the seen classes only; that '
    'training keeps or improves zero-shot recognition is what its Table 9 says.',
    SUPP_2_ROWS,
    supp_2_claims('zero_shot'),
)

TABLES = (TABLE_1, TABLE_1_LINEAR, TABLE_2, TABLE_3, TABLE_4, TABLE_6, SUPP_2)
