"""A run that has diverged stops with one message, and nothing of it is kept."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner, load_checkpoint
from tiny_runs import run_config, write_dataset
from torch import nn

from textxfer_mm.apis import load_recognizer, predict_videos
from textxfer_mm.apis.scoring import score_videos
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully
from textxfer_mm.engine.finite import is_finite, non_finite_names
from textxfer_mm.engine.hooks import FiniteLossHook
from textxfer_mm.engine.runners import build_runner
from textxfer_mm.errors import UserError

NAN, INF = float('nan'), float('inf')


@pytest.fixture
def cfg(tmp_path):
    cfg = Config(run_config(write_dataset(tmp_path / 'videos', good=8), tmp_path / 'run', epochs=3))
    cfg.train_cfg.val_interval = 1
    cfg.default_hooks.checkpoint.update(save_best='acc/top1', rule='greater')
    cfg.experiment_name = str(tmp_path)
    return cfg


class Poison(Hook):
    """Puts NaN into a weight before an iteration; the loss follows."""

    def __init__(self, at):
        self.at = at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            runner.model.cls_head.fc_cls.weight.data[0, 0] = NAN


def checkpoints(tmp_path):
    return sorted(path.name for path in (tmp_path / 'run').glob('*.pth'))


class TestTraining:
    def test_it_stops_after_a_few_steps(self, cfg, tmp_path):
        runner = build_runner(cfg)
        runner.register_hook(Poison(at=4))
        with pytest.raises(UserError) as stop:
            runner.train()
        message = str(stop.value)
        assert message.startswith(
            'Training has diverged: the loss of 3 steps in a row is not finite. It began at epoch 2, '
        )
        assert 'iteration 5, at a learning rate of 0.01.' in message
        assert '--cfg-options optim_wrapper.optimizer.lr=0.001' in message
        logged = next(tmp_path.glob('run/*/vis_data/scalars.json')).read_text().splitlines()
        losses = [json.loads(line, parse_constant=pytest.fail)['loss'] for line in logged if '"lr"' in line]
        assert [loss is None for loss in losses] == [False] * 4 + [True] * 3
        assert runner.iter == 6  # the third of the steps that began with the fifth
        assert checkpoints(tmp_path) == ['best_acc_top1_epoch_1.pth', 'epoch_1.pth']

    def test_weights_that_diverge_in_the_last_step_of_an_epoch_are_not_saved(self, cfg, tmp_path):
        runner = build_runner(cfg)
        runner.register_hook(Poison(at=7))
        with pytest.raises(UserError, match=r'the weights are not finite \(backbone.*epoch 2, iteration 8'):
            runner.train()
        names = checkpoints(tmp_path)
        assert names == ['best_acc_top1_epoch_1.pth', 'epoch_1.pth']
        assert not any(non_finite_names(load_checkpoint_file(tmp_path / 'run' / name)['state_dict']) for name in names)

    def test_an_average_that_diverged_is_not_saved(self, cfg, tmp_path):
        cfg.custom_hooks.append(dict(type='EMAHook'))
        runner = build_runner(cfg)
        runner.register_hook(Poison(at=3))
        with pytest.raises(UserError, match='the weights are not finite'):
            runner.train()
        assert checkpoints(tmp_path) == []

    def test_a_run_that_saves_nothing_does_not_end_well_either(self, cfg):
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=-1, save_last=False)
        cfg.train_cfg.max_epochs, cfg.val_cfg, cfg.val_dataloader, cfg.val_evaluator = 1, None, None, None
        runner = build_runner(cfg)
        runner.register_hook(Poison(at=3))
        with pytest.raises(UserError, match='the loss of the last 1 steps is not finite'):
            runner.train()

    def test_the_hook_of_a_config_is_the_one(self, cfg):
        cfg.custom_hooks.append(dict(type='FiniteLossHook', max_steps=7))
        (hook,) = [hook for hook in build_runner(cfg).hooks if isinstance(hook, FiniteLossHook)]
        assert hook.max_steps == 7


class TestCounting:
    """The hook on a stand-in of a runner, whose optimizer wrapper may have a loss scaler."""

    def feed(self, losses, *, scaler=False, weight=1.0, **kwargs):
        model = nn.Linear(1, 1)
        nn.init.constant_(model.weight, weight)
        wrapper = SimpleNamespace(get_lr=lambda: dict(lr=[0.1]), **(dict(loss_scaler=object()) if scaler else {}))
        logger = SimpleNamespace(warning=lambda *_: None)
        runner = SimpleNamespace(
            model=model, optim_wrapper=wrapper, epoch=0, iter=0, logger=logger, cfg={}, work_dir='run'
        )
        hook = FiniteLossHook(**kwargs)
        for runner.iter, loss in enumerate(losses):
            try:
                hook.after_train_iter(runner, 0, outputs=dict(loss=torch.tensor(loss), loss_cls=torch.tensor(1.0)))
            except UserError:
                return runner.iter
        return None

    def test_only_steps_in_a_row_count(self):
        assert self.feed([NAN, INF, 1, NAN, NAN, 1]) is None
        assert self.feed([1, NAN, INF, -INF]) == 3
        assert self.feed([NAN] * 3, max_steps=1) == 0

    def test_a_scaler_that_leaves_steps_out_has_patience(self):
        assert self.feed([INF] * 20 + [1], scaler=True) is None
        assert self.feed([INF] * 40, scaler=True) == 29
        assert self.feed([INF] * 20, scaler=True, weight=NAN) == 2

    def test_other_outputs_do_not_count(self):
        hook = FiniteLossHook(max_steps=1)
        hook.after_train_iter(None, 0, outputs=dict(loss=torch.tensor(1.0), top1_acc=torch.tensor(NAN)))
        hook.after_train_iter(None, 0, outputs=None)


class TestTesting:
    def test_scores_that_are_not_finite_give_no_number(self, cfg, capsys):
        cfg.model.cls_head.update(average_clips='score')
        runner = build_runner(cfg)
        nn.init.constant_(runner.model.cls_head.fc_cls.bias, INF)
        with pytest.raises(UserError, match='scores that are not finite for video 1 of batch 1, so there is no result'):
            runner.test()

    def test_neither_do_those_of_the_library(self, cfg, tmp_path):
        cfg.test_pipeline = cfg.test_dataloader.dataset.pipeline
        model = load_recognizer(cfg)
        nn.init.constant_(model.cls_head.fc_cls.bias, INF)
        video = tmp_path / 'videos' / 'good0.mp4'
        with pytest.raises(UserError, match=r'scores that are not finite for .*good0\.mp4, so there is no result'):
            list(predict_videos(model, [video]))
        with pytest.raises(UserError, match='scores that are not finite for a video of the list'):
            score_videos(model, cfg.test_dataloader)

    @pytest.mark.parametrize('value', [NAN, INF])
    def test_such_weights_are_not_loaded(self, tmp_path, value):
        model = nn.Linear(2, 2)
        state = {key: torch.full_like(tensor, value) for key, tensor in model.state_dict().items()}
        torch.save(dict(state_dict=state), tmp_path / 'a.pth')
        for load in (
            lambda: load_checkpoint(model, str(tmp_path / 'a.pth')),
            lambda: load_fully(model, state, 'a.pth'),
        ):
            with pytest.raises(UserError, match=r'a\.pth holds weights that are not finite \(weight, bias\)'):
                load()
        assert non_finite_names(model.state_dict()) == []

    def test_a_mask_may_hold_minus_infinity(self):
        assert is_finite(torch.full((3, 3), -INF).triu(1))
        assert not is_finite(torch.tensor(-INF))
        assert not is_finite(torch.tensor([[1.0, INF]]))
        assert not is_finite(torch.tensor([[-INF, NAN]]))
        assert not is_finite(torch.tensor([[-INF, 1.0]]))
        assert not is_finite(torch.full((2, 2), -INF))
        assert is_finite(torch.tensor([1, 2]))


def test_a_stock_runner_without_the_hook_keeps_nan_as_the_best(cfg, tmp_path):
    """What the hook is for, and that the tests above can fail."""
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Poison(at=0))
    runner.train()
    best = [name for name in checkpoints(tmp_path) if name.startswith('best')]
    assert any(non_finite_names(load_checkpoint_file(tmp_path / 'run' / name)['state_dict']) for name in best)
