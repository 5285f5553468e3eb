"""The script that measures a step with many classes: what it encodes, and what it says of the limits."""

import argparse

from scripts import load_script

SCRIPT = load_script('benchmarks/many_classes.py')


def options(**changes):
    given = dict(device='cpu', precision='bf16', chunk=8, steps=2, num_negatives=None, refresh_interval=None)
    return argparse.Namespace(**given | changes)


def test_every_class_text_is_24_tokens_and_another():
    head = SCRIPT.build_head(options(), 40)
    tower = head.class_rows.tower
    ids = tower.tokenize(SCRIPT.class_texts(40))
    assert ids.shape == (40, 24)
    assert tower.lengths(ids).tolist() == [24] * 40
    assert len({tuple(row) for row in ids.tolist()}) == 40
    assert head.num_classes == 40


def test_a_step_is_measured():
    found = SCRIPT.measure(options(num_negatives=5, refresh_interval=2), 20)
    assert found['classes'] == 20
    assert 0 < found['wall_s'] < 60
    assert found['peak_bytes'] > 2**27


def test_the_verdict():
    def result(classes, seconds, gib):
        return dict(classes=classes, wall_s=seconds / 2, cpu_s=seconds, peak_bytes=gib * 2**30)

    small = result(100, 5.0, 1)  # a tenth of what the others take a class is no matter
    assert SCRIPT.verdict([small, result(1000, 5.0, 1), result(22000, 120.0, 7)]).startswith('within the limits: 22000')
    assert 'varies by 9 %' in SCRIPT.verdict([small, result(1000, 5.0, 1), result(22000, 120.0, 7)])
    for worse in (result(22000, 100.0, 9), result(22000, 190.0, 1), result(22000, 80.0, 1)):
        assert SCRIPT.verdict([small, result(1000, 5.0, 1), worse]).startswith('OVER')
