"""Which rows make up which table, and what would have to be seen for a claim to hold.

The claims were written before any reported seed was run. The supplementary of MultiTrain gives no table of what its
losses are worth, and the main paper was not at hand: there are no numbers of the paper.
"""

from harness.claims import Claim
from harness.page import Row, Table

from pages.multi_dataset.vocabularies import TOYS

JOINT = Table(
    'Joint training',
    'Each dataset has a classifier of its own on the shared backbone (`MultiDatasetHead`). "Alone" is three models, '
    'each trained on one dataset: with as many passes over its videos as in joint training, so with a third of the '
    'steps; or with as many steps, so with three times as many passes. All joint rows have the same passes and steps.',
    (
        Row('single-each', 'each dataset alone, as many passes'),
        Row('long-each', 'each dataset alone, as many steps'),
        Row('joint', 'joint'),
        Row('joint-projection', 'joint, projection loss'),
        Row('joint-informative', 'joint, informative loss'),
        Row('joint-both', 'joint, both losses'),
    ),
    (
        Claim('Joint training beats training alone with as many passes', '', ('joint',), ('single-each',)),
        Claim('Joint training beats training alone with as many steps', '', ('joint',), ('long-each',)),
        Claim('The projection loss helps joint training', '', ('joint-projection',), ('joint',)),
        Claim('The informative loss helps joint training', '', ('joint-informative',), ('joint',)),
        Claim('Both losses help joint training', '', ('joint-both',), ('joint',)),
        Claim('Both losses are better than the projection loss alone', '', ('joint-both',), ('joint-projection',)),
        Claim('With both losses it beats training alone with as many steps', '', ('joint-both',), ('long-each',)),
    ),
    columns=('mean', *TOYS),
)

SPACE = Table(
    'One text space',
    'The classifiers are the frozen embeddings of the class names (MiniLM) in one space with one scale '
    "(`MultiDatasetTextHead`, ours), behind the quick start's ConSE and the trained linear map beside it. In training "
    'a video is compared with the names of its own dataset, or with the union of the names of all but for the synonyms '
    'of its class, which are given as groups. Tests are by the names of its own dataset in all rows.',
    (
        Row('text-each', 'each dataset alone, as many passes'),
        Row('text-own', 'joint, own names'),
        Row('text-union', 'joint, union of the names'),
        Row('joint-both', 'for comparison: joint, classifiers of their own, both losses'),
    ),
    (
        Claim('In a text space, joint training beats training alone', '', ('text-own',), ('text-each',)),
        Claim('The union of the names is better than the own ones', '', ('text-union',), ('text-own',)),
        Claim('One text space beats classifiers with both losses', '', ('text-own',), ('joint-both',)),
    ),
    columns=('mean', *TOYS),
)

PAIRS = Table(
    'What the projections find',
    'The five largest weights of each of the six projections, as in supplementary Table 4 of MultiTrain: how many of '
    'these pairs of classes are the same motion, which nothing but the videos told. Guessing is the share of such '
    'pairs among all pairs.',
    (
        Row('joint-projection', 'joint, projection loss'),
        Row('joint-both', 'joint, both losses'),
        Row('guessing', 'guessing'),
    ),
    (
        Claim(
            'With the projection loss, synonyms are found beyond guessing',
            '',
            ('joint-projection',),
            ('guessing',),
            'pairs',
        ),
        Claim('With both losses, synonyms are found beyond guessing', '', ('joint-both',), ('guessing',), 'pairs'),
        Claim(
            'Both losses find more synonyms than the projection loss alone',
            '',
            ('joint-both',),
            ('joint-projection',),
            'pairs',
        ),
    ),
    columns=('pairs',),
)

ZERO_SHOT = Table(
    f'Zero-shot on the dataset "{TOYS[-1]}"',
    f'Models in a text space that never saw this dataset, its look or its names ("{TOYS[0]}" and "{TOYS[1]}" were '
    'trained on), recognise its test videos by its class names, which all compete. Most of its motions were trained '
    'under other names, and some were not trained at all. "One dataset" is the mean of the models of each of the two.',
    (
        Row('zero-untrained', 'before training (ConSE)'),
        Row('zero-one', 'trained on one dataset'),
        Row('zero-own', 'trained on two, own names'),
        Row('zero-union', 'trained on two, union of the names'),
    ),
    (
        Claim('Training on two other datasets helps', '', ('zero-own',), ('zero-untrained',), measure='zero_shot'),
        Claim('Two datasets teach more than one', '', ('zero-own',), ('zero-one',), measure='zero_shot'),
        Claim(
            'For zero-shot, the union of the names is better than the own ones',
            '',
            ('zero-union',),
            ('zero-own',),
            measure='zero_shot',
        ),
        Claim('Training helps on motions that were not trained', '', ('zero-own',), ('zero-untrained',), measure='new'),
    ),
    columns=('zero_shot', 'known', 'new'),
)

CLIPS = Table(
    'Real clips as a fourth dataset',
    'Clips of surveillance cameras, 48 for training and 16 for tests, fighting or not (chance 50). They are the same '
    'in all seeds: one clip is 6 points, and an interval over seeds says nothing of other clips. The project does not '
    'come with them.',
    (
        Row('clips-single', 'the clips alone, as many passes'),
        Row('clips-long', 'the clips alone, as many steps'),
        Row('joint-clips', 'joint with the toy actions, both losses'),
        Row('text-clips', 'joint with the toy actions, union of the names'),
        Row('joint-both', 'for comparison: joint without the clips, both losses'),
    ),
    (
        Claim(
            'Joint training with toy actions helps on real clips',
            '',
            ('joint-clips',),
            ('clips-long',),
            measure='clips',
        ),
        Claim(
            'One text space with toy actions helps on real clips', '', ('text-clips',), ('clips-long',), measure='clips'
        ),
        Claim(
            'Toy actions are recognised as well with the clips',
            '',
            ('joint-clips',),
            ('joint-both',),
            'mean',
            alike=True,
        ),
    ),
    columns=('clips', 'mean'),
)

TABLES = (JOINT, SPACE, PAIRS, ZERO_SHOT, CLIPS)
