"""Sphinx configuration: ``pip install -e ".[docs]" && sphinx-build docs docs/_build``."""

import re
from pathlib import Path

project = 'textxfer_mm'
release = re.search(r"'(.+)'", (Path(__file__).parents[1] / project / 'version.py').read_text(encoding='utf-8')).group(
    1
)
extensions = ['myst_parser']
exclude_patterns = ['_build']
myst_heading_anchors = 3
html_theme = 'furo'
html_title = f'{project} {release}'
