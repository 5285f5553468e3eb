"""Accuracy on several datasets in one pass: as ``AccMetric`` on each alone, and the mean over them."""

import numpy as np
import pytest
import torch
from mmaction.evaluation import AccMetric
from mmaction.structures import ActionDataSample
from mmengine.evaluator import Evaluator
from multi_dataset_runs import CLASSES, EVALUATED, evaluate, scores_of, several

from textxfer_mm.engine.multi_dataset_metric import MultiDatasetMetric
from textxfer_mm.errors import UserError


def predictions(dataset):
    """What a model would give, sample by sample."""
    for index in range(len(dataset)):
        one = dataset[index]['data_samples']
        yield one.set_pred_score(scores_of(one.dataset_name, one.index))


def alone(dataset, name, metric):
    """The numbers of the stock metric on one of the datasets."""
    chosen = [one for one in predictions(dataset) if one.dataset_name == name]
    evaluator = Evaluator(AccMetric(metric_list=(metric,)))
    evaluator.process(data_samples=chosen)
    return evaluator.evaluate(len(chosen))


def test_each_dataset_as_the_stock_metric_and_the_mean():
    dataset, numbers = several(**EVALUATED), evaluate()
    for name in 'ab':
        stock = alone(dataset, name, 'top_k_accuracy')
        assert {key: numbers[f'{name}/{key}'] for key in ('top1', 'top5')} == {
            key: stock[f'acc/{key}'] for key in ('top1', 'top5')
        }
    stock = alone(dataset, 'c', 'mean_average_precision')
    assert numbers['c/mAP'] == pytest.approx(stock['acc/mean_average_precision'])
    assert numbers['mean/top1'] == pytest.approx((numbers['a/top1'] + numbers['b/top1']) / 2)
    assert numbers['mean/top5'] == pytest.approx((numbers['a/top5'] + numbers['b/top5']) / 2)
    assert numbers['mean/mAP'] == numbers['c/mAP']
    assert numbers['mean/main'] == pytest.approx((numbers['a/top1'] + numbers['b/top1'] + numbers['c/mAP']) / 3)
    assert list(numbers) == [
        *('a/top1', 'a/top5', 'b/top1', 'b/top5', 'c/mAP'),
        *('mean/top1', 'mean/top5', 'mean/mAP', 'mean/main'),
    ]


def test_naive_numbers_and_every_dataset_counts_alike():
    """Three right of four, and none of one: the mean over the videos would be 0.6."""
    metric = MultiDatasetMetric(topk=1)
    metric.process({}, [prediction('a', [0.1, 0.9], 1)] * 3 + [prediction('a', [0.1, 0.9], 0)])
    metric.process({}, [prediction('b', [0.5, 0.2, 0.3], 2)])
    assert metric.evaluate(5) == {'a/top1': 0.75, 'b/top1': 0.0, 'mean/top1': 0.375}


def test_it_needs_no_prefix(monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.evaluator.metric.print_log', lambda message, **_: said.append(message))
    MultiDatasetMetric()
    assert not said


def prediction(name, scores, label):
    sample = ActionDataSample().set_pred_score(torch.tensor(scores)).set_gt_label(torch.tensor(label))
    if name is not None:
        sample.set_metainfo(dict(dataset_name=name))
    return sample.to_dict()


def test_names_may_be_anything_and_scores_half_precision():
    metric = MultiDatasetMetric(prefix='val')
    one = prediction('keys.of/the day', [0.1, 0.9], 1)
    metric.process({}, [{**one, 'pred_score': one['pred_score'].bfloat16()}])
    assert metric.evaluate(1)['val/keys.of/the day/top1'] == 1.0


def test_what_is_repeated_at_the_end_does_not_count():
    metric = MultiDatasetMetric(topk=[1])
    metric.process({}, [prediction('a', [0.1, 0.9], 1), prediction('b', [0.1, 0.9], 0), prediction('a', [1.0, 0.0], 1)])
    assert metric.evaluate(2) == {'a/top1': 1.0, 'b/top1': 0.0, 'mean/top1': 0.5}


@pytest.mark.parametrize(
    ('samples', 'message'),
    [
        ([(None, [0.1, 0.9], 1)], 'a sample has no dataset_name; put the dataset into TaggedDataset'),
        ([('mean', [0.1, 0.9], 1)], "a dataset is called 'mean', as the mean over all is"),
        (
            [('a', [0.1, 0.9], 1), ('a', [0.1, 0.9, 0.0], 1)],
            "'a' disagree: scores and labels of 2, 3 classes",
        ),
        ([('a', [0.1, 0.9], 1), ('a', [0.1, 0.9], [0.0, 1.0])], 'one label and several'),
        ([('a', [0.1, 0.9], [0.0, 1.0, 1.0])], 'of 2, 3 classes, one kind of label'),
        ([('a', [0.1, 0.9], 2), ('a', [0.1, 0.9], -1)], "2 of 2 labels of 'a' are none of its 2 classes: -1, 2"),
        ([('a', [0.1, 0.9], [0.0, 0.0])], "no video of 'a' has a label, so there is no mAP"),
    ],
)
def test_mistakes(samples, message):
    def evaluate():
        metric = MultiDatasetMetric()
        metric.process({}, [prediction(*one) for one in samples])
        metric.evaluate(len(samples))

    with np.errstate(all='ignore'), pytest.raises(UserError, match=message):
        evaluate()


@pytest.mark.parametrize('topk', [0, (1, 0), (), (1.5,), True])
def test_wrong_topk(topk):
    with pytest.raises(UserError, match='topk are whole numbers from 1 on'):
        MultiDatasetMetric(topk)


def test_the_datasets_of_the_test_have_other_classes():
    assert len(set(CLASSES.values())) == 3
