"""The package as a library. Names are imported at first use: ``textxfer doctor`` must run where torch is missing."""

from importlib import import_module
from typing import Any

_MODULES = {
    'VideoFailure': 'inference',
    'VideoPrediction': 'inference',
    'clip_zero_shot_config': 'model_configs',
    'config_of_checkpoint': 'model_configs',
    'extract_features': 'feature_extraction',
    'find_videos': 'inference',
    'load_config': 'model_configs',
    'load_recognizer': 'inference',
    'predict_videos': 'inference',
    'score_videos': 'scoring',
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__} has no attribute {name}')
    return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)
