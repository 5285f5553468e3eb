"""Each repair: it cures its cause, and does nothing where the cause is absent."""

import importlib.abc
import importlib.util
import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from torch import nn

from textxfer_mm import compat, compat_distributed

ROOT = Path(__file__).parents[1]


def run(code, folder=None):
    """Run code in a fresh interpreter, in a folder, in which only the repairs are loaded."""
    head = 'import sys\nfrom textxfer_mm import compat\n'
    done = subprocess.run(
        [sys.executable, '-c', head + textwrap.dedent(code)],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_stock_models_import_without_a_warning_and_without_heavy_imports():
    done = run("""
        compat.apply()
        assert 'mmaction.models' not in sys.modules
        assert 'transformers.modeling_utils' not in sys.modules
        meta_path = list(sys.meta_path)
        compat._applied = False
        compat.apply()  # a second time: nothing is repaired twice
        assert sys.meta_path == meta_path
        import mmaction.models, mmaction.datasets, mmpretrain.models
        from mmaction.models.localizers.drn.drn import DRN
    """)
    assert 'MultiScaleDeformableAttention' not in done.stderr


def test_drn_stand_in_says_what_is_missing(monkeypatch, tmp_path):
    name = 'mmaction.models.localizers.drn'
    for module in (name, f'{name}.drn'):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(compat, '_package_dir', lambda package: tmp_path)
    compat.provide_missing_drn()
    with pytest.raises(ImportError, match='DRN is missing from the released wheel'):
        sys.modules[f'{name}.drn'].DRN(backbone=None)


@pytest.mark.parametrize('installed', [False, True])
def test_drn_is_left_alone(monkeypatch, tmp_path, installed):
    name = 'mmaction.models.localizers.drn'
    for module in (name, f'{name}.drn'):
        monkeypatch.delitem(sys.modules, module, raising=False)
    if installed:
        (tmp_path / 'models' / 'localizers' / 'drn').mkdir(parents=True)
    monkeypatch.setattr(compat, '_package_dir', lambda package: tmp_path if installed else None)
    compat.provide_missing_drn()
    assert name not in sys.modules


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('from .pytorch_utils import apply_chunking_to_forward', True),
        ('def something_else(): ...', False),
        (None, True),  # transformers is not installed
    ],
)
@pytest.mark.parametrize('package', ['mmaction', 'mmpretrain'])
def test_multimodal_models_are_switched_off_only_where_transformers_is_too_new(
    monkeypatch, tmp_path, package, source, expected
):
    folders = {package: tmp_path, 'transformers': tmp_path if source else None}
    (tmp_path / 'modeling_utils.py').write_text(source or '')
    monkeypatch.setattr(compat, '_package_dir', folders.__getitem__)
    dependency = importlib.import_module(f'{package}.utils.dependency')
    monkeypatch.setattr(dependency, 'WITH_MULTIMODAL', True)
    compat.disable_broken_multimodal(package)
    assert expected is dependency.WITH_MULTIMODAL


def test_functional_tensor_is_provided_on_demand():
    name = 'torchvision.transforms.functional_tensor'
    module, successor = map(importlib.import_module, (name, 'torchvision.transforms._functional_tensor'))
    assert module.adjust_brightness is successor.adjust_brightness
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('torchvision.transforms.no_such_module')


def test_a_real_functional_tensor_wins():
    out = run("""
        import importlib, importlib.abc, importlib.util
        name = 'torchvision.transforms.functional_tensor'
        class Real(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, fullname, path=None, target=None):
                return importlib.util.spec_from_loader(fullname, self) if fullname == name else None
            def exec_module(self, module):
                module.real = True
        sys.meta_path.append(Real())
        compat.provide_functional_tensor()
        print(importlib.import_module(name).real)
    """)
    assert out.stdout.strip() == 'True'


