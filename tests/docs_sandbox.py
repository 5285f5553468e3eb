"""Runs what the documentation shows, in a folder prepared like a user's, with every substitution listed here.

What stands in for what is not at hand in a test:

* the CLIP models are tiny ones, and their tag ``openai`` is a local file (:func:`tiny_clip`);
* ``my_videos/``, ``data/my_clips/``, ``data/my_actions/``, ``data/kinetics400/``, ``data/ucf101/`` hold videos of
  64 x 32 pixels, and ``data/my_actions/lda.safetensors`` features of two numbers, until the command
  that makes it was run;
* checkpoints of others are tiny ones in their layout, and ``work_dirs/captions/`` and :data:`PRETRAINED` are what tiny
  runs of pre-training leave (``docs_checkpoints``);
* analysis tools read stand-ins of runs and checkpoints (:meth:`Sandbox._analysis`);
* Kinetics configs are shrunk (``tiny_configs``): one epoch on four videos, or on four rendered scenes;
* WordNet is a dictionary of a few words (``tiny_wordnet``);
* :data:`SUBSTITUTIONS` are applied to commands, :data:`SHRINK` is appended to trainings;
* :data:`ELSEWHERE` lists the commands that other tests, or continuous integration, run.
"""

import copy
import importlib.util
import json
import os
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import open_clip
import pytest
import torch
from docs_checkpoints import write_caption_run, write_source_file
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_configs import TINY_CLIP, replace_clip, tiny_recognizer, tiny_run
from tiny_runs import write_dataset, write_video
from tiny_wordnet import write_wordnet
from typer.testing import CliRunner

from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.cli.main import app
from textxfer_mm.registry import METRICS, MODELS, TRANSFORMS
from textxfer_mm.text import clip_arch

ROOT = Path(__file__).parents[1]
CLIP_CONFIG = 'text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py'

#: What pre-training on rendered scenes leaves, there before the command that makes it was run.
PRETRAINED = 'work_dirs/clip_rn-w16_2xb64-8e_rendered-scenes/open_clip'

#: Commands that other tests or continuous integration run: pattern -> file, and what the file must hold.
ELSEWHERE = {
    r'bash tools/dist_(train|test)\.sh configs/image/.*': (
        'tests/test_tools/test_image_tools.py',
        "shell('dist_train.sh'",
    ),
    r'textxfer evaluate configs/image/.*': ('tests/test_tools/test_image_tools.py', "'evaluate', "),
    r'bash tools/run_tests\.sh( .*)?': ('.ci/run', 'tools/run_tests.sh'),
    r'TEXTXFER_TEST_GPU=1 python -m pytest .*': ('tests/on_gpu.py', 'TEXTXFER_TEST_GPU=1 lets'),
    r'textxfer evaluate configs/quickstart/quickstart_.*': (
        'tests/test_quickstart/test_quickstart.py',
        "'evaluate', CONFIG",
    ),
    r'python tools/deployment/publish_model\.py .*': ('tests/test_tools/test_publish.py', 'deployment/publish_model'),
    r'python tools/analysis_tools/cross_dataset_pairs\.py .*': (
        'tests/test_tools/test_publish.py',
        'analysis_tools/cross_dataset_pairs',
    ),
    r'torchrun --nproc_per_node 2 --no-python textxfer predict .*': (
        'tests/test_cli/test_predict_many.py',
        "dict(RANK='1', WORLD_SIZE='2')",
    ),
    r'bash tools/quickstart\.sh': ('tests/test_packaging/test_setup_scripts.py', 'quickstart.sh'),
    r'pip install (--config-settings \S+ )?-c requirements/constraints\.txt (-e )?"?\.\[(offline|tests)\]"?': (
        'tools/_env.sh',
        '-c "$PROJECT_ROOT/requirements/constraints.txt" -e "$PROJECT_ROOT[$1]"',
    ),
    r'pip install -c requirements/constraints\.txt -r requirements/runtime\.txt': ('setup.py', "'runtime'"),
    r'mim install --no-deps \.': ('tests/test_packaging/test_mim.py', "'install', '--no-deps'"),
    r'mim (train|test|search) textxfer_mm.*': ('tests/test_packaging/test_mim.py', "mim('train', 'textxfer_mm'"),
    r'apt-get install libgl1 libglib2\.0-0': ('textxfer_mm/apis/doctor/packages.py', 'apt-get install libgl1'),
    r'pip uninstall -y opencv-python opencv-contrib-python && pip install opencv-python-headless': (
        'textxfer_mm/apis/doctor/packages.py',
        'pip uninstall -y opencv-python opencv-contrib-python',
    ),
    r'git clone .*': ('CONTRIBUTING.md', 'git clone'),
}
#: Replacements in commands: eight GPUs are two CPU processes, thirty epochs are one, fifteen are two, sixty videos two,
#: and exported models are PyTorch's, which spares the exporter of ONNX half a minute; Python blocks export to ONNX.
SUBSTITUTIONS = (
    (r'^(bash tools/dist_train\.sh \S+) 8', r'\1 2'),
    (r'^(bash tools/dist_test\.sh \S+ \S+) 8', r'\1 2'),
    (r'epoch_30\.pth', 'epoch_1.pth'),
    (r'epoch_15\.pth', 'epoch_2.pth'),
    (r'--per-class 60', '--per-class 2'),
    (r'(work_dirs/\w+)\.onnx', r'\1.pt2'),
    (r'^(textxfer glosses .*)', r'\1 --wordnet wordnet'),
)
#: Appended to trainings of the packaged model.
SHRINK = 'train_cfg.max_epochs=2 train_dataloader.num_workers=0 val_dataloader.num_workers=0'


