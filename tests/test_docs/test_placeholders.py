"""Nothing is left to be filled in."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_placeholders():
    files = [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('configs/**/*.*')]
    texts = {str(file.relative_to(ROOT)): file.read_text() for file in files if file.suffix in ('.md', '.py', '.yml')}
    assert len(texts) > 15
    left = [f'{name}: {mark}' for name, text in texts.items() for mark in re.findall('@[A-Z_]+@', text)]
    assert not left
