"""Running a recognizer over a list of videos: the scores that every protocol is computed from."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from torch import nn

from textxfer_mm.engine.classes import labels_of
from textxfer_mm.evaluation.scores import Scores

#: Told what is done and what is to be done.
Progress = Callable[[int, int], None]


@torch.no_grad()
def score_videos(
    model: nn.Module, dataloader: Mapping[str, Any], *, seed: int = 0, progress: Progress | None = None
) -> Scores:
    """Score the videos of a dataloader config.

    Args:
        model: A recognizer; it is put into evaluation mode. Its classes are named by the head, or else by their index.
        dataloader: Config of the dataloader.
        seed: Seed of the dataloader.
        progress: Called with the number of finished batches and the number of all.
    """
    model.eval()
    loader = Runner.build_dataloader(dict(dataloader), seed=seed)
    values, labels = [], []
    for done, batch in enumerate(loader, 1):
        for sample in model.test_step(batch):
            values.append(sample.pred_score.cpu().numpy())
            labels.append(int(sample.gt_label))
        if progress:
            progress(done, len(loader))
    return Scores(np.stack(values), np.array(labels), labels_of(model, len(values[0])))
