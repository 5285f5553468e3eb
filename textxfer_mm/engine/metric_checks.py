"""What the metrics of a config will report: whether it suits the labels, and what is kept as the best checkpoint."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, DumpResults
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.registry import HOOKS, METRICS, DefaultScope

from textxfer_mm.datasets.tagged import TAG
from textxfer_mm.engine.classes import head_of, num_classes_of
from textxfer_mm.engine.config_parts import metrics_of
from textxfer_mm.engine.data_checks import kind_of, tagged_datasets
from textxfer_mm.engine.dataset_tags import head_datasets
from textxfer_mm.engine.multi_dataset_metric import MultiDatasetMetric
from textxfer_mm.errors import UserError, first_few, first_line, nearest, shown
from textxfer_mm.registry import look_up

from mmaction.evaluation import AccMetric, ConfusionMatrix  # isort: skip  (after the registry: it repairs mmaction)

#: What ``AccMetric`` computes of one label a video, and of several.
OF_ONE = ('top_k_accuracy', 'mean_class_accuracy')
OF_SEVERAL = ('mean_average_precision', 'mmit_mean_average_precision')
_METRICS = (*OF_ONE, *OF_SEVERAL)


def check_metrics(cfg: Config, phases: Sequence[str]) -> None:
    """Check that head, datasets and metrics agree on the labels, and that hooks wait for numbers that metrics give.

    Args:
        cfg: A whole config.
        phases: The dataloaders that are used: 'train', 'val', 'test'.

    Raises:
        UserError: They do not.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        for phase in phases:
            for tag, dataset in _tagged_lists(cfg, phase):
                several = bool(dataset.get('multi_class'))
                if several:
                    _check_num_classes(cfg, dataset, phase, tag)
                if phase == 'train':
                    _check_head(cfg, several, tag)
        reported = {phase: _reported(cfg, phase) for phase in phases if phase != 'train'}
        if 'train' in phases and 'val' in phases:
            _check_hooks(cfg, *reported['val'])


def leave_out_scores(cfg: Config) -> str:
    """Let a test of lists without labels write its predictions and score nothing; return what was done, for the log."""
    given = metrics_of(cfg, 'test')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        dumps = [metric for metric in given if _kind(metric) is DumpResults]
    left_out = [str(metric.get('type')) for metric in given if metric not in dumps]
    if not dumps:
        dumps = [dict(type='DumpResults', out_file_path=str(Path(cfg.work_dir) / 'predictions.pkl'))]
    cfg.test_evaluator = dumps
    return (
        'The lists of test_dataloader have no labels, so that nothing can be scored'
        f'{f" ({first_few(left_out)} left out)" if left_out else ""}; the predictions are written to '
        f'{first_few(dump["out_file_path"] for dump in dumps)}.'
    )


def _tagged_lists(cfg: Config, phase: str) -> list[tuple[str | None, Mapping[str, Any]]]:
    """The configs of stock lists in a dataloader, each with the name that it is tagged with."""
    loader = cfg.get(f'{phase}_dataloader') or {}
    return [(tag, dataset) for dataset, tag in tagged_datasets(loader.get('dataset')) if kind_of(dataset) is not None]


def _check_num_classes(cfg: Config, dataset: Mapping[str, Any], phase: str, tag: str | None) -> None:
    """Check that a dataset of several labels a video knows as many classes as the head."""
    known = head_datasets(cfg).get(tag)
    given, classes = dataset.get('num_classes'), known.classes if known else num_classes_of(cfg, required=False)
    if given is None or (classes is not None and given != classes):
        wanted = f', {classes} as the head has' if classes is not None else ''
        raise UserError(
            f'The dataset of {phase}_dataloader has multi_class=True and num_classes={given}: give num_classes{wanted}.'
        )


def _check_head(cfg: Config, several: bool, tag: str | None) -> None:
    """Check that the head learns as many labels a video as the training list has."""
    head, known = head_of(cfg), head_datasets(cfg).get(tag)
    if known is not None:
        if known.several != several:
            raise UserError(
                f'The list of {shown(tag)!r} has {"several labels" if several else "one label"} a video '
                f'(multi_class={several}), its classifier in the head loss={"bce" if known.several else "ce"!r}: take '
                f'loss={"bce" if several else "ce"!r}, or another list.'
            )
        return
    if head.get('datasets') is not None:
        return  # a head of several datasets that is not ours
    loss = str((head.get('loss_cls') or {}).get('type', 'CrossEntropyLoss'))
    if not head or (head.get('multi_class') is None and loss not in ('CrossEntropyLoss', 'BCELossWithLogits')):
        return  # a loss of the user's own
    learns_several = bool(head.get('multi_class')) or loss == 'BCELossWithLogits'
    if learns_several != several:
        has, lacks = ('head', 'dataset of train_dataloader') if learns_several else ('dataset', 'head')
        raise UserError(
            f'The {has} of the config has multi_class=True (several labels a video), the {lacks} has not. Set it in '
            'both, with num_classes of the dataset, or in none.'
        )


def _kind(metric: Any) -> Any:
    """The class of a metric's config."""
    return look_up(metric.get('type') if isinstance(metric, Mapping) else type(metric), METRICS)


