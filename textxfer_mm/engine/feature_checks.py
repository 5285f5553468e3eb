"""Checks of a config that trains on features: they are whole, of one backbone, and fit the model."""

from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config

from textxfer_mm.datasets.feature_dataset import FeatureDataset
from textxfer_mm.datasets.list_trees import lazy_config
from textxfer_mm.engine.classes import num_classes_of
from textxfer_mm.errors import UserError
from textxfer_mm.registry import DATASETS, look_up

_PREPROCESSOR = 'FeaturesOrPixels'


def is_of_features(dataset: Mapping[str, Any]) -> bool:
    """Whether a dataset config is one of features."""
    return look_up(dataset.get('type'), DATASETS, dataset.get('_scope_')) is FeatureDataset


def check_features(cfg: Config, found: Iterable[tuple[str, Mapping[str, Any], bool]]) -> None:
    """Check the features of all phases against each other and against the model.

    Args:
        cfg: A whole config.
        found: Phase and config of each dataset of features, and whether a wrapper gives its videos other labels.

    Raises:
        UserError: Features are not whole, are of different weights, have other widths than the backbone hands on, or
            labels that the head has no classes for.
    """
    first = None
    classes = num_classes_of(cfg, required=False)
    for phase, config, renumbered in found:
        place, arguments = f'{config.get("features")} of {phase}_dataloader', lazy_config(config)
        dataset = FeatureDataset(**{key: value for key, value in arguments.items() if key not in ('type', '_scope_')})
        weights = dataset.record.weights
        first = first or (weights, place)
        if weights != first[0]:
            raise UserError(
                f'The features {first[1]} and {place} were made by different weights ({first[0][:12]} and '
                f'{weights[:12]}): write both with one config and checkpoint.'
            )
        _check_width(cfg, dataset, place)
        if classes is not None and not renumbered and dataset.num_labels > classes:
            raise UserError(
                f'The features {place} have labels up to {dataset.num_labels - 1}, but the head has {classes} classes: '
                'give it the classes of these videos.'
            )


def _check_width(cfg: Config, dataset: FeatureDataset, place: str) -> None:
    backbone, width = cfg.model.backbone, dataset.sample_shape[1]
    if dataset.record.stage == 'frozen':
        pixels = (cfg.model.get('data_preprocessor') or {}).get('type')
        if backbone.get('type') != 'CLIPBackbone' or pixels != _PREPROCESSOR:
            raise UserError(
                f'The features {place} are those of frozen stages: the model keeps the CLIPBackbone that made them, '
                f"and gets data_preprocessor=dict(type='{_PREPROCESSOR}', ...)."
            )
        made_with = dataset.record.about.get('frozen_stages')
        if backbone.get('frozen_stages') != made_with:
            raise UserError(
                f'The features {place} are those of frozen_stages={made_with}, and the backbone says '
                f'frozen_stages={backbone.get("frozen_stages")}.'
            )
        return
    if backbone.get('type') != 'IdentityBackbone':
        raise UserError(
            f'The features {place} are what a backbone gave; the model has the backbone {backbone.get("type")}, which '
            f"takes pixels: give dict(type='IdentityBackbone', out_channels={width})."
        )
    if backbone.get('out_channels') != width:
        raise UserError(
            f'The features {place} are {width} wide, and the backbone says out_channels={backbone.get("out_channels")}.'
        )
