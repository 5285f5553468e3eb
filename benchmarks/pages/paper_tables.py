"""What both pages read off the tables of the paper whose rows have the same names there.

All numbers in this file are the paper's (Text4Vis: top-1 on Kinetics-400, single view).
"""

from harness.claims import Claim
from harness.page import Row

TABLE_6_ROWS = (
    Row('matching-online-gather', 'matching, text online, batch gather', '81.15 (6.7 days)'),
    Row('matching-offline-gather', 'matching, text offline, batch gather', '80.73 (6.6 days)'),
    Row('matching-online-local', 'matching, text online, no gather', '77.77 (3.5 days)'),
    Row('matching-offline-local', 'matching, text offline, no gather', '76.13 (3.3 days)'),
    Row('text-ranks', 'recognition with frozen text (ours)', '81.52 (3.3 days)'),
)

TABLE_6_CLAIMS = (
    Claim(
        'Gathering helps matching with online text',
        '81.15 against 77.77',
        ('matching-online-gather',),
        ('matching-online-local',),
    ),
    Claim(
        'Gathering helps matching with offline text',
        '80.73 against 76.13',
        ('matching-offline-gather',),
        ('matching-offline-local',),
    ),
    Claim(
        'Online text beats offline text',
        '81.15 against 80.73',
        ('matching-online-gather',),
        ('matching-offline-gather',),
    ),
    Claim('Recognition beats the best matching', '81.52 against 81.15', ('text-ranks',), ('matching-online-gather',)),
    Claim(
        'A step of recognition is cheaper than one of the best matching',
        '3.3 against 6.7 days',
        ('text-ranks',),
        ('matching-online-gather',),
        measure='step_cpu_seconds',
    ),
)

SUPP_2_ROWS = (
    Row('untrained', 'before training'),
    Row('text', 'frozen', '81.52'),
    Row('unfrozen', 'trained', '79.16'),
)


def supp_2_claims(unseen: str) -> tuple[Claim, ...]:
    """What is read off supplementary Table 2.

    Args:
        unseen: The measure of the unseen classes.
    """
    return (
        Claim('A frozen classifier beats a trained one', '81.52 against 79.16', ('text',), ('unfrozen',)),
        Claim('On unseen classes, frozen beats trained', '', ('text',), ('unfrozen',), measure=unseen),
        Claim(
            'Training on seen classes helps on unseen ones',
            '66.38 against 63.35 on 100 unseen classes',
            ('text',),
            ('untrained',),
            measure=unseen,
        ),
    )


def table_4_claims(template: str, name: str) -> tuple[Claim, ...]:
    """What is read off Table 4.

    Args:
        template: The row of the one template.
        name: The row of the class names alone.
    """
    return (
        Claim('One template and the class name are alike', '81.52 and 81.37', (template,), (name,), alike=True),
        Claim('One template beats several drawn ones', '81.52 against 80.88', (template,), ('templates-drawn',)),
        Claim(
            'A learnable template and a fixed one are alike', '81.22 and 81.52', ('prompt',), (template,), alike=True
        ),
    )