def test_mmcv_lite_warning_is_filtered_and_others_are_not():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        compat.hide_mmcv_lite_warning()
        warnings.warn('Fail to import ``MultiScaleDeformableAttention`` from ``mmcv.ops``')
        warnings.warn('Fail to import something else')
    assert [str(warning.message) for warning in caught] == ['Fail to import something else']


def test_bases_of_mmaction_show_no_warning_of_pkg_resources(tmp_path):
    """MMEngine imports it for each such base, and the warning comes with the import; others are still shown."""
    (tmp_path / 'mine.py').write_text("_base_ = ['mmaction::_base_/schedules/sgd_50e.py']\n")
    code = """
        import warnings
        compat.apply()
        from mmengine.config import Config
        Config.fromfile('mine.py')
        warnings.warn('pkg_resources is something else')
    """
    done = run(code, tmp_path)
    assert 'deprecated as an API' not in done.stdout + done.stderr
    assert 'pkg_resources is something else' in done.stderr


def test_decoding_prints_no_notice_about_file_client():
    done = run("""
        compat.apply()
        from mmengine.fileio import FileClient
        FileClient('disk')
    """)
    assert 'FileClient' not in done.stdout + done.stderr


def test_configs_of_any_folder_may_name_our_bases(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = ['textxfer_mm::_base_/default_runtime.py']\nlog_level = 'ERROR'\n")
    run(
        """
        compat.apply()
        from mmengine.config import Config
        cfg = Config.fromfile('mine.py')
        assert cfg.default_scope == 'mmaction'
        assert '_scope_' not in str(cfg.to_dict())
        assert cfg.log_level == 'ERROR'
        """,
        folder=tmp_path,
    )


class TestWeightsOnly:
    def round_trip(self, value, tmp_path):
        torch.save(value, tmp_path / 'x.pth')
        return torch.load(tmp_path / 'x.pth', weights_only=True)

    def test_what_the_runner_saves(self, tmp_path):
        history = HistoryBuffer([1.0, 2.0], [1, 1])
        loaded = self.round_trip(dict(loss=history, lr=np.float64(0.1), step=np.int64(3)), tmp_path)
        assert loaded['loss'].mean() == history.mean()
        assert loaded['loss'].statistics('max') == 2.0
        assert (loaded['lr'], loaded['step']) == (0.1, 3)

    @pytest.mark.parametrize('dtype', ['float64', 'float32', 'float16', 'int64', 'int32', 'uint8', 'bool'])
    def test_arrays(self, tmp_path, dtype):
        array = np.ones((2, 3), dtype)
        loaded = self.round_trip(array, tmp_path)
        assert loaded.dtype == array.dtype
        np.testing.assert_array_equal(loaded, array)

    def test_one_cycle_schedule(self, tmp_path):
        optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
        schedule = OneCycleParamScheduler(optimizer, 'lr', eta_max=1.0, total_steps=10)
        assert self.round_trip(schedule.state_dict(), tmp_path).keys() == schedule.state_dict().keys()

    def test_calling_a_function_is_refused(self, tmp_path):
        class Hostile:
            def __reduce__(self):
                import os

                return os.system, (f'touch {tmp_path}/harmed',)

        with pytest.raises(pickle.UnpicklingError, match='system'):
            self.round_trip(dict(state_dict={}, meta=Hostile()), tmp_path)
        assert not (tmp_path / 'harmed').exists()

    @pytest.mark.parametrize(
        ('owner', 'name'),
        [
            (HistoryBuffer, '__init__'),
            (HistoryBuffer, '__subclasses__'),
            (HistoryBuffer, 'statistics'),
            (np.ndarray, 'tofile'),
            (np.ndarray, 'min'),
            (OneCycleParamScheduler, 'min'),
        ],
    )
    def test_walking_attributes_is_refused(self, tmp_path, owner, name):
        """The real getattr would reach ``HistoryBuffer.__init__.__globals__['os']`` and with it any function."""

        class Walk:
            def __reduce__(self):
                return getattr, (owner, name)

        with pytest.raises(pickle.UnpicklingError, match=r'getattr\(.*not allowed in a checkpoint'):
            self.round_trip(Walk(), tmp_path)

    def test_unhashable_owners_are_refused_as_well(self):
        with pytest.raises(pickle.UnpicklingError, match='not allowed in a checkpoint'):
            compat._checkpoint_getattr([], 'append')

    def test_downloads(self):
        from mmengine.runner import checkpoint

        assert checkpoint.load_url.keywords['weights_only'] is True
        released = checkpoint.load_url
        compat.restrict_downloads()
        assert checkpoint.load_url is released


class TestDistributedCpu:
    def test_starting_a_group_needs_no_gpu(self, monkeypatch):
        import mmengine.device

        monkeypatch.setattr(mmengine.device, 'get_device', lambda: 'cpu')
        monkeypatch.setattr(torch.cuda, 'set_device', lambda device: pytest.fail('a CUDA call without a GPU'))
        calls = []

        def start(backend, **kwargs):
            torch.cuda.set_device(0)
            calls.append((backend, kwargs))

        started = compat_distributed._starting_without_gpu(start)
        started('nccl', timeout=3)
        started('gloo')
        assert calls == [('gloo', dict(timeout=3)), ('gloo', {})]

    def test_with_a_gpu_it_runs_as_released(self, monkeypatch):
        import mmengine.device

        monkeypatch.setattr(mmengine.device, 'get_device', lambda: 'cuda')
        calls = []
        monkeypatch.setattr(torch.cuda, 'set_device', calls.append)

        def start(backend):
            torch.cuda.set_device(1)
            calls.append(backend)

        compat_distributed._starting_without_gpu(start)('nccl')
        assert calls == [1, 'nccl']

    def test_all_launchers_are_repaired_once(self):
        import mmengine.dist.utils as dist_utils

        before = [getattr(dist_utils, f'_init_dist_{name}') for name in ('pytorch', 'mpi', 'slurm')]
        assert all(hasattr(function, '__wrapped__') for function in before)
        compat_distributed.allow_distributed_cpu()
        assert before == [getattr(dist_utils, f'_init_dist_{name}') for name in ('pytorch', 'mpi', 'slurm')]

    def test_ddp_takes_a_module_on_the_cpu(self, tmp_path):
        from mmengine.model import MMDistributedDataParallel
        from torch import distributed

        distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
        try:
            wrapped = MMDistributedDataParallel(module=nn.Linear(2, 2), device_ids=[0], broadcast_buffers=False)
            assert wrapped.device_ids is None
        finally:
            compat.close_process_group()
        assert not distributed.is_initialized()


def test_stock_heads_score_in_bfloat16():
    from mmaction.models.heads import TSNHead
    from mmaction.structures import ActionDataSample

    head = TSNHead(num_classes=3, in_channels=4, average_clips='prob')
    samples = [ActionDataSample().set_gt_label(label) for label in (0, 2)]
    scores = torch.randn(2, 3)
    expected = head.loss_by_feat(scores.bfloat16().float(), samples)
    for key, value in head.loss_by_feat(scores.bfloat16(), samples).items():
        torch.testing.assert_close(value, expected[key])
    assert head.predict_by_feat(scores.bfloat16(), samples)[0].pred_score.dtype == torch.float32
    assert head.predict_by_feat(scores.double(), samples)[0].pred_score.dtype == torch.float64


def test_closing_without_a_group_does_nothing():
    assert not torch.distributed.is_initialized()
    compat.close_process_group()
    compat.close_process_group(wait=False)
    assert not torch.distributed.is_initialized()


def test_packages_are_found_without_importing_them(monkeypatch, tmp_path):
    (tmp_path / 'some_package').mkdir()
    (tmp_path / 'some_package' / '__init__.py').write_text('raise RuntimeError')
    monkeypatch.syspath_prepend(tmp_path)
    assert compat._package_dir('some_package') == tmp_path / 'some_package'
    assert compat._package_dir('no_such_package_at_all') is None
    assert 'some_package' not in sys.modules
