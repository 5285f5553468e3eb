"""What is measured of a trained recognizer."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from harness.claims import Measure
from harness.statistics import steps_to
from mmengine.config import Config
from torch import nn
from torch.nn import functional

from pages.recognizers import between, with_unseen_classes
from textxfer_mm.apis import score_videos
from textxfer_mm.datasets.scene_datasets import PAIRS
from textxfer_mm.engine.classes import classifier_of, rows_of

SEEN, MOTION, UNSEEN = (len(PAIRS[kind]) for kind in ('seen', 'motion', 'unseen'))


def percent(name: str) -> Any:
    """An accuracy in per cent."""
    return lambda result: None if result.get(name) is None else 100 * result[name]


def second_half(result: Mapping[str, Any]) -> float | None:
    """The mean training loss over the second half of the steps."""
    losses = result.get('losses')
    return float(np.mean(losses[len(losses) // 2 :])) if losses else None


def steps_to_90(result: Mapping[str, Any]) -> float | None:
    """Steps to 90 % of the last accuracy, where a curve was measured."""
    return steps_to(0.9, result['curve']) if result.get('curve') else None


def validated(number: int) -> Any:
    """The accuracy of one of the validations of a pre-training, in per cent."""
    return lambda result: 100 * result['validations'][number][1]['acc/top1'] if result.get('validations') else None


def of(name: str) -> Any:
    """A number that some results have."""
    return lambda result: result.get(name)


MEASURES = dict(
    seen=Measure('60 classes', percent('seen'), ' points', chance=100 / SEEN),
    captioned=Measure('30 of captioned pairs', percent('captioned'), ' points', chance=100 / SEEN),
    new=Measure('30 of pairs never captioned', percent('new'), ' points', chance=100 / SEEN),
    motion=Measure('10 of motion only', percent('motion'), ' points', chance=100 / MOTION),
    unseen=Measure('20 unseen classes', percent('unseen'), ' points', chance=100 / UNSEEN),
    cosine=Measure('largest cosine of two rows', of('row_cosine'), digits=3),
    before=Measure('zero-shot before', validated(0), ' points', chance=100 / SEEN),
    after=Measure('zero-shot after', validated(-1), ' points', chance=100 / SEEN),
    samples=Measure('captions seen', of('samples'), digits=0),
    steps=Measure('steps to 90 %', steps_to_90, ' steps', lower_is_better=True),
    loss=Measure('loss', second_half, digits=3, lower_is_better=True),
    step_cpu_seconds=Measure('processor s a step', of('step_cpu_seconds'), ' s', digits=3, lower_is_better=True),
    step_seconds=Measure('wall s a step', of('step_seconds'), ' s', digits=3, lower_is_better=True),
)


def measure(model: nn.Module, cfg: Config) -> dict[str, Any]:
    """Top-1 accuracies (0 to 1) among the 60 classes, among the 10 of motion only, and by names on the unseen ones."""
    scores = score_videos(model, cfg.val_dataloader)
    names = scores.class_names
    seen, motion = scores.among(names[:SEEN]), scores.among(names[SEEN:])
    result = dict(
        row_cosine=largest_cosine(model),
        seen=seen.top(1),
        captioned=seen.top1_of(names[: SEEN // 2]),
        new=seen.top1_of(names[SEEN // 2 : SEEN]),
        motion=motion.top(1),
        unseen=None,
    )
    if classifier_of(cfg).get('type') == 'TextClassifier':
        unseen = score_videos(with_unseen_classes(model, cfg), cfg.test_dataloader)
        result.update(unseen=unseen.top(1))
    if cfg.get('alphas'):
        result.update(between=between(model, cfg, cfg.alphas))
    return result


def largest_cosine(model: nn.Module) -> float | None:
    """The largest cosine between the rows of two classes, for a head that has rows."""
    rows = rows_of(model)
    if rows is None:
        return None
    normalised = functional.normalize(rows.testing_rows().detach().float(), dim=1)
    cosines = normalised @ normalised.T
    return float(cosines.fill_diagonal_(-1).max())


def quick(model: nn.Module, cfg: Config) -> float:
    """Top-1 among the 60 classes on every sixth of their test clips."""
    loader = copy.deepcopy(cfg.val_dataloader)
    loader.dataset.indices = list(range(0, SEEN * loader.dataset.per_class, 6))
    scores = score_videos(model, loader)
    return scores.among(scores.class_names[:SEEN]).top(1)
