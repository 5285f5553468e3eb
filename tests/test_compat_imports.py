"""Imports that wait: what they postpone is the real thing as soon as it is used."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from textxfer_mm import compat_imports

ROOT = Path(__file__).parents[1]

#: A library, a module that uses it in one function, and one that derives its only class from it.
FILES = {
    'biglib/__init__.py': "__version__ = '2'\nimport biglib.inner\n",
    'biglib/inner.py': 'def double(x): return 2 * x\n'
    'class Base:\n    size = 3\n    def __init__(self, x=1): self.x = x\n',
    'user/__init__.py': 'from user.function import *\nfrom user.derived import Derived\n',
    'user/function.py': 'import biglib\nfrom biglib.inner import Base, double\n'
    'def twice(x): return double(x)\ndef is_base(x): return isinstance(x, Base)\n',
    'user/derived.py': 'from biglib.inner import Base\nfrom user.registry import MODELS\n'
    '@MODELS.register_module()\nclass Derived(Base):\n    """Real."""\n    other = 5\n',
    'user/registry.py': "from mmengine.registry import Registry\nMODELS = Registry('things')\n",
}


def run(code, folder=None):
    """Run code in a fresh interpreter in which nothing but the finder is set up."""
    head = """
        import sys
        from textxfer_mm import compat_imports
        compat_imports.LIBRARIES['user.function'] = ('biglib', 'biglib.inner')
        compat_imports.CLASSES['user.derived'] = ('Derived', 'user.registry.MODELS')
        compat_imports.postpone_imports()
        compat_imports.postpone_imports()
        def loaded(name): return name in sys.modules
    """
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(head) + textwrap.dedent(code)],
        env={**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{folder or ""}'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    """Write the library and its user."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    'use',
    [
        'assert user.twice(4) == 8',
        'assert user.Derived(7).x == 7',
        'assert user.Derived.other == 5 and user.Derived.size == 3',
        "assert user.MODELS.build(dict(type='Derived', x=9)).x == 9",
        'class Mine(user.Derived):\n    def __init__(self): super().__init__(4)\nassert Mine().x == 4',
        'import abc\nclass Mine(abc.ABC, user.Derived): pass\nassert Mine(4).other == 5',
        "import inspect; assert 'x' in inspect.signature(user.Derived).parameters",
        "assert user.biglib.__version__ == '2'",
        'import user.derived; assert user.derived.Derived(3).x == 3',
    ],
)
def test_the_first_use_brings_in_the_real_thing(folder, use):
    code = f"""
import user
from user.registry import MODELS
user.MODELS = MODELS
assert not loaded('biglib') and 'Derived' in MODELS
{use}
assert loaded('biglib') and MODELS.get('Derived')(5).x == 5
from biglib.inner import Base, double
assert issubclass(user.Derived, Base) and isinstance(user.Derived(), Base)
assert isinstance(user.Derived(), user.Derived) and user.is_base(user.Derived()) and not user.is_base(3)
assert MODELS.get('Derived') is user.Derived is sys.modules['user.derived'].Derived and user.Derived.__doc__ == 'Real.'
"""
    run(code, folder)


def test_asking_whether_something_is_an_instance_imports_nothing(folder):
    run(
        """
        import user
        assert not user.is_base(3) and not isinstance(3, user.Derived) and not issubclass(int, user.Derived)
        assert issubclass(user.Derived, user.Derived)
        assert not loaded('biglib')
        """,
        folder,
    )


def test_a_library_that_is_there_is_used_as_it_is(folder):
    run(
        """
        import biglib.inner, user
        assert vars(sys.modules['user.function'])['double'] is biglib.inner.double
        """,
        folder,
    )


def test_a_library_that_is_not_installed_is_missed_as_before(folder):
    for file in folder.glob('biglib/*'):
        file.unlink()
    (folder / 'biglib').rmdir()
    run(
        """
        try:
            import user.function
        except ModuleNotFoundError as error:
            assert error.name == 'biglib'
        else:
            raise AssertionError
        """,
        folder,
    )


