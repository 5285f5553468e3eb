"""The rooms of the package: who may import whom, and what an import of a pure room loads and changes."""

import ast
import graphlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'textxfer_mm'

#: Rooms from the bottom upwards: a room imports from its own line and from those above it in this list.
STOREYS = (
    (
        'errors',
        'files',
        'inputs',
        'interrupts',
        'memory',
        'pace',
        'text_files',
        'version',
        'wrappers',
        'compat',
        'compat_checkpoints',
        'compat_datasets',
        'compat_distributed',
        'compat_imports',
        'registry_errors',
    ),
    ('registry', 'log_bridge', 'part_configs', 'visualization'),
    ('text', 'layers', 'losses', 'video'),
    ('classifiers', 'vision'),
    ('exported',),
    ('parts',),
    ('models', 'image', 'datasets', 'evaluation'),
    ('engine',),
    ('apis',),
    ('convert', 'analysis', 'quickstart'),
    ('cli', 'web'),
)
STOREY = {room: number for number, rooms in enumerate(STOREYS) for room in rooms}

PURE = ('text', 'classifiers', 'layers', 'losses', 'evaluation', 'video', 'exported')
PURE_GROUND = ('errors', 'files', 'inputs', 'interrupts', 'memory', 'text_files', 'version', 'wrappers')
#: Registers everything, so only rooms in which a run starts ask for it.
REGISTRATION = ('register', '__init__')
MAY_REGISTER = ('engine', 'apis', 'convert', 'analysis', 'quickstart', 'cli', 'web')

HEAVY = (
    *('mmengine', 'mmcv', 'mmaction', 'mmpretrain', 'transformers', 'sentence_transformers', 'sklearn', 'scipy.stats'),
    *('open_clip', 'timm', 'torchvision', 'cv2', 'matplotlib', 'torch._dynamo', 'torch.distributed.fsdp'),
)
#: The libraries that a pure room may import at its top.
LIGHT = ('torch', 'numpy', 'safetensors', 'filelock', 'av')
#: Modules that belong to no library: Cython and TorchScript make them when compiled code is loaded.
COMPILED = ('_cython_', '_remote_module_non_scriptable')

IMPORT_ROOM = """
import importlib, pkgutil
def import_room(name):
    room = importlib.import_module(f'textxfer_mm.{name}')
    for module in pkgutil.walk_packages(room.__path__, f'{room.__name__}.'):
        importlib.import_module(module.name)
"""


def run(code):
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, '-c', IMPORT_ROOM + textwrap.dedent(code)],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def room_of(module):
    """The room of a dotted module name inside the package; the package itself is the room ``__init__``."""
    return module.split('.')[1] if '.' in module else '__init__'


