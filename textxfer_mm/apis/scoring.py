"""Running recognizers over a list of videos: the scores that every protocol is computed from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from textxfer_mm.apis.encoding import Progress, Videos, encode_videos
from textxfer_mm.engine.classes import labels_of
from textxfer_mm.engine.finite import refuse_non_finite_scores
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.scores import Scores


def score_videos(model: nn.Module, dataloader: Mapping[str, Any], *, progress: Progress | None = None) -> Scores:
    """Score the videos of a dataloader config.

    With several processes each scores its share, and all return the whole. Videos that cannot be decoded are left out
    and named in a warning.

    Args:
        model: A recognizer; it is put into evaluation mode. Its classes are named by the head, or else by their index.
        dataloader: Config of the dataloader, whose dataset, ``batch_size`` and ``num_workers`` are used.
        progress: Called with the number of finished videos of this process and the number of all of its share.

    Raises:
        UserError: There are no videos, or none that can be decoded, they have several labels each, or the scores are
            not finite.
    """
    return score_by([model], dataloader, progress=progress)[0]


def score_by(
    models: Sequence[nn.Module], dataloader: Mapping[str, Any], *, progress: Progress | None = None
) -> list[Scores]:
    """Score videos by several recognizers, reading each video once; see :func:`score_videos`."""
    for model in models:
        model.eval()
    videos = Videos(dataloader['dataset'])
    labels = classes_of(videos)
    made = encode_videos(videos, lambda batch: [_scores(model, batch) for model in models], dataloader, progress)
    true = np.array([labels[position] for position in made.rows])
    found = (values.numpy() for values in made.stacked())
    return [Scores(part, true, labels_of(model, part.shape[1])) for model, part in zip(models, found, strict=True)]


def classes_of(videos: Videos) -> list[int]:
    """The one true class of each video.

    Raises:
        UserError: A video has several.
    """
    return [_one_class(label, name) for label, name in zip(videos.labels, videos.names, strict=True)]


def _scores(model: nn.Module, batch: Sequence[Any]) -> Tensor:
    """The scores (N, K) of N videos by one model."""
    scores = torch.stack([sample.pred_score for sample in model.test_step(pseudo_collate(batch))])
    refuse_non_finite_scores(scores, 'a video of the list')
    return scores


def _one_class(label: Any, name: str) -> int:
    """The one true class of a video."""
    if not isinstance(label, int | np.integer):
        raise UserError(
            f'score_videos gives the scores of videos with one label each, and {name} has several: test a multi-label '
            'dataset with tools/test.py or textxfer evaluate.'
        )
    return int(label)
