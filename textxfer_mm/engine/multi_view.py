"""Several views of each video in testing, by one option: clips over its length, and crops over its width."""

import re
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.errors import UserError, shown
from textxfer_mm.registry import MODELS, look_up

#: The crops that a view count may have, as the steps that make them.
_CROPS = {1: 'CenterCrop', 3: 'FullResThreeCrop'}
#: Steps that cut the crops of a test.
_CROPPING = ('CenterCrop', 'ThreeCrop', 'FullResThreeCrop', 'TenCrop')


def set_views(cfg: Config, views: str, option: str = '--views') -> None:
    """Let the test pipeline of a config make so many views of each video.

    The clips are those of its sampling step (``num_clips``). Its crop is taken once in the centre, or three times: at
    the left, in the centre and at the right of the same frames. The batch shrinks by as much as the views grow.

    Args:
        cfg: A whole config, which is changed.
        views: Clips and crops, such as '4x3'.
        option: What gave them, for the message.

    Raises:
        UserError: They are no such numbers, or the pipeline cannot make them.
    """
    found = re.fullmatch(r'([1-9]\d{0,2})x([13])', views)
    if found is None:
        raise UserError(f'{option} {shown(views)}: give clips x crops, 1 or 3 of the latter, such as 4x3.')
    clips, crops = map(int, found.groups())
    factor = 1.0
    for dataset in innermost_datasets(cfg.test_dataloader.dataset):
        factor = max(factor, _set_pipeline(dataset.get('pipeline') or [], clips, crops, option))
    if clips * crops > 1:
        _average(cfg.model.get('cls_head') or {})
    batch = cfg.test_dataloader.get('batch_size')
    if isinstance(batch, int):
        cfg.test_dataloader['batch_size'] = max(1, int(batch / factor))


def _average(head: Any) -> None:
    """Let a head of MMAction2's make one score of the views, which ours do anyway."""
    kind = look_up(head.get('type'), MODELS)
    is_stock = isinstance(kind, type) and kind.__module__.startswith('mmaction')
    if head.get('average_clips', None if is_stock else 'feature') is None:
        head['average_clips'] = 'prob'


def _set_pipeline(steps: list[Any], clips: int, crops: int, option: str) -> float:
    """Change the steps of a pipeline; return how many times more views it makes."""
    sampling = [step for step in steps if isinstance(step, Mapping) and 'clip_len' in step]
    cropping = [step for step in steps if isinstance(step, Mapping) and step.get('type') in _CROPPING]
    if len(sampling) != 1:
        raise UserError(f'{option}: the test pipeline samples frames (clip_len) in {len(sampling)} steps, not in one.')
    (sample,) = sampling
    before = sample.get('num_clips', 1)
    if sample['clip_len'] == 1 and clips != before:
        raise UserError(
            f'{option}: this model sees {before} single frames of a video (clip_len=1), which are no clips: give '
            f'{before}x1 or {before}x3.'
        )
    if len(cropping) != 1 and crops > 1:
        raise UserError(
            f'{option}: the test pipeline crops in {len(cropping)} steps ({", ".join(_CROPPING)}), and three crops '
            f'need one: give {clips}x1, or add CenterCrop to it.'
        )
    sample['num_clips'] = clips
    factor = clips / before
    for step in cropping:
        has, size = {'CenterCrop': 1, 'TenCrop': 10}.get(step['type'], 3), step['crop_size']
        factor *= crops / has
        if has == crops:
            continue
        sides = set(size) if isinstance(size, list | tuple) else {size}
        if len(sides) > 1:
            raise UserError(f'{option}: its crops are squares, and crop_size={size!r} of the test pipeline is none.')
        step.clear()
        step.update(type=_CROPS[crops], crop_size=sides.pop())
    return factor
