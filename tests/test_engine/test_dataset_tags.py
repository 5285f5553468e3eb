"""Datasets of a loader and of the head, by name: what does not fit is known before a run starts."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_runs import run_config, write_video

import textxfer_mm.register  # noqa: F401
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.engine.metric_checks import check_metrics
from textxfer_mm.errors import UserError

ALL = ('train', 'val', 'test')
ODD = 'odd. name'


def heads(one=4, two=5, loss='bce'):
    """``datasets`` of a head of two."""
    return {'k': dict(num_classes=one), ODD: dict(num_classes=two, loss=loss)}


@pytest.fixture
def make(tmp_path):
    """A config over two lists: labels 0 to 3, and one or two of 0 to 4."""
    init_default_scope('mmaction')
    write_video(tmp_path / 'a.mp4')
    (tmp_path / 'one.txt').write_text(''.join(f'a.mp4 {index % 4}\n' for index in range(8)))
    (tmp_path / 'two.txt').write_text('a.mp4 0 4\na.mp4 1\n')

    def make(*, head=None, names=('k', ODD), classes=None, save_best='mean/main', several=True, **head_options):
        cfg = Config(run_config(tmp_path / 'one.txt', tmp_path / 'run'))
        known = heads() if head is None else head
        cfg.model.cls_head = dict(type='MultiDatasetHead', in_channels=256, datasets=known, **head_options)
        for phase in ALL:
            loader = cfg[f'{phase}_dataloader']
            one, two = dict(loader.dataset), dict(loader.dataset, ann_file=str(tmp_path / 'two.txt'))
            two.update(multi_class=several, num_classes=5)
            pairs = zip(names, (one, two), strict=True)
            parts = [dict(type='TaggedDataset', name=name, dataset=each) for name, each in pairs]
            parts[0]['class_names'] = classes
            loader.dataset = dict(type='MultiDataset', datasets=parts)
        cfg.val_evaluator = cfg.test_evaluator = dict(type='MultiDatasetMetric')
        cfg.default_hooks.checkpoint.update(save_best=save_best, rule='greater')
        return cfg

    return make


def check(cfg):
    check_datasets(cfg, ALL)
    check_metrics(cfg, ALL)


@pytest.mark.parametrize('save_best', ['auto', 'k/top1', 'odd. name/mAP', 'mean/top5', 'mean/mAP', 'mean/main'])
def test_what_fits(make, save_best):
    check(make(save_best=save_best, classes=['a', 'b', 'c', 'd']))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(names=('k4', ODD)), "train_dataloader has the dataset 'k4', for which the head has no classifier"),
        (dict(head=heads(3)), r'line 4 .*label 3 is out'),
        (dict(head=heads(4, 4)), r'line 1 .*label 4 is out'),
        (dict(head=heads(4, 6)), 'give num_classes, 6 as'),
        (dict(head=heads(loss='ce')), "several labels a video.*loss='bce'"),
        (dict(head={**heads(), 'k': dict(num_classes=4, loss='bce')}), "list of 'k' has one label a video.*loss='ce'"),
        (dict(classes=['a', 'b', 'c']), "'k' of train_dataloader has 3 classes and its classifier 4"),
        (
            dict(classes=['a', 'b', 'd', 'c'], head={**heads(), 'k': dict(class_names=['a', 'b', 'c', 'd'])}),
            "same 4 classes in another order; they part at label 2: 'd' and 'c'",
        ),
        (dict(save_best='mean/top2'), "save_best='mean/top2' .*Did you mean: mean/top5, mean/top1"),
        (dict(save_best='q/top1'), "save_best='q/top1'"),
    ],
)
def test_what_does_not(make, options, message):
    with pytest.raises(UserError, match=message):
        check(make(**options))


def test_a_loader_without_names(make):
    cfg = make()
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.datasets[0].dataset
    with pytest.raises(UserError, match='The head tells 2 datasets by name, and those of train_dataloader have none'):
        check(cfg)


def test_a_dataset_that_was_never_trained_on_is_predicted_as_another(make):
    cfg = make(predict_as='k')
    cfg.test_dataloader.dataset.datasets[0].name = 'new'
    check_datasets(cfg, ('test',))
    cfg.model.cls_head.pop('predict_as')
    with pytest.raises(UserError, match="'new', for which the head has no classifier"):
        check_datasets(cfg, ('test',))
