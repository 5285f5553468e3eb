"""Features of labelled videos by the encoder of a config: what ``LDAClassifier`` learns from (paper: section 2.2)."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from torch import Tensor, nn

from textxfer_mm.apis.encoding import Encoded, Videos, encode_videos
from textxfer_mm.apis.inference import choose_device
from textxfer_mm.apis.list_loaders import each_once, loader_of_phase
from textxfer_mm.apis.starting_model import starting_model
from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.datasets.transforms_video import with_exact_decoding
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.engine.frameworks import embeddings_of, enter_scope, features_of
from textxfer_mm.errors import UserError


def extract_features(
    cfg: Config,
    *,
    split: str = 'train',
    per_class: int | None = 60,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    device: str | None = None,
) -> LabelledFeatures:
    """Encode some videos of each class with the pipeline of validation.

    A feature is what the head would compare with the classifier: frames and views averaged (TAP), projected where the
    head has a projection, not normalised. Without ``checkpoint`` the weights are those that training starts from: the
    encoder's pre-trained ones and ``load_from`` of the config. A neck that is still random is left out. The head's own
    classifier is not needed, and may be an ``LDAClassifier`` whose file does not exist yet.

    With several processes each encodes a part, and all return the whole. Videos that cannot be decoded are left out and
    named in a warning.

    Args:
        cfg: A whole config.
        split: The split whose videos are taken: 'train', 'val' or 'test'.
        per_class: Videos a class; None takes all.
        seed: The seed of the draw of the videos.
        checkpoint: A checkpoint of this config to encode with.
        device: None takes the GPU where there is one.

    Returns:
        (n, D) features and (n,) labels in the order of the list, with a record of where they come from.

    Raises:
        UserError: The config has no such split, a class has fewer videos than ``per_class`` or none that can be
            decoded, or the model cannot give features.
    """
    enter_scope(cfg)
    wanted = dict(count=per_class) if per_class else dict(fraction=1.0)
    videos = Videos(_dataset(cfg, split), lambda labels: draw_per_class(labels, seed=seed, **wanted))
    model, stage = starting_model(cfg, checkpoint)
    model.to(choose_device(device)).eval()
    loader = cfg.get('val_dataloader') or cfg.get('test_dataloader') or {}
    made = encode_videos(videos, lambda batch: [_encode(model, batch, stage)], loader, _LoggedProgress())
    _refuse_lost_classes(made, videos)
    weights = checkpoint or cfg.get('load_from')
    metadata = dict(
        config=Path(cfg.filename or 'config').name,
        encoder=_encoder_name(cfg.model.backbone),
        checkpoint=Path(weights).name if weights else None,
        stage=stage,
        **dict(split=split, per_class=per_class, seed=seed),
        left_out=sorted(videos.names[position] for position in made.skipped),
    )
    labels = torch.tensor([videos.labels[position] for position in made.rows])
    return LabelledFeatures(*made.stacked(), labels, metadata)


class _LoggedProgress:
    """Tells the progress in the log, twenty times."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, done: int, total: int) -> None:
        if done * 20 // total > self._told:
            self._told = done * 20 // total
            print_log(f'Encoded {done * 100 // total} % of {total} videos.', logger='current')


def _dataset(cfg: Config, split: str) -> ConfigDict:
    """The config of the dataset of a split, with the pipeline of validation.

    Raises:
        UserError: The config has no such split.
    """
    return each_once(loader_of_phase(cfg, split).dataset, _validation_pipeline(cfg))


def _validation_pipeline(cfg: Config) -> list[dict[str, Any]]:
    """The pipeline of one view a video."""
    loader = cfg.get('val_dataloader') or cfg.get('test_dataloader')
    dataset = next(innermost_datasets(loader.dataset)) if loader else dict(pipeline=cfg.get('test_pipeline'))
    if not dataset.get('pipeline'):
        raise UserError('The config needs a val_dataloader or the variable `test_pipeline` to encode videos with.')
    return with_exact_decoding([dict(step) for step in dataset['pipeline']])


def _encode(model: nn.Module, batch: list[Any], stage: str) -> Tensor:
    """Features (N, D) of N videos, averaged over all that a video has of frames and views."""
    features, _ = features_of(model, batch, stage=stage)
    return embeddings_of(model, features).float().unflatten(0, (len(batch), -1)).mean(1)


def _refuse_lost_classes(made: Encoded, videos: Videos) -> None:
    """Refuse that none of a class's videos can be decoded.

    Raises:
        UserError: With the first such class, and a video that failed.
    """
    lost = sorted(set(videos.labels) - {videos.labels[position] for position in made.rows})
    if lost:
        position, reason = next(iter(made.skipped.items()))
        raise UserError(
            f'None of the drawn videos of label {lost[0]} could be decoded'
            + (f', nor of {len(lost) - 1} other label(s)' if len(lost) > 1 else '')
            + f'; in all {len(made.skipped)} of {len(videos)} failed, such as {videos.names[position]}: {reason}.'
        )


def _encoder_name(backbone: ConfigDict) -> str:
    """E.g. ``'CLIPBackbone/ViT-B-16-quickgelu/openai'``; a file goes by its name."""
    parts = [backbone.get('arch'), backbone.get('depth'), backbone.get('pretrained')]
    return '/'.join([str(backbone['type']), *(Path(str(part)).name for part in parts if isinstance(part, str | int))])
