"""Sphinx configuration: ``pip install -e ".[docs]" && sphinx-build -W docs docs/_build``."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: A link to a page of the repository that is no page of these docs, such as the README of a folder of configs.
_OUTSIDE = re.compile(r'\]\((\.\./[^)#]+\.md)[^)]*\)')

project = 'textxfer_mm'
release = re.search(r"'(.+)'", (ROOT / project / 'version.py').read_text(encoding='utf-8')).group(1)
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_build']
myst_heading_anchors = 3
autodoc_typehints = 'description'
html_theme = 'furo'
html_title = f'{project} {release}'


def link_outside(app: Any, page: str, source: list[str]) -> None:
    """Make links to pages outside of these docs ones to the files, which Sphinx copies."""
    source[0] = _OUTSIDE.sub(r'](path:\1)', source[0])


def setup(app: Any) -> None:
    """Register what changes the sources."""
    app.connect('source-read', link_outside)