def tiny_clip(monkeypatch, folder):
    """Let the CLIP models of the documentation be tiny ones whose tags are a local file."""
    torch.manual_seed(0)
    for name in ('ViT-B-32-quickgelu', 'ViT-B-16-quickgelu'):
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, TINY_CLIP)
    file = folder / 'openai.pt'
    torch.save(open_clip.create_model('ViT-B-32-quickgelu').state_dict(), file)
    monkeypatch.setattr(clip_arch, '_download', lambda *_: file)


class Sandbox:
    """A user's folder: the configs and tools of the checkout, videos, lists, labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: dict[str, str] = {}
        shutil.copytree(ROOT / 'configs', folder / 'configs')
        for name in ('tools', 'textxfer_mm', 'requirements', 'benchmarks'):
            (folder / name).symlink_to(ROOT / name)
        (folder / 'my_videos').mkdir()
        for name in 'ab':
            write_video(folder / 'my_videos' / f'{name}.mp4', frames=20)
        (folder / 'labels.txt').write_text('dancing\nfighting\n')
        write_wordnet(folder / 'wordnet')
        (folder / 'my_overrides.csv').write_text('name,sense,gloss\nfighting,,hit one another\n')
        actions = write_dataset(folder / 'data' / 'my_actions', good=4)
        shutil.copy(actions, actions.with_name('new.txt'))
        shutil.copy(actions, actions.with_name('test.txt'))
        for split in ('train', 'val'):
            shutil.copy(actions, actions.with_name(f'{split}.txt'))
            multi = [f'{line} 2' for line in actions.read_text().splitlines()]
            actions.with_name(f'{split}_multi.txt').write_text('\n'.join(multi) + '\n')
        shutil.copy(actions, actions.with_name('all.txt'))
        for name in ('waving', 'clapping_hands'):
            (folder / 'data' / 'my_clips' / name).mkdir(parents=True)
            for group, clip in ((1, 1), (1, 2), (2, 1), (3, 1)):
                file = folder / 'data' / 'my_clips' / name / f'{name}_g{group:02}_c{clip:02}.mp4'
                write_video(file, name == 'waving', seed=10 * group + clip)
        for name, classes in dict(arms='waving\nclapping\n', legs='walking\nhopping\nkicking\n').items():
            (folder / 'data' / name).mkdir()
            (folder / 'data' / name / 'classes.txt').write_text(classes)
        rows = torch.eye(2).repeat(3, 1) + 0.1 * torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
        LabelledFeatures(rows, torch.arange(6) % 2).save(actions.with_name('lda.safetensors'))
        shutil.copy(
            write_dataset(folder / 'data' / 'ucf101' / 'videos', good=2), folder / 'data' / 'ucf101' / 'val.txt'
        )
        (folder / 'configs' / 'my_actions').mkdir()
        self.path_of_config().write_text(own_config())
        (folder / 'my_actions.py').write_text(own_config("'textxfer_mm::"))
        write_caption_run(folder / 'work_dirs' / 'captions')
        shutil.copytree(folder / 'work_dirs' / 'captions' / 'tower', folder / PRETRAINED)

    def path_of_config(self) -> Path:
        """Where configs of the documentation are saved."""
        return self.folder / 'configs' / 'my_actions' / 'my_actions.py'

    def command(self, line: str) -> None:
        """Run one line of a ```bash block; the same line is run once."""
        for pattern, (file, text) in ELSEWHERE.items():
            if re.fullmatch(pattern, line):
                assert text in (ROOT / file).read_text(), f'{file} no longer runs {line!r}'
                return
        for pattern, replacement in SUBSTITUTIONS:
            line = re.sub(pattern, replacement, line)
        if line in self._done:
            return
        words = shlex.split(line)
        if words[0] == 'textxfer':
            self._textxfer(words[1:])
        elif words[0] == 'python' and words[1] in ('tools/train.py', 'tools/test.py', 'tools/extract_features.py'):
            self._tool(line)
        elif words[:2] == ['python', 'tools/model_converters/convert_checkpoint.py']:
            self._convert(words)
        elif words[:2] == ['python', 'tools/model_converters/add_backbone.py']:
            self._script(words)
        elif words[0] == 'bash' and words[1].startswith('tools/dist_'):
            self._distributed(words)
        elif words[0] == 'python' and words[1].startswith(('tools/analysis_tools/', 'tools/misc/draw_')):
            self._analysis(words)
        elif words[0] == 'python' and words[1] in (
            'benchmarks/training_step.py',
            'benchmarks/authors_step.py',
            'benchmarks/multi_dataset_step.py',
        ):
            self._subprocess([*words, '--help'])
        else:
            raise AssertionError(f'nothing here runs {line!r}: add a handler, or say in ELSEWHERE what runs it')
        self._done[line] = line

    def _textxfer(self, words: list[str]) -> None:
        if '--checkpoint' in words or '--config' in words or words[0] in ('evaluate', 'interpolate', 'export'):
            self.ensure_trained()
        result = CliRunner().invoke(app, words)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        expected = (0, 1) if words[0] == 'doctor' else (0,)  # doctor judges this machine
        assert result.exit_code in expected, result.output
        assert result.output.strip()

    def ensure_trained(self) -> None:
        """Train the own dataset of the documentation for two epochs, once."""
        if not (self.folder / 'work_dirs' / 'my_actions' / 'epoch_2.pth').is_file():
            self.command('python tools/train.py configs/my_actions/my_actions.py')

    def _tool(self, line: str) -> None:
        config = Path(line.split()[2])
        if config == self.path_of_config().relative_to(self.folder):
            if 'tools/test.py' not in line:
                line += f' --cfg-options {SHRINK}'
            else:
                self.ensure_trained()
        elif config.parts[0] == 'work_dirs':  # what `textxfer features` wrote
            line += f' --cfg-options {SHRINK}'
        else:
            self._shrink(config)
            checkpoint = None if 'tools/train.py' in line else Path(line.split()[3])
            if checkpoint is not None and not checkpoint.is_file():
                checkpoint.parent.mkdir(parents=True)
                init_default_scope('mmaction')
                model = MODELS.build(Config.fromfile(config).model)
                model.init_weights()
                torch.save(dict(state_dict=model.state_dict()), checkpoint)
        self._script(shlex.split(line))

    def _script(self, words: list[str]) -> None:
        """Run a script of the checkout in this process."""
        with patch.object(sys, 'argv', words[1:]), pytest.raises(SystemExit) as stop:
            runpy.run_path(str(ROOT / words[1]), run_name='__main__')
        assert stop.value.code == 0

    def _analysis(self, words: list[str]) -> None:
        """Run a tool that writes figures; runs and checkpoints it names are stand-ins: 20 log lines, 400 classes."""
        for path in map(Path, words[2:]):
            if path.suffix == '.pth' and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.save(dict(state_dict={'cls_head.fc_cls.weight': torch.randn(400, 8)}), path)
            elif path.parts[:1] == ('work_dirs',) and not path.suffix and 'loss_curves' in words[1]:
                log = path / '20250101_000000' / 'vis_data' / 'scalars.json'
                log.parent.mkdir(parents=True, exist_ok=True)
                entries = [dict(loss=5 / i, epoch=(i - 1) // 5 + 1, iter=i, step=i) for i in range(1, 21)]
                log.write_text('\n'.join(map(json.dumps, entries)))
        self._script(words)
        written = [Path(word) for word in words if word.startswith('work_dirs/') and word.endswith(('.png', '.json'))]
        assert written
        assert all(file.is_file() for file in written)

    def _convert(self, words: list[str]) -> None:
        """Convert a checkpoint; those of others are written here first, ours are there already."""
        source, path = words[words.index('--source') + 1], Path(words[-2])
        if '--reverse' not in words:
            write_source_file(path, source)
        self._script(words)

    def _distributed(self, words: list[str]) -> None:
        self._shrink(Path(words[2]))
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = str(probe.getsockname()[1])
        self._subprocess(words, PORT=port)

    def _shrink(self, config: Path) -> None:
        """Overwrite a Kinetics config of the sandbox by a tiny one, once."""
        if '_base_' in config.read_text():
            tiny_run(Config.fromfile(config), self.folder / 'data' / 'kinetics400', None).dump(config)

    def _subprocess(self, words: list[str], **env: str) -> None:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
        given = {**os.environ, 'PATH': path, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **env}
        given['CUDA_VISIBLE_DEVICES'] = ''
        done = subprocess.run(words, capture_output=True, text=True, env=given, timeout=600)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    def python(self, code: str, namespace: dict) -> None:
        """Run one ```python block: a config is loaded and stepped, other code is executed."""
        if '_base_' in code:
            file = self.path_of_config().with_name('shown.py')
            file.write_text(code)
            step(Config.fromfile(file))
            return
        if 'import ray\n' in code and importlib.util.find_spec('ray') is None:
            return
        before = dict(namespace)
        exec(compile(code, 'documentation', 'exec'), namespace)
        for name, value in namespace.items():
            if name != '__builtins__' and before.get(name) is not value and isinstance(value, dict):
                check_fragment(name, value)


def own_config(base: str = '') -> str:
    """The config of docs/own_dataset.md, the first one with such a base."""
    text = (ROOT / 'docs' / 'own_dataset.md').read_text()
    return re.search(rf'```python\n(_base_ = {base}.*?)```', text, flags=re.S).group(1)


def check_fragment(name: str, value: dict) -> None:
    """Build a part of a config that the documentation shows alone."""
    init_default_scope('mmaction')
    if name == 'model':  # the head that goes into any config
        cfg = get_config('mmaction::recognition/slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb.py')
        cfg.merge_from_dict(dict(model=value))
        step(cfg)
    elif name == 'optim_wrapper':
        cfg = tiny_recognizer(Config.fromfile(ROOT / 'configs' / CLIP_CONFIG))
        wrapper = build_optim_wrapper(MODELS.build(cfg.model), dict(type='OptimWrapper', **value))
        assert len({group['lr'] for group in wrapper.param_groups}) == 2
    elif name == 'pipeline':
        TRANSFORMS.build(value)
    elif name == 'classifier':
        assert MODELS.build(value).build().num_classes
    elif name.endswith('_evaluator'):
        METRICS.build(value)
    elif name.endswith('_dataloader'):
        check_loader(value)
    elif 'type' in value:
        MODELS.build(value)


def check_loader(loader: dict) -> None:
    """Load the first batch of a dataloader, from two videos in the place of each list."""
    loader = copy.deepcopy(dict(loader, num_workers=0, batch_size=4))
    loader.pop('worker_init_fn', None)
    with tempfile.TemporaryDirectory() as folder:
        listed = dict(ann_file=str(write_dataset(folder, good=2)), data_prefix=dict(video=folder))
        for tagged in loader['dataset']['datasets']:
            tagged['class_names'] = ['dark', 'bright']
            tagged['dataset'].update(listed)
            if tagged['dataset']['type'] == 'CaptionedVideos':
                names = [line.split()[0] for line in Path(listed['ann_file']).read_text().splitlines()]
                captions = Path(folder) / 'captions.csv'
                captions.write_text('\n'.join(['path,caption', *(f'{name},about {name}' for name in names)]))
                tagged['dataset']['ann_file'] = str(captions)
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
    assert {sample.dataset_name for sample in batch['data_samples']} <= {
        tagged['name'] for tagged in loader['dataset']['datasets']
    }


def step_on_images(cfg: Config) -> None:
    """The same for a config of images."""
    from mmpretrain.structures import DataSample

    replace_clip(cfg.model)
    cfg.model.data_preprocessor = {**cfg.get('data_preprocessor', {}), **cfg.model.get('data_preprocessor', {})}
    model = MODELS.build(cfg.model)
    samples = [DataSample().set_gt_label(label) for label in (0, 1)]
    inputs = torch.randn(2, 3, 224, 224)
    assert torch.isfinite(model.eval().predict(inputs, samples)[0].pred_score).all()
    model.train().loss(inputs, samples)['loss'].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def step(cfg: Config) -> None:
    """One prediction and one loss with gradients of a config at tiny size, on one view of one video."""
    init_default_scope(cfg.default_scope)
    if cfg.default_scope == 'mmpretrain':
        step_on_images(cfg)
        return
    tiny_recognizer(cfg)
    model = MODELS.build(cfg.model)
    crops = {'ThreeCrop': 'CenterCrop', 'TenCrop': 'CenterCrop'}
    pipeline = Compose([dict(s, type=crops.get(s['type'], s['type'])) for s in cfg.test_pipeline])
    data = pipeline(dict(filename='my_videos/a.mp4', label=0, start_index=0, modality='RGB'))
    if hasattr(model.cls_head, 'datasets'):
        data['data_samples'].set_metainfo(dict(dataset_name=next(iter(model.cls_head.datasets))))
    batch = model.data_preprocessor(pseudo_collate([data]))
    scores = model(**batch, mode='predict')[0].pred_score
    assert torch.isfinite(scores).all()
    if getattr(model.cls_head, 'multi_class', False):
        batch['data_samples'][0].set_gt_label(torch.eye(len(scores))[0])
    inputs = batch['inputs'][:, :1] if batch['inputs'].ndim == 6 else batch['inputs']
    losses = model(inputs, batch['data_samples'], mode='loss')
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
