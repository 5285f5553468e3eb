"""What is measured of a trained recognizer, and how alike the rows of a classifier are."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from harness.claims import Measure, Results
from mmengine.config import Config
from torch import nn

from pages.recognizers import with_unseen_classes
from textxfer_mm.apis import score_videos
from textxfer_mm.datasets.toy_actions import SEEN_ACTIONS
from textxfer_mm.engine.classes import classifier_of, source_of
from textxfer_mm.visualization import class_correlation

COSINES = 'cosine between rows: mean, largest'


def percent(name: str) -> Any:
    """An accuracy in per cent."""
    return lambda result: None if result[name] is None else 100 * result[name]


def second_half(result: Mapping[str, Any]) -> float | None:
    """The mean training loss over the second half of the steps."""
    losses = result['losses']
    return float(np.mean(losses[len(losses) // 2 :])) if losses else None


def seconds(name: str) -> Any:
    """The time of a step, where the row was trained."""
    return lambda result: result.get(name)


MEASURES = dict(
    seen=Measure('seen classes', percent('seen'), ' points', chance=100 / len(SEEN_ACTIONS)),
    zero_shot=Measure('unseen classes', percent('zero_shot'), ' points'),
    loss=Measure('loss', second_half, digits=3, lower_is_better=True),
    step_cpu_seconds=Measure('processor s a step', seconds('step_cpu_seconds'), ' s', digits=3, lower_is_better=True),
    step_seconds=Measure('wall s a step', seconds('step_seconds'), ' s', digits=3, lower_is_better=True),
)


def measure(model: nn.Module, cfg: Config) -> dict[str, Any]:
    """Top-1 accuracies (0 to 1) on the seen classes and, by a head that takes other names, on the unseen ones."""
    seen = score_videos(model, cfg.val_dataloader)
    result = dict(seen=seen.top(1), seen_videos=len(seen.labels), zero_shot=None)
    if takes_other_names(cfg):
        unseen = score_videos(with_unseen_classes(model, cfg), cfg.test_dataloader)
        result.update(zero_shot=unseen.top(1), zero_shot_videos=len(unseen.labels))
    return result


def count_their_videos(results: Results, rows: Iterable[str]) -> bool:
    """Whether all results of these rows say how many videos they are of; the first that were published do not."""
    return all('seen_videos' in one for row in rows for one in results.get(row, {}).values())


def takes_other_names(cfg: Config) -> bool:
    """Whether the head classifies by class names alone."""
    return classifier_of(cfg).get('type') == 'TextClassifier'


def row_cosines(cfg: Config) -> tuple[float, float]:
    """Mean and largest cosine between the rows of different classes of a config's classifier, before training."""
    cosines = class_correlation(source_of(cfg).build().weight)
    others = cosines[~np.eye(len(cosines), dtype=bool)]
    return float(others.mean()), float(others.max())