def _reported(cfg: Config, phase: str) -> tuple[dict[str, Any], bool]:
    """What the metrics of a phase report of one video, by name in their order, and whether that is all.

    Raises:
        UserError: A metric is of another kind of labels than the lists have.
    """
    lists = _tagged_lists(cfg, phase)
    several = [bool(dataset.get('multi_class')) for _, dataset in lists]
    reported: dict[str, Any] = {}
    for node in metrics_of(cfg, phase):
        kind = _kind(node)
        if kind is DumpResults:
            continue
        if kind is MultiDatasetMetric and lists and all(tag is not None for tag, _ in lists):
            with _told(node, f'{kind.__name__} of {phase}_evaluator'):
                reported |= _of_a_video_each(METRICS.build(copy.deepcopy(dict(node))), lists)
            continue
        if kind not in (AccMetric, ConfusionMatrix):
            return reported, False
        with _told(node, f'{kind.__name__} of {phase}_evaluator'):
            metric = METRICS.build(copy.deepcopy(dict(node)))
            if several and len(set(several)) == 1:
                _check_labels(metric, phase, several[0])
            reported |= _of_one_video(metric, bool(several and several[0]))
    return reported, True


@contextmanager
def _told(node: Mapping[str, Any], what: str) -> Iterator[None]:
    """Tell in one line what a class of MMEngine's or MMAction2's refuses, which itself may say nothing."""
    try:
        yield
    except UserError:
        raise
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        given = node.get('metric_list')
        unknown = [name for name in ([given] if isinstance(given, str) else given or ()) if name not in _METRICS]
        if unknown:
            raise UserError(f'{what} has no metric {shown(unknown[0])!r}.{nearest(unknown[0], _METRICS)}') from error
        raise UserError(f'{what} refuses what the config gives it: {first_line(error)}.') from error


def _check_labels(metric: AccMetric | ConfusionMatrix, phase: str, several: bool) -> None:
    """Check that a metric is one of as many labels a video as the lists have."""
    asked = getattr(metric, 'metrics', ('confusion_matrix',))
    wrong = [name for name in asked if (name in OF_SEVERAL) != several]
    if wrong:
        labels, instead = (
            ('several labels', f"metric_list=('{OF_SEVERAL[0]}',) of AccMetric")
            if several
            else ('one label', f'metric_list={OF_ONE} of AccMetric')
        )
        raise UserError(
            f'The dataset of {phase}_dataloader has {labels} a video (multi_class={several}), which '
            f'{", ".join(wrong)} of {type(metric).__name__} in {phase}_evaluator cannot score: take {instead}.'
        )


def _of_a_video_each(
    metric: MultiDatasetMetric, lists: Sequence[tuple[str | None, Mapping[str, Any]]]
) -> dict[str, Any]:
    """What a metric of several datasets reports of one video of each."""
    return _of_videos(metric, [{TAG: tag, **_video(bool(dataset.get('multi_class')))} for tag, dataset in lists])


def _of_one_video(metric: AccMetric | ConfusionMatrix, several: bool) -> dict[str, Any]:
    """What a metric reports of one video."""
    return _of_videos(metric, [_video(several)])


def _video(several: bool) -> dict[str, Any]:
    """A prediction of ten classes."""
    scores = torch.linspace(0, 1, 10)
    return dict(pred_score=scores, gt_label=(scores > 0.5).float() if several else torch.tensor([9]))


def _of_videos(metric: BaseMetric, videos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metric.process({}, videos)
    with np.errstate(all='ignore'):  # no precision without a hit; the number itself is of no interest
        values = metric.compute_metrics(metric.results)
    prefix = f'{metric.prefix}/' if metric.prefix else ''
    return {f'{prefix}{name}': value for name, value in values.items()}


def _check_hooks(cfg: Config, reported: Mapping[str, Any], is_all: bool) -> None:
    """Check what hooks wait for: the value that decides which checkpoint is the best, or when to stop."""
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or ())]
    for hook in hooks:
        kind = look_up(hook.get('type'), HOOKS) if isinstance(hook, Mapping) else None
        if kind is CheckpointHook and hook.get('save_best') is not None:
            wanted = hook['save_best']
            rules = hook.get('rule')
            if rules is not None:
                with _told(hook, 'CheckpointHook'):
                    CheckpointHook(save_best=wanted, rule=rules)
            for key in wanted if isinstance(wanted, list | tuple) else [wanted]:
                _check_best(key, rules, reported, is_all)
        if kind is EarlyStoppingHook and hook.get('monitor') is not None:
            _require_number(f'monitor={hook["monitor"]!r} of EarlyStoppingHook', hook['monitor'], reported, is_all)


def _check_best(key: str, rule: Any, reported: Mapping[str, Any], is_all: bool) -> None:
    """Check one ``save_best`` of the checkpoint hook; 'auto' takes the first value."""
    option = f'save_best={key!r} of CheckpointHook'
    if key == 'auto':
        if not reported:
            if is_all:
                raise UserError(f'{option} waits for a number, and val_evaluator reports none. Leave it out (None).')
            return
        key = next(iter(reported))
        option = f"save_best='auto' of CheckpointHook takes what val_evaluator reports first, {key!r}, which"
    _require_number(option, key, reported, is_all)
    if rule is None and key in reported:
        try:
            CheckpointHook(save_best=key)
        except ValueError as error:
            raise UserError(f"{option}: say whether more is better, rule='greater' or 'less'.") from error


def _require_number(option: str, key: str, reported: Mapping[str, Any], is_all: bool) -> None:
    """Check that a value is reported, and that it is a number."""
    numbers = [name for name, value in reported.items() if torch.as_tensor(value).numel() == 1]
    if key in numbers or (key not in reported and not is_all):
        return
    if key in reported:
        others = f' Name one of {first_few(numbers)}.' if numbers else ' Add AccMetric to it, or leave it out (None).'
        raise UserError(f'{option} is no number, so that none is the best.{others}')
    raise UserError(f'{option} is not among what val_evaluator reports.{nearest(key, numbers)}')
