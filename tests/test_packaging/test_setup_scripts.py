"""``tools/quickstart.sh`` and ``tools/run_tests.sh``: what they install, when, and what they say when they cannot.

The environment is a real virtual environment whose ``pip install`` only records its arguments.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from textxfer_mm.apis.doctor.packages import FORKS
from textxfer_mm.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PYTHON_STUB = """#!/bin/bash
here="$(dirname "$0")"
if [ "$1 $2 $3" = "-m pip install" ]; then
    echo "$@" >> "$here/../pip.txt"
    [ -e "$here/../offline" ] && { echo "Could not find a version of torch"; exit 1; }
    packages="$("$here/real" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    mkdir -p "$packages/textxfer_mm-0.1.0.dist-info"
    printf 'Name: textxfer_mm\\nVersion: 0.1.0\\n' > "$packages/textxfer_mm-0.1.0.dist-info/METADATA"
    exit 0
fi
if [ "$1" = "-m" ]; then echo "ran $2"; [ "$2" != "$FAILING" ]; exit; fi
exec "$here/real" "$@"
"""
COMMAND_STUB = '#!/bin/bash\necho "textxfer $*"\n'


class Checkout:
    """A checkout beside an active virtual environment."""

    def __init__(self, folder: Path) -> None:
        self.root, self.env = folder / 'a checkout', folder / 'env'
        for name in ('tools', 'requirements'):
            shutil.copytree(ROOT / name, self.root / name)
        for name in ('setup.py', 'pyproject.toml', 'textxfer_mm/version.py'):
            (self.root / name).parent.mkdir(exist_ok=True)
            shutil.copy2(ROOT / name, self.root / name)
        venv.create(self.env, symlinks=True)
        (self.env / 'bin' / 'real').symlink_to(Path(sys.executable).resolve())
        self.write_executable('python', PYTHON_STUB)
        self.write_executable('textxfer', COMMAND_STUB)

    def write_executable(self, name: str, text: str) -> None:
        """Put a script into the environment."""
        path = self.env / 'bin' / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        """Run a script of ``tools/`` in the environment."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(('CONDA', 'PYTHON', 'VIRTUAL_ENV'))}
        return subprocess.run(
            ['bash', str(self.root / 'tools' / script), *arguments],
            env={**environment, 'VIRTUAL_ENV': str(self.env), **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def installs(self) -> list[str]:
        """Return the arguments of every ``pip install``."""
        record = self.env / 'pip.txt'
        return record.read_text().splitlines() if record.exists() else []


@pytest.fixture
def checkout(tmp_path):
    """Make a checkout in a folder whose name has a space."""
    return Checkout(tmp_path)


def test_quickstart_installs_once_with_constraints_and_passes_arguments(checkout):
    first = checkout.run('quickstart.sh', '--work-dir', 'a b')
    assert first.returncode == 0, first.stderr
    assert first.stdout.endswith('textxfer quickstart --work-dir a b\n')
    (install,) = checkout.installs()
    assert f'-c {checkout.root}/requirements/constraints.txt -e {checkout.root}[offline]' in install
    second = checkout.run('quickstart.sh')
    assert second.stdout == 'textxfer quickstart\n'
    assert len(checkout.installs()) == 1


@pytest.mark.parametrize('option', ['-h', '--help'])
def test_help_installs_nothing(checkout, option):
    done = checkout.run('quickstart.sh', option)
    assert done.returncode == 0
    assert 'usage: bash tools/quickstart.sh' in done.stdout
    assert not checkout.installs()


def test_installs_again_when_a_requirement_changes(checkout):
    checkout.run('quickstart.sh')
    with open(checkout.root / 'requirements' / 'runtime.txt', 'a') as file:
        file.write('einops\n')
    checkout.run('quickstart.sh')
    assert len(checkout.installs()) == 2


def test_the_test_extra_serves_the_quickstart_but_not_the_reverse(checkout):
    checkout.run('quickstart.sh')
    checkout.run('run_tests.sh')
    assert [line.endswith('[tests]') for line in checkout.installs()] == [False, True]
    checkout.run('quickstart.sh')
    assert len(checkout.installs()) == 2


def test_a_failed_installation_says_so_and_is_tried_again(checkout):
    (checkout.env / 'offline').touch()
    result = checkout.run('quickstart.sh')
    assert result.returncode == 1
    assert 'Could not find a version of torch' in result.stderr
    assert 'error: the installation failed' in result.stderr
    assert 'textxfer quickstart' not in result.stdout
    (checkout.env / 'offline').unlink()
    assert checkout.run('quickstart.sh').returncode == 0


@pytest.mark.parametrize('failing', ['', 'ruff', 'interrogate', 'sphinx', 'pytest'])
def test_run_tests_runs_everything_and_fails_with_any(checkout, failing):
    result = checkout.run('run_tests.sh', '-k', 'some', FAILING=failing)
    assert result.returncode == (1 if failing else 0)
    assert [line for line in result.stdout.splitlines() if line.startswith('ran ')] == [
        'ran ruff',
        'ran ruff',
        'ran interrogate',
        'ran sphinx',
        'ran pytest',
    ]
    assert '== pytest -n 2 --dist worksteal -k some' in result.stdout
    assert result.stdout.endswith('ran pytest\n')


def test_without_environment_one_is_made_or_the_reason_is_given(checkout, tmp_path):
    old = tmp_path / 'python3.8'
    old.write_text('#!/bin/bash\nexit 1\n')
    old.chmod(0o755)
    result = checkout.run('quickstart.sh', VIRTUAL_ENV='', PYTHON=str(old))
    assert result.returncode == 1
    assert 'error: Python >= 3.10 is needed' in result.stderr
    broken = tmp_path / 'python3'
    broken.write_text(f'#!/bin/bash\n[ "$2" = venv ] && exit 1\nexec "{sys.executable}" "$@"\n')
    broken.chmod(0o755)
    result = checkout.run('quickstart.sh', VIRTUAL_ENV='', PYTHON=str(broken))
    assert result.returncode == 1
    assert 'apt-get install python3-venv' in result.stderr


def test_an_active_environment_with_an_old_python_is_refused(checkout):
    checkout.write_executable('python', '#!/bin/bash\nexit 1\n')
    result = checkout.run('quickstart.sh')
    assert result.returncode == 1
    assert f'error: the active environment {checkout.env} has no Python >= 3.10' in result.stderr


def test_an_environment_of_its_own_is_told_how_to_activate(checkout):
    (checkout.root / '.venv').symlink_to(checkout.env)
    result = checkout.run('quickstart.sh', VIRTUAL_ENV='')
    assert result.returncode == 0, result.stderr
    assert 'For the textxfer command in this shell, now or later: source ' in result.stdout
    assert result.stdout.endswith('.venv/bin/activate\n\ntextxfer quickstart\n')


@pytest.mark.parametrize(
    ('versions', 'chosen'),
    [
        ({'python3': (3, 12), 'python3.13': (3, 13)}, 'python3'),
        ({'python3': (3, 14), 'python3.12': (3, 12), 'python3.10': (3, 10)}, 'python3.12'),
        ({'python3': (3, 14), 'python3.10': (3, 9)}, 'python3'),
        ({'python3': (3, 9), 'python': (3, 11)}, 'python'),
    ],
)
def test_a_tested_python_is_preferred(tmp_path, versions, chosen):
    for name in ('python', 'python3', 'python3.10', 'python3.11', 'python3.12', 'python3.13'):
        file, version = tmp_path / name, versions.get(name, (2, 7))
        code = f'import sys; sys.version_info = {(*version, 0)}; exec(sys.argv[2])'
        file.write_text(f"#!/bin/bash\nexec '{sys.executable}' -c '{code}' \"$@\"\n")
        file.chmod(0o755)
    done = subprocess.run(
        ['bash', '-c', f'source "{ROOT}/tools/_env.sh" && find_python'],
        env={'PATH': f'{tmp_path}:{os.environ["PATH"]}'},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == str(tmp_path / chosen), done.stderr


def test_the_core_set_with_forks_is_there_and_known_to_the_doctor():
    """The script itself fetches packages, so that it is not run here: what it names must not go out of date."""
    script = (ROOT / 'tools' / 'test_with_forks.sh').read_text()
    core = re.findall(r'tests/\S+\.py', script)
    assert len(core) > 5
    assert [file for file in core if not (ROOT / file).is_file()] == []
    forks = re.search(r'FORKS=\((.*)\)', script)[1].split()
    assert {fork.partition('==')[0] for fork in forks} <= set(FORKS.values())
    assert all('==' in fork for fork in forks)
    subprocess.run(['bash', '-n', ROOT / 'tools' / 'test_with_forks.sh'], check=True)


def test_the_script_that_uses_the_wheel_names_commands_that_are_there():
    """It fetches all packages, so that it is not run here."""
    script = ROOT / 'tools' / 'test_wheel.sh'
    used = set(re.findall(r'^ +textxfer ([\w-]+)', script.read_text(), re.MULTILINE))
    known = {command.name for command in app.registered_commands}
    assert {'doctor', 'predict', 'train', 'export'} <= used <= known
    (config,) = re.findall(r"textxfer_mm::(\S+)'", script.read_text())
    assert (ROOT / 'configs' / config).is_file()
    subprocess.run(['bash', '-n', script], check=True)


def test_the_wheel_is_not_said_to_work_where_no_python_could_try_it(tmp_path):
    for minor in range(10, 14):
        (tmp_path / f'python3.{minor}').write_text('#!/bin/bash\nexit 1\n')
        (tmp_path / f'python3.{minor}').chmod(0o755)
    path = f'{tmp_path}:{os.environ["PATH"]}'
    command = ['bash', ROOT / 'tools' / 'test_wheel.sh']
    done = subprocess.run(command, env={'PATH': path}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.strip() == 'error: no Python 3.10 to 3.13 is on PATH.'
