"""A share of each class: which videos are kept and what a run makes of them."""

import random

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, RepeatDataset
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_runs import run_config, write_dataset

from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.datasets.label_fraction import LabelFractionDataset
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.engine.hooks.corrupt_video import count_videos
from textxfer_mm.errors import UserError
from textxfer_mm.registry import DATASETS

LABELS = [index % 3 for index in range(30)] + [3]  # three classes of ten, one of one


@pytest.fixture
def inner(tmp_path):
    """A stock dataset over a list; its videos are not there, and need not be."""
    init_default_scope('mmaction')
    (tmp_path / 'list.txt').write_text('\n'.join(f'{i}.mp4 {label}' for i, label in enumerate(LABELS)) + '\n')
    return dict(type='VideoDataset', ann_file=str(tmp_path / 'list.txt'), data_prefix=dict(video='v'), pipeline=[])


def names(dataset):
    return [dataset.get_data_info(i)['filename'] for i in range(len(dataset))]


def test_keeps_the_draw_and_nothing_else(inner):
    dataset = DATASETS.build(dict(type='LabelFractionDataset', dataset=inner, fraction=0.3, seed=5))
    drawn = draw_per_class(LABELS, seed=5, fraction=0.3)
    assert len(dataset) == len(drawn) == 3 * 3 + 1
    assert names(dataset) == [f'v/{i}.mp4' for i in drawn]
    assert [dataset.get_data_info(i)['label'] for i in range(len(dataset))] == [LABELS[i] for i in drawn]
    assert [dataset[i]['filename'] for i in range(len(dataset))] == names(dataset)
    assert dataset.metainfo == DATASETS.build(inner).metainfo
    assert count_videos(dataset) == len(drawn)


def test_fractions_are_nested_and_seeds_differ(inner):
    kept = {f: set(names(LabelFractionDataset(inner, f))) for f in (0.1, 0.25, 0.5, 1.0)}
    assert kept[0.1] < kept[0.25] < kept[0.5] < kept[1.0]
    assert len(kept[1.0]) == len(LABELS)
    assert names(LabelFractionDataset(inner, 0.5, seed=1)) != names(LabelFractionDataset(inner, 0.5, seed=0))


def test_the_given_dataset_stays_whole(inner):
    whole = DATASETS.build(inner)
    assert len(LabelFractionDataset(whole, 0.1)) == 4
    assert len(whole) == len(LABELS)


def test_lazy_and_wrapped(inner):
    lazy = LabelFractionDataset(dict(inner, lazy_init=True), 0.1, lazy_init=True)
    assert not lazy._fully_initialized
    assert not lazy.dataset._fully_initialized
    assert len(lazy) == 4
    repeated = RepeatDataset(dict(type='LabelFractionDataset', dataset=inner, fraction=0.1), 3)
    assert names(repeated) == 3 * names(lazy)
    assert count_videos(repeated) == 4


def test_a_replacement_is_drawn_from_the_kept_videos(inner):
    """A corrupt video must not bring in one that the fraction leaves out."""
    corrupt, *others = (f'v/{i}.mp4' for i in draw_per_class(LABELS, seed=0, fraction=0.1))
    undecodable = dict(inner, pipeline=[lambda info: None if info['filename'] == corrupt else info], max_refetch=100)
    dataset = LabelFractionDataset(undecodable, 0.1)
    assert {dataset[0]['filename'] for _ in range(40)} == set(others)


def test_ranks_agree(inner):
    """Whatever the global state of a process, and without communication."""
    kept = []
    for rank in range(2):
        np.random.seed(rank)
        random.seed(rank)
        torch.manual_seed(rank)
        kept.append(names(LabelFractionDataset(inner, 0.3, seed=2)))
    assert kept[0] == kept[1]


def test_a_run_sees_the_fraction_and_the_checks_see_through_it(tmp_path):
    cfg = Config(run_config(write_dataset(tmp_path / 'data', good=8), tmp_path / 'work'))
    cfg.train_dataloader.dataset = dict(
        type='LabelFractionDataset', fraction=0.5, dataset=cfg.train_dataloader.dataset.to_dict()
    )
    check_datasets(cfg, ('train', 'val', 'test'))
    cfg.default_hooks.checkpoint = None
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert len(runner.train_dataloader.dataset) == 4
    assert runner.iter == 2  # batches of two
    cfg.train_dataloader.dataset.dataset.ann_file = str(tmp_path / 'data' / 'lost.txt')
    with pytest.raises(UserError, match=r'lost\.txt of train_dataloader does not exist'):
        check_datasets(cfg, ('train',))
    (tmp_path / 'data' / 'lost.txt').write_text('good0.mp4 7\n')
    with pytest.raises(UserError, match='label 7 is out of range'):
        check_datasets(cfg, ('train',))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(fraction=0), 'above 0 and at most 1; got 0'),
        (dict(fraction=10), 'above 0 and at most 1; got 10'),
        (dict(seed=-1), 'not negative; got -1'),
        (dict(dataset=[1, 2]), 'not list; put other wrappers around LabelFractionDataset'),
    ],
)
def test_mistakes(inner, arguments, message):
    with pytest.raises(UserError, match=message):
        LabelFractionDataset(**{'dataset': inner, 'fraction': 0.5, **arguments})


def test_labels_that_cannot_be_drawn_by(inner, tmp_path):
    (tmp_path / 'list.txt').write_text('a.mp4 0 1\nb.mp4 1\n')
    with pytest.raises(UserError, match='drawn by their one label'):
        LabelFractionDataset(dict(inner, multi_class=True, num_classes=2), 0.5)
    (tmp_path / 'list.json').write_text('{"metainfo": {}, "data_list": [{"img_path": "a.jpg"}]}')
    unlabelled = BaseDataset(str(tmp_path / 'list.json'))
    with pytest.raises(UserError, match=r'BaseDataset has none .*img_path'):
        LabelFractionDataset(unlabelled, 0.5)
