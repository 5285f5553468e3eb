"""docs/questions.md names every command of ``textxfer``, and sends to a page that shows it."""

import re

import typer
from docs_sandbox import ROOT

from textxfer_mm.cli.main import app

PAGE = ROOT / 'docs' / 'questions.md'
ROWS = re.findall(r'^\| (?:[^|]*) \| (.*`.*) \| (.*) \|$', PAGE.read_text(), flags=re.M)
NAMED = [(command, pages) for commands, pages in ROWS for command in re.findall('`([^`]+)`', commands)]
SCRIPTS = ('python ', 'bash ', 'tools/')


def commands(group, prefix=''):
    """The names of all commands below a group."""
    for name, command in group.commands.items():
        yield from commands(command, f'{name} ') if hasattr(command, 'commands') else [prefix + name]


def test_every_command_answers_a_question():
    known = set(commands(typer.main.get_command(app)))
    known -= {'quickstart', 'toy-actions'}  # tools/quickstart.sh
    ours = {command for command, _ in NAMED if not command.startswith(SCRIPTS)}
    assert ours == known


def test_the_pages_show_the_commands():
    assert len(NAMED) > 20
    for command, pages in NAMED:
        shown = command.removeprefix('python ') if command.startswith(SCRIPTS) else f'textxfer {command}'
        texts = [(PAGE.parent / page).read_text() for page in re.findall(r'\(([^)]+)\)', pages)]
        assert any(shown in text for text in texts), f'{command} is not shown in {pages}'
