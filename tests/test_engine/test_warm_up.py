"""A warm-up of one iteration, which never ends."""

import pytest
from mmengine.config import Config
from tiny_runs import run_config, write_dataset

import textxfer_mm.register  # noqa: F401
from textxfer_mm.engine.runners import build_runner


@pytest.mark.parametrize(('good', 'is_told'), [(2, True), (6, False)])
def test_a_warm_up_that_leaves_the_rate_at_its_start_is_told(tmp_path, good, is_told):
    cfg = Config(run_config(write_dataset(tmp_path / 'videos', good=good), tmp_path / 'run', epochs=2))
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    warm_up = dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=1, convert_to_iter_based=True)
    cfg.param_scheduler = [warm_up]
    cfg.experiment_name = tmp_path.name
    runner = build_runner(cfg)
    runner.train()
    with open(f'{runner.log_dir}/{runner.timestamp}.log') as file:
        assert ('the learning rate stays at 0.01 of what it should become' in file.read()) == is_told
    assert (runner.optim_wrapper.get_lr()['lr'][0] == pytest.approx(0.01)) != is_told
