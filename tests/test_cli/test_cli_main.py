"""The command itself: what it imports, how it ends."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from textxfer_mm.cli.main import CommandGroup, app
from textxfer_mm.errors import UserError
from textxfer_mm.interrupts import Terminated
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


MISTAKES = [
    (['predict', 'nosuch.mp4', '--labels', 'a,b'], 'nosuch.mp4 does not exist'),
    (['predict', 'a.mp4', '--labels-file', 'nosuch.txt'], 'nosuch.txt'),
    (['predict', 'a.mp4', '--config', 'nosuch.py'], 'config nosuch.py does not exist'),
    (['predict', 'a.mp4', '--checkpoint', 'nosuch.pth'], 'checkpoint nosuch.pth does not exist'),
    (['predict', 'a.mp4', '--labels', 'a,b', '--json', 'a.mp4/x.json'], '--json'),
    (['predict', 'a.mp4', '--labels', 'a,b', '--template', 'nobraces'], "'nobraces' is neither a set of templates nor"),
    (['predict', 'a.mp4', '--labels', 'a,b', '--template', 'text4vi'], 'Did you mean: text4vis'),
    (['predict', 'a.mp4', '--labels', 'a,b', '--model', 'ViT-B/17'], "architecture 'ViT-B/17'. Did you mean: ViT-B-16"),
    (['predict', 'a.mp4', '--labels', 'a,b', '--device', 'nosuch'], '--device nosuch is no device; give cpu, cuda, '),
    (['predict', 'a.mp4', '--labels', 'a,b', '--device', 'cuda:x'], '--device cuda:x is no device'),
    (
        ['predict', 'a.mp4', '--labels', 'a,b', '--model', 'ViT-B-32', '--pretrained', '/no/such.pt'],
        '--pretrained /no/such.pt does not exist',
    ),
    (
        ['predict', 'a.mp4', '--labels', 'a,b', '--model', 'ViT-B-32', '--pretrained', 'b.safetensors'],
        '--pretrained b.safetensors does not exist. Did you mean: a.safetensors',
    ),
    (['predict', 'a.mp4'], 'Say which labels to look for'),
    (['quickstart', '--work-dir', 'a.mp4'], 'a.mp4 is no folder'),
    (['toy-actions', 'a.mp4'], 'a.mp4 is no folder'),
]


@pytest.mark.parametrize(('arguments', 'message'), MISTAKES)
def test_a_mistake_is_told_of_before_any_heavy_import(arguments, message, tmp_path, monkeypatch):
    (tmp_path / 'a.mp4').touch()
    (tmp_path / 'a.safetensors').touch()
    inside = f'import os; os.chdir({str(tmp_path)!r})'
    report = f'print("heavy:", [name for name in {HEAVY!r} if name in sys.modules])'
    result = run_as_script(arguments, before=f'sys.path.insert(0, {str(ROOT)!r}); {inside}', after=report)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert result.stderr.count('\n') == 1
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
        (KeyboardInterrupt('[b]a.csv[/b] is kept'), 130, 'interrupted: [b]a.csv[/b] is kept'),
        (Terminated(), 143, 'terminated'),
        (OSError(errno.ENOSPC, 'No space left', 'a.mp4'), 2, 'error: a.mp4 could not be written: No space left.'),
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
    assert repr(result.exception) == "RuntimeError('a bug')"


def test_a_misspelled_type_ends_in_one_line(tmp_path):
    config = tmp_path / 'a.py'
    config.write_text("model = dict(type='Recogniser3D')\ntest_pipeline = []\n")
    (tmp_path / 'a.mp4').touch()
    result = CliRunner().invoke(app, ['predict', str(tmp_path / 'a.mp4'), '--config', str(config)])
    assert result.exit_code == 2
    assert "type='Recogniser3D' of the config is no registered model. Did you mean: Recognizer3D" in result.stderr


@pytest.mark.parametrize('command', [['quickstart', '--work-dir'], ['toy-actions']])
def test_a_folder_that_is_a_file_ends_in_one_line(command, tmp_path):
    (tmp_path / 'taken').touch()
    result = CliRunner().invoke(app, [*command, str(tmp_path / 'taken')])
    assert result.exit_code == 2
    assert 'taken is no folder that can be written to' in result.stderr
