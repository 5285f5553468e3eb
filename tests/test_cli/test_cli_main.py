"""The command itself: what it imports, how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from textxfer_mm.cli.main import CommandGroup, app
from textxfer_mm.errors import UserError
from textxfer_mm.version import __version__

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmaction', 'open_clip', 'sklearn', 'matplotlib', 'numpy', 'cv2')


def run_as_script(arguments: list[str], before: str = '', after: str = '') -> subprocess.CompletedProcess:
    """Run ``textxfer`` in a fresh process, as its console script does."""
    code = f"""
import sys
sys.argv = ['textxfer', *{arguments!r}]
{before}
from textxfer_mm.cli.main import main
try:
    main()
finally:
    {after or 'pass'}
"""
    return subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_help_lists_the_subcommands_without_heavy_imports():
    report = f'print("heavy:", [name for name in {HEAVY!r} if name in sys.modules])'
    result = run_as_script(['--help'], after=report)
    assert result.returncode == 0, result.stderr
    assert 'doctor' in result.stdout
    assert 'heavy: []' in result.stdout


@pytest.mark.parametrize('command', [[info.name] for info in app.registered_commands], ids=lambda c: c[0])
def test_help_of_a_subcommand_needs_no_heavy_import(command):
    report = f'print("heavy:", [name for name in {HEAVY!r} if name in sys.modules])'
    result = run_as_script([*command, '--help'], after=report)
    assert result.returncode == 0, result.stderr
    assert 'heavy: []' in result.stdout


def test_version():
    result = CliRunner().invoke(app, ['--version'])
    assert result.exit_code == 0
    assert result.stdout == f'textxfer_mm {__version__}\n'


def test_unknown_subcommand_fails_with_usage():
    result = CliRunner().invoke(app, ['predcit'])
    assert result.exit_code == 2
    assert 'predcit' in result.output


@pytest.mark.parametrize(
    ('error', 'status', 'shown'),
    [
        (UserError('no class names in [bold]x.txt[/bold]: expected one a line'), 2, 'error: no class names in [bold]'),
        (KeyboardInterrupt(), 130, 'interrupted'),
    ],
)
def test_mistakes_and_interrupts_end_in_one_line(error, status, shown):
    failing = typer.Typer(cls=CommandGroup, pretty_exceptions_enable=False)

    @failing.callback()
    def group() -> None:
        """Make ``fail`` a subcommand instead of the whole command."""

    @failing.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(failing, ['fail'])
    assert result.exit_code == status
    assert result.stdout == ''
    assert result.stderr.startswith(shown)
    assert result.stderr.count('\n') == 1


def test_other_exceptions_keep_their_traceback():
    failing = typer.Typer(cls=CommandGroup, pretty_exceptions_enable=False)

    @failing.callback()
    def group() -> None:
        """Make ``fail`` a subcommand instead of the whole command."""

    @failing.command()
    def fail() -> None:
        raise RuntimeError('a bug')

    result = CliRunner().invoke(failing, ['fail'])
    assert isinstance(result.exception, RuntimeError)