def test_a_use_that_fails_can_be_tried_again(folder):
    run(
        """
        import user
        from user.registry import MODELS
        sys.modules['biglib.inner'] = None
        for _ in range(2):
            try:
                MODELS.build(dict(type='Derived'))
            except ImportError as error:
                assert 'biglib.inner' in str(error)
            else:
                raise AssertionError
        del sys.modules['biglib.inner']
        assert MODELS.build(dict(type='Derived')).x == 1
        """,
        folder,
    )


def test_a_name_that_the_library_lacks_is_missed_when_it_is_used(folder):
    (folder / 'user/function.py').write_text('from biglib.inner import triple\n')
    run(
        """
        import user.function
        try:
            user.function.triple(1)
        except ImportError as error:
            assert str(error) == "cannot import name 'triple' from 'biglib.inner'"
        else:
            raise AssertionError
        """,
        folder,
    )


def test_a_decorator_waits_for_the_first_call():
    calls = []

    def decorator(function):
        calls.append(function.__name__)
        return lambda x: function(x) + 1

    @compat_imports._decorating_at_use(decorator)
    def ten_times(x):
        """Say what it does."""
        return 10 * x

    assert (calls, ten_times.__doc__) == ([], 'Say what it does.')
    assert [ten_times(1), ten_times(2)] == [11, 21]
    assert calls == ['ten_times']


def test_what_stock_classes_need_is_there_when_they_are_used():
    """Every entry of the tables, with the installed releases."""
    run("""
        import numpy as np, torch
        import textxfer_mm.register
        from mmengine.registry import MODEL_WRAPPERS, OPTIMIZERS
        from mmengine._strategy import FSDPStrategy
        from mmaction.registry import MODELS
        from mmaction.datasets.transforms import pose_transforms
        for name in ('mmpretrain.models', 'scipy.stats', 'transformers', 'torch._dynamo', 'torch.distributed.fsdp'):
            assert not loaded(name), name

        model = MODELS.build(dict(type='MobileOneTSM', arch='s0', num_segments=2))
        from mmpretrain.models import MobileOne
        assert isinstance(model, MobileOne) and loaded('mmpretrain.models')
        assert len(model(torch.zeros(2, 3, 32, 32))) in (1, 2)

        assert pose_transforms.get_mode(np.array([1, 2, 2]))[0] == 2 and loaded('scipy.stats')

        import torchvision
        boxes = torch.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]])
        assert torchvision.ops.roi_align(torch.ones(1, 1, 4, 4), boxes, 2).shape == (1, 1, 2, 2)

        weights = [torch.nn.Parameter(torch.ones(2))]
        adafactor = OPTIMIZERS.build(dict(type='Adafactor', params=weights))
        from transformers import Adafactor
        assert isinstance(adafactor, Adafactor)

        from torch.distributed.fsdp import FullyShardedDataParallel
        from torch.distributed.optim import ZeroRedundancyOptimizer
        assert callable(MODEL_WRAPPERS.get('MMFullyShardedDataParallel').train_step)
        assert callable(OPTIMIZERS.get('ZeroRedundancyOptimizer').step)
        assert issubclass(MODEL_WRAPPERS.get('MMFullyShardedDataParallel'), FullyShardedDataParallel)
        assert issubclass(OPTIMIZERS.get('ZeroRedundancyOptimizer'), ZeroRedundancyOptimizer)
        assert callable(FSDPStrategy.prepare) and FSDPStrategy.__mro__[1].__name__ == 'DDPStrategy'

        import open_clip, timm
        from open_clip.coca_model import GENERATION_TYPES
        from open_clip.hf_model import PretrainedConfig, AutoModel
        import transformers
        assert AutoModel.from_config is not None and isinstance(transformers.BertConfig(), PretrainedConfig)
        assert timm.create_model('test_vit').eval()(torch.zeros(1, 3, 160, 160)).shape == (1, 1000)
    """)
