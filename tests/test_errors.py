"""The words that errors have in common."""

import pytest

from textxfer_mm.errors import first_few, first_line, nearest


@pytest.mark.parametrize(
    ('names', 'shown'),
    [
        ([], ''),
        ('ab', 'a, b'),
        ('abc', 'a, b, c'),
        ('abcd', 'a, b, c, ... (4 in all)'),
        ((letter for letter in 'abcde'), 'a, b, c, ... (5 in all)'),
        ({1: 'x', 2: 'y'}, '1, 2'),
    ],
)
def test_first_few(names, shown):
    assert first_few(names) == shown


def test_first_few_of_another_number_and_with_another_separator():
    assert first_few('abcde', 1, '; ') == 'a; ... (5 in all)'


def test_first_line():
    assert first_line(ValueError('\n  one\ntwo')) == 'one'
    assert first_line(ValueError('  ')) == 'ValueError'
    assert first_line(ValueError('abcdef'), limit=3) == 'abc'


def test_nearest_lists_what_is_known_where_nothing_is_close():
    choices = [f'choice {chr(97 + i)}' for i in range(20)]
    assert nearest('choice_b', choices).startswith(' Did you mean: choice b')
    assert nearest('zzz', choices).endswith('choice k, choice l, ... (20 in all).')
    assert nearest('zzz', []) == ''