def imports_of(file):
    """Modules of this package that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{file}: relative imports hide where they lead'
            names = [node.module]
            if node.module == PACKAGE.name:  # `from textxfer_mm import compat`, or a function of the package
                names = [f'{PACKAGE.name}.{a.name}' if a.name in STOREY else PACKAGE.name for a in node.names]
        else:
            continue
        yield from (name for name in names if name.split('.')[0] == PACKAGE.name)


def arrows():
    """All pairs (room, room that it imports), with the file."""
    for file in sorted(PACKAGE.rglob('*.py')):
        room = file.relative_to(PACKAGE).parts[0].removesuffix('.py')
        if '.mim' in file.parts or room in REGISTRATION:
            continue
        yield from ((room, room_of(name), file.relative_to(ROOT)) for name in imports_of(file))


def test_every_room_has_its_storey():
    rooms = {p.name.removesuffix('.py') for p in PACKAGE.iterdir() if p.suffix == '.py' or (p / '__init__.py').exists()}
    assert rooms - set(REGISTRATION) <= set(STOREY)


def test_arrows_run_downwards():
    wrong = [
        f'{file}: {room} imports {target}'
        for room, target, file in arrows()
        if target not in REGISTRATION and STOREY[target] > STOREY[room]
    ]
    assert not wrong, '\n'.join(wrong)


def test_rooms_form_no_circle():
    graph = {room: set() for room in STOREY}
    for room, target, _ in arrows():
        if target not in (*REGISTRATION, room):
            graph[room].add(target)
    graphlib.TopologicalSorter(graph).prepare()  # raises on a circle


def test_the_shells_of_the_two_frameworks_do_not_meet():
    assert not [arrow for arrow in arrows() if {arrow[0], arrow[1]} == {'models', 'image'}]


def test_pure_rooms_stand_on_pure_ground():
    wrong = [arrow for arrow in arrows() if arrow[0] in PURE and arrow[1] not in (*PURE, *PURE_GROUND)]
    assert not wrong, wrong


def test_only_rooms_in_which_a_run_starts_register():
    wrong = [arrow for arrow in arrows() if arrow[1] in REGISTRATION and arrow[0] not in MAY_REGISTER]
    assert not wrong, wrong


@pytest.mark.parametrize('room', PURE)
def test_a_pure_room_loads_nothing_heavy(room):
    """Besides what ``import torch`` brings along: its own closure differs from release to release."""
    loaded = run(f"""
        import sys
        import torch
        before = set(sys.modules)
        import_room({room!r})
        print(*sorted(set(sys.modules) - before))
    """).split()
    assert not set(loaded) & set(HEAVY)
    own = {room_of(name) for name in loaded if name.split('.')[0] == PACKAGE.name}
    assert room in own
    assert own <= {'__init__', *PURE, *PURE_GROUND}
    libraries = {name.split('.')[0] for name in loaded if not name.startswith(COMPILED)}
    assert libraries - sys.stdlib_module_names <= {PACKAGE.name, *LIGHT}


def test_exported_models_need_no_torch():
    """The room, and what the command adds to it, where neither PyTorch nor OpenMMLab can be imported."""
    printed = run("""
        import sys

        class Blocker:
            def find_spec(self, name, path=None, target=None):
                if name.split('.')[0] in ('torch', 'mmengine', 'mmcv', 'mmaction', 'mmpretrain', 'open_clip', 'timm'):
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Blocker())
        import_room('exported')
        import textxfer_mm.apis.exported_recognizer, textxfer_mm.apis.labelled_media
        print('imported')
    """)
    assert printed.strip() == 'imported'


def test_pure_rooms_change_nobody():
    """Whatever registration patches is as it was, and so are the warnings, the finders and the log handlers."""
    changed = run(f"""
        import functools, logging, sys, warnings
        import torch
        import mmengine.dist.utils, mmengine.fileio.file_client, mmengine.runner.checkpoint
        from mmengine.config import Config
        from mmengine.config.utils import MODULE2PACKAGE
        from mmengine.model.wrappers import MMDistributedDataParallel
        from mmengine.registry import MODELS, HOOKS

        def state():
            return dict(
                ddp=MMDistributedDataParallel.__init__,
                config=Config._get_cfg_path,
                packages=dict(MODULE2PACKAGE),
                download=mmengine.runner.checkpoint.load_url,
                loaders=dict(mmengine.runner.checkpoint.CheckpointLoader._schemes),
                start=mmengine.dist.utils._init_dist_pytorch,
                notice=mmengine.fileio.file_client.print_log,
                load=torch.load,
                safe=set(torch.serialization.get_safe_globals()),
                warnings=list(warnings.filters),
                finders=list(sys.meta_path),
                handlers=[*logging.root.handlers, *logging.getLogger('textxfer_mm').handlers],
                level=logging.getLogger('textxfer_mm').level,
                registered=[*MODELS.module_dict, *HOOKS.module_dict],
            )

        before = state()
        for room in {PURE!r}:
            import_room(room)
        unregistered = state()
        print([key for key in before if before[key] != unregistered[key]])
        import textxfer_mm.register
        registered = state()
        print([key for key in before if before[key] == registered[key]])
    """)
    assert changed.splitlines() == ['[]', "['load']"]  # torch.load stays itself even after registration


def test_pure_rooms_leave_the_heads_of_mmaction_alone():
    printed = run(f"""
        from textxfer_mm import compat
        compat.apply()  # without it the released mmaction2 cannot be imported
        from mmaction.models.heads import BaseHead
        before = BaseHead.loss_by_feat, BaseHead.predict_by_feat
        for room in {PURE!r}:
            import_room(room)
        print(before == (BaseHead.loss_by_feat, BaseHead.predict_by_feat))
        import textxfer_mm.register
        print(before == (BaseHead.loss_by_feat, BaseHead.predict_by_feat))
    """)
    assert printed.split() == ['True', 'False']


def test_importing_the_package_does_nothing_and_registering_is_one_line():
    printed = run("""
        import sys
        import textxfer_mm
        print(sorted(name for name in sys.modules if name.startswith('textxfer_mm')), 'torch' in sys.modules)
        import textxfer_mm.register
        from mmengine.registry import HOOKS, MODELS, OPTIM_WRAPPERS, TRANSFORMS
        print(all((MODELS.get('TextEmbeddingHead'), HOOKS.get('EpochSeedHook'), TRANSFORMS.get('TolerantDecode'))))
        textxfer_mm.register_all_modules()
        import logging
        print(len(logging.getLogger('textxfer_mm').handlers))
    """)
    assert printed.splitlines() == ["['textxfer_mm', 'textxfer_mm.version'] False", 'True', '1']


def test_registering_loads_no_library_that_hardly_any_run_uses():
    loaded = run("""
        import sys
        import textxfer_mm.register
        unused = ('transformers', 'sentence_transformers', 'sklearn', 'pandas', 'scipy.stats', 'mmpretrain.models',
                  'torch._dynamo', 'torch.distributed.fsdp', 'matplotlib.pyplot')
        print([name for name in unused if name in sys.modules])
    """)
    assert loaded.strip() == '[]'
