"""The feature cache: what a frozen backbone makes of videos, written once, and configs that train on it."""

from textxfer_mm.apis.feature_cache.configs import config_on_features, config_on_frozen_stages, whole_checkpoint
from textxfer_mm.apis.feature_cache.writing import WrittenFeatures, write_features

__all__ = ['WrittenFeatures', 'config_on_features', 'config_on_frozen_stages', 'whole_checkpoint', 'write_features']
