"""OpenMIM on the installed package: ``mim install``, ``train``, ``test`` and ``search`` in an environment of their own.

The environment sees the packages of the running one, so that nothing is downloaded. ``--no-deps``, because mim adds the
full mmcv to what mmaction2 requires, and mmcv has to be compiled.
"""

import copy
import os
import shutil
import subprocess
import sysconfig
import textwrap
import venv
from pathlib import Path

import pytest
from mmengine.config import Config
from tiny import TINY_VIT
from tiny_configs import load, tiny_image_run
from tiny_runs import run_config, write_dataset

ROOT = Path(__file__).resolve().parents[2]
MODEL_INDEX = """Import: [configs/tiny/metafile.yml]
"""
METAFILE = """Models:
  - Name: tiny_text-embedding
    In Collection: Tiny
    Config: configs/tiny/tiny_text-embedding.py
    Metadata: {Epochs: 1}
    Results:
      - {Task: Action Recognition, Dataset: noise, Metrics: {Top 1 Accuracy: 50.0}}
Collections:
  - Name: Tiny
"""


class Mim:
    """An environment with this package installed by ``mim install``, and mim in it."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        venv.create(folder / 'env', symlinks=True)
        self.python = folder / 'env' / 'bin' / 'python'
        self.folder = folder
        packages = Path(sysconfig.get_path('purelib', vars={'base': str(folder / 'env')}))
        # addsitedir, not the bare path: setuptools stands in for distutils (gone in Python 3.12) by a .pth of its own
        parents = dict.fromkeys([sysconfig.get_path('purelib'), sysconfig.get_path('platlib')])
        lines = [f'import site; site.addsitedir({parent!r})' for parent in parents]
        (packages / 'parent.pth').write_text('\n'.join(lines) + '\n')
        self.installed = packages / 'textxfer_mm'
        self('install', '--no-deps', '--no-build-isolation', '--no-index', str(checkout))

    def __call__(self, *arguments: str) -> str:
        """Run mim outside the checkout and return its output."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(('PIP_', 'PYTHONPATH'))}
        result = subprocess.run(
            [str(self.python), '-m', 'mim', *arguments],
            cwd=self.folder,
            env={**environment, 'HOME': str(self.folder), 'OMP_NUM_THREADS': '1'},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr


@pytest.fixture(scope='module')
def mim(tmp_path_factory):
    """Install a checkout whose configs are one tiny one, so that the run takes seconds."""
    folder = tmp_path_factory.mktemp('mim')
    checkout = folder / 'checkout'
    ignored = shutil.ignore_patterns('__pycache__', '.mim')
    for name in ('textxfer_mm', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'README.md'):
        shutil.copy2(ROOT / name, checkout / name)
    shutil.copytree(ROOT / 'configs' / '_base_', checkout / 'configs' / '_base_')
    configs = checkout / 'configs' / 'tiny'
    configs.mkdir(parents=True)
    config = run_config(write_dataset(folder / 'videos'), folder / 'runs')
    config['custom_imports'] = dict(imports=['textxfer_mm.register'])
    config['model']['cls_head'] = dict(
        type='TextEmbeddingHead',
        in_channels=256,
        projection='linear',
        classifier=dict(
            type='TextClassifier',
            class_names=['a dark video', 'a bright video'],
            encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT),
        ),
    )
    Config(config).dump(configs / 'tiny_text-embedding.py')
    image = copy.deepcopy(load('image/text4vis_vit-b-16_8xb16-10e_in1k.py'))
    tiny_image_run(image, folder / 'images', folder / 'image_runs').dump(configs / 'tiny_image.py')
    (configs / 'metafile.yml').write_text(METAFILE)
    (checkout / 'model-index.yml').write_text(MODEL_INDEX)
    return Mim(folder, checkout)


def test_trains_and_tests_by_the_name_of_a_config(mim):
    train_output = mim('train', 'textxfer_mm', 'tiny_text-embedding.py', '--gpus', '0')
    assert str(mim.installed / '.mim' / 'tools' / 'train.py') in train_output
    checkpoint = mim.folder / 'runs' / 'epoch_1.pth'
    assert checkpoint.is_file()
    test_output = mim('test', 'textxfer_mm', 'tiny_text-embedding.py', '--checkpoint', str(checkpoint), '--gpus', '0')
    assert str(mim.installed / '.mim' / 'tools' / 'test.py') in test_output
    assert 'acc/top1' in test_output


def test_a_config_outside_inherits_from_the_installed_ones(mim):
    """Training, testing, features and prediction with a config that lies anywhere; one process does the last three."""
    folder = mim.folder / 'mine'
    folder.mkdir()
    (folder / 'my_actions.py').write_text(
        "_base_ = 'textxfer_mm::tiny/tiny_text-embedding.py'\n"
        "work_dir = 'my_run'\n"
        "model = dict(cls_head=dict(classifier=dict(class_names=['a night', 'a day'])))\n"
    )
    mim.folder = folder
    try:
        told = mim('train', 'textxfer_mm', 'my_actions.py', '--gpus', '0')
    finally:
        mim.folder = folder.parent
    tester, predict = (line.strip() for line in told.splitlines() if line.startswith(('  python ', '  textxfer ')))
    assert tester == f'python {mim.installed}/.mim/tools/test.py my_actions.py my_run/epoch_1.pth'
    video = mim.folder / 'videos' / 'good0.mp4'
    code = f"""
        import os, runpy, shlex, sys
        from textxfer_mm.cli.main import app
        def tool(line):
            sys.argv = shlex.split(line)[1:]
            try:
                runpy.run_path(sys.argv[0], run_name='__main__')
            except SystemExit as end:
                assert not end.code, line
        tool({tester!r})
        for words in (
            ['features', 'my_actions.py', 'my_features', '--checkpoint', 'my_run/epoch_1.pth'],
            {[*predict.split()[1:2], str(video), *predict.split()[3:]]!r},
        ):
            assert not app(words, standalone_mode=False), words
    """
    done = subprocess.run(
        [mim.python, '-c', textwrap.dedent(code)],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'} | {'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'acc/top1: ' in done.stdout
    assert 'a night' in done.stdout
    assert (folder / 'my_features' / 'config.py').is_file()


def test_mmpretrain_trains_a_config_of_images(mim):
    """By the path of a shipped config and MMPretrain's own tool, which knows nothing of this package."""
    config = mim.installed / '.mim' / 'configs' / 'tiny' / 'tiny_image.py'
    output = mim('train', 'mmpretrain', str(config), '--gpus', '0')
    assert str(Path('mmpretrain', '.mim', 'tools', 'train.py')) in output
    assert (mim.folder / 'image_runs' / 'epoch_1.pth').is_file()


def test_search_lists_the_models(mim):
    assert 'tiny_text-embedding' in mim('search', 'textxfer_mm')


def test_plain_install_where_mmcv_is_there(mim):
    """The metadata of mmcv stand for a compiled one; its module is that of mmcv-lite."""
    metadata = mim.installed.parent / 'mmcv-2.1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: mmcv\nVersion: 2.1.0\n')
    output = mim('install', '--no-build-isolation', '--no-index', str(mim.folder / 'checkout'))
    assert 'Successfully installed textxfer' in output
