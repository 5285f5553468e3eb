"""The package as a library. Names are imported at first use: ``textxfer doctor`` must run where torch is missing."""

from importlib import import_module
from typing import Any

_MODULES = {
    'Interpolation': 'apis.interpolation',
    'Recognizer': 'apis.recognizer',
    'Retrieval': 'apis.retrieval',
    'Segment': 'apis.timelines',
    'Timeline': 'apis.timelines',
    'VideoFailure': 'apis.predictions',
    'VideoPrediction': 'apis.predictions',
    'VideoSearch': 'apis.search',
    'clip_zero_shot_config': 'apis.model_configs',
    'config_of_checkpoint': 'apis.model_configs',
    'evaluate': 'apis.evaluation',
    'evaluate_retrieval': 'apis.retrieval',
    'evaluate_sets': 'apis.classification_sets',
    'sets_table': 'apis.classification_sets',
    'extract_features': 'apis.feature_extraction',
    'find_media': 'apis.media_files',
    'find_videos': 'inputs',
    'interpolate': 'apis.interpolation',
    'load_config': 'apis.model_configs',
    'load_recognizer': 'apis.inference',
    'predict_videos': 'apis.recognizer',
    'save_contact_sheet': 'apis.search',
    'score_videos': 'apis.scoring',
    'sweep': 'apis.interpolation_sweep',
    'timeline': 'apis.timelines',
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__} has no attribute {name}')
    return getattr(import_module(f'textxfer_mm.{_MODULES[name]}'), name)
