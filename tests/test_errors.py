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


def test_what_is_shown_holds_no_control_characters_and_no_end_of_text():
    from textxfer_mm.errors import first_few, shown, shown_message

    assert (
        shown('Pushing [something] 走路 \u0645 \U0001f3c3\u200d\u2642')
        == 'Pushing [something] 走路 \u0645 \U0001f3c3\u200d\u2642'
    )
    assert shown('a\x1b[31m\nb\x9b\u202e\udcff') == r'a\x1b[31m\nb\x9b\u202e\udcff'
    assert shown('x' * 10_000_000) == 'x' * 200 + '... (10,000,000 letters)'
    assert first_few(['a\tb', 'y' * 300]) == r'a\tb, ' + 'y' * 200 + '... (300 letters)'
    assert shown_message('one\n  two\x07') == 'one\n  two\\x07'
    assert len(shown_message('z' * 10**7)) < 4100
