"""What README.md, docs/*.md and the READMEs of configs show: every block is run, every link leads somewhere."""

import ast
import re
from pathlib import Path

import pytest
from docs_sandbox import ROOT, Sandbox, tiny_clip

FILES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'configs').glob('*/README.md')),
]
FENCE = re.compile(r'^```(\S*)[^\n]*\n(.*?)^```', flags=re.S | re.M)
names = pytest.mark.parametrize('file', FILES, ids=lambda file: str(file.relative_to(ROOT)))


def blocks(file, *languages):
    """The contents of the fenced blocks in these languages."""
    return [content for language, content in FENCE.findall(file.read_text()) if language in languages]


def commands(file):
    """The lines of all ```bash blocks, continued lines joined."""
    text = '\n'.join(blocks(file, 'bash', 'shell')).replace('\\\n', ' ')
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith('#')]


@pytest.fixture(scope='module')
def sandbox(tmp_path_factory):
    return Sandbox(tmp_path_factory.mktemp('user'))


@pytest.fixture(autouse=True)
def _in_the_sandbox(sandbox, monkeypatch):
    monkeypatch.chdir(sandbox.folder)
    monkeypatch.setenv('TEXTXFER_CACHE', str(sandbox.folder / 'cache'))
    tiny_clip(monkeypatch, sandbox.folder)


@names
def test_blocks_and_commands(file, sandbox):
    """In one test, as commands use what blocks have made, and tests of one page may run in two processes."""
    namespace = {}
    for code in blocks(file, 'python'):
        sandbox.python(code, namespace)
    for line in commands(file):
        sandbox.command(line)


@names
def test_fences_name_their_language(file):
    assert {language for language, _ in FENCE.findall(file.read_text())} <= {
        'bash',
        'python',
        'text',
        '{toctree}',
        '{eval-rst}',
    }


@names
def test_links(file):
    prose = FENCE.sub('', file.read_text())
    for target in re.findall(r'\]\(([^)\s]+)\)', prose):
        if '://' not in target and not target.startswith('#'):
            assert (file.parent / target.split('#')[0]).exists(), f'{file.name} links to {target}'


@names
def test_paths_in_the_text_exist(file):
    for path in re.findall(
        r'`((?:configs|tools|tests|requirements|benchmarks|textxfer_mm)/[\w./-]+)`', file.read_text()
    ):
        if 'my_actions' not in path:
            assert (ROOT / path).exists(), f'{file.name} names {path}'


@names
def test_the_repairs_come_before_mmaction(file):
    for code in blocks(file, 'python'):
        modules = [
            node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            for node in ast.walk(ast.parse(code))
            if isinstance(node, (ast.Import, ast.ImportFrom))
        ]
        upstream = [module for module in modules if Path(module.split('.')[0]).name in ('mmaction', 'mmpretrain')]
        if upstream:
            ours = next(i for i, module in enumerate(modules) if module.startswith('textxfer_mm'))
            assert ours < modules.index(upstream[0])


@pytest.mark.parametrize('line', ['bash tools/unknown.sh', 'python tools/other.py x', 'mim uninstall textxfer_mm'])
def test_an_unknown_command_fails(sandbox, line):
    with pytest.raises(AssertionError, match='add a handler'):
        sandbox.command(line)
