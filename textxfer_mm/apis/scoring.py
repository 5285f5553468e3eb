"""Running a recognizer over a list of videos: the scores that every protocol is computed from."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from textxfer_mm.engine.classes import labels_of
from textxfer_mm.engine.finite import refuse_non_finite_scores
from textxfer_mm.errors import UserError
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

    Raises:
        UserError: Several processes share the videos, there are none, they have several labels each, or the scores are
            not finite.
    """
    if get_world_size() > 1:
        raise UserError(
            f'score_videos runs in one process, and this is one of {get_world_size()}, which would see its share of '
            'the videos only: close the process group first, or test with tools/test.py.'
        )
    model.eval()
    loader = build_loader(dataloader, seed)
    values, labels = [], []
    for done, batch in enumerate(loader, 1):
        for sample in model.test_step(batch):
            refuse_non_finite_scores(sample.pred_score, f'a video of batch {done}')
            values.append(sample.pred_score.cpu().numpy())
            labels.append(_label_of(sample))
        if progress:
            progress(done, len(loader))
    return Scores(np.stack(values), np.array(labels), labels_of(model, len(values[0])))


def build_loader(dataloader: Mapping[str, Any], seed: int) -> DataLoader:
    """Build a dataloader, which must give at least one batch."""
    try:
        loader = Runner.build_dataloader(dict(dataloader), seed=seed)
        if len(loader):
            return loader
        number = len(loader.dataset)
    except ValueError as error:
        if 'need at least one array' not in str(error):  # what MMEngine makes of a dataset without samples
            raise
        number = 0
    raise UserError(
        f'The dataloader makes no batch of its {number} videos: the list of videos (ann_file) is empty, or drop_last '
        'leaves out the only batch.'
    )


def _label_of(sample: Any) -> int:
    """The one true class of a video."""
    if sample.gt_label.numel() != 1:
        raise UserError(
            f'score_videos gives the scores of videos with one label each, and the label of one here is of shape '
            f'{tuple(sample.gt_label.shape)}: test a multi-label dataset with tools/test.py.'
        )
    return int(sample.gt_label)
