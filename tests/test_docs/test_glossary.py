"""The glossary has the words that pages use without explaining them, and is found from where one begins."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
WORDS = [
    re.sub(r'\*$', '', row.split('|')[1].strip())
    for row in (DOCS / 'glossary.md').read_text().splitlines()
    if row.startswith('| ')
][1:]


def test_words_are_in_the_order_of_the_alphabet():
    assert len(WORDS) > 20
    assert [word.lower() for word in WORDS] == sorted(word.lower() for word in WORDS)


@pytest.mark.parametrize(
    'word', ['TAP', 'T-Trans', 'T1D', 'TokenT1D', 'ConSE', 'expander', 'gloss', 'class rows', 'zero-shot', 'IR', 'TR']
)
def test_what_pages_say_is_explained(word):
    assert word in [part.strip() for one in WORDS for part in one.split(',')]
    pages = [page.read_text() for page in DOCS.glob('*.md') if page.name != 'glossary.md']
    assert any(re.search(rf'\b{word}\b', page) for page in pages)


@pytest.mark.parametrize('page', ['README.md', 'docs/questions.md', 'docs/multitrain_heads.md', 'docs/video_search.md'])
def test_it_is_linked(page):
    assert 'glossary.md)' in (ROOT / page).read_text()
