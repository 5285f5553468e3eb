"""Decoding steps that hand on the frames that were asked for, in place of the stock ones of decord and PyAV.

decord seeks by the number of a packet and gives other frames than asked for of AVI, MPEG and transport streams, open
groups of pictures and clips cut without re-encoding; PyAV's stock steps do not turn frames upright.
"""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textxfer_mm.errors import UserError
from textxfer_mm.inputs import find_videos
from textxfer_mm.registry import TRANSFORMS
from textxfer_mm.video.guard import open_video
from textxfer_mm.video.unreadable import UnreadableVideoError

from mmaction.datasets.transforms import DecordDecode, DecordInit  # isort: skip  (after the registry: it repairs mmaction)

#: Stock steps, and what takes their place.
_EXACT = {
    'DecordInit': 'ExactVideoInit',
    'PyAVInit': 'ExactVideoInit',
    'DecordDecode': 'ExactVideoDecode',
    'PyAVDecode': 'ExactVideoDecode',
}


class CorruptVideoError(UserError):
    """A video that cannot be decoded.

    Attributes:
        reason: Why it cannot be.

    Args:
        name: The file.
        reason: Why it cannot be.
        advice: What to do about it.
    """

    def __init__(self, name: str, reason: str, advice: str = '') -> None:
        super().__init__(f'cannot decode {name} ({reason}).{advice}')
        self.reason = reason


@TRANSFORMS.register_module()
class ExactVideoInit(DecordInit):
    """Opens a video, with the arguments of ``DecordInit``; to be used with :class:`ExactVideoDecode`.

    Adds ``video_reader``, ``total_frames`` (those that can be shown) and ``avg_fps``.

    Args:
        io_backend: Storage backend of the videos.
        num_threads: Number of threads that decode one video.
        **kwargs: Arguments of the storage backend.

    Raises:
        CorruptVideoError: From ``transform``, if there is no video in the file.
    """

    def transform(self, results: dict) -> dict:
        """Open the video of ``results['filename']``."""
        name = results['filename']
        try:
            reader = open_video(self._source(name), self.num_threads)
        except UnreadableVideoError as error:
            raise CorruptVideoError(name, str(error)) from error
        results.update(video_reader=reader, total_frames=len(reader), avg_fps=reader.facts.frame_rate)
        return results

    def _source(self, filename: str) -> str | bytes:
        """The path of a file on disk, or the content of one behind another backend."""
        is_named = '.' in filename.replace('\\', '/').rpartition('/')[2]
        if not is_named and not (self.io_backend == 'disk' and os.path.exists(filename)):
            filename += '.mp4'  # as the stock step does
        if self.io_backend == 'disk':
            return filename
        if self.file_client is None:
            from mmengine.fileio import FileClient

            self.file_client = FileClient(self.io_backend, **self.kwargs)
        return bytes(self.file_client.get(filename))


@TRANSFORMS.register_module()
class ExactVideoDecode(DecordDecode):
    """Decodes the frames ``frame_inds`` of what :class:`ExactVideoInit` opened; upright RGB frames.

    Args:
        mode: ``'accurate'``; here for those who replace a ``DecordDecode`` that says so.

    Raises:
        UserError: Another mode: ``'efficient'`` would give other frames than asked for.
        CorruptVideoError: From ``transform``, if a frame cannot be decoded.
    """

    def __init__(self, mode: str = 'accurate') -> None:
        if mode != 'accurate':
            raise UserError(f'{type(self).__name__} gives the frames asked for, so mode={mode!r} is not for it.')
        super().__init__(mode=mode)

    def transform(self, results: dict) -> dict:
        """Decode the frames."""
        try:
            return super().transform(results)
        except UnreadableVideoError as error:
            raise CorruptVideoError(str(results.get('filename')), str(error)) from error

    def _decord_load_frames(self, container: Any, frame_inds: np.ndarray) -> list[np.ndarray]:
        return list(container.read(frame_inds))


def with_exact_decoding(steps: Sequence[Any]) -> list[Any]:
    """Put the exact steps in the place of stock ones that decode accurately with decord or PyAV.

    Args:
        steps: Steps of a pipeline; those that are no configs are left as they are.
    """
    stock = [step for step in steps if isinstance(step, dict) and step['type'] in _EXACT]
    if any(step.get('mode', 'accurate') != 'accurate' for step in stock):
        return list(steps)
    return [_exact(step) if step in stock else step for step in steps]


def _exact(step: dict[str, Any]) -> dict[str, Any]:
    return dict({key: value for key, value in step.items() if key != 'multi_thread'}, type=_EXACT[step['type']])


def repair_inferencers() -> None:
    """Let ``MMAction2Inferencer`` decode exactly, and take a folder of videos.

    Cause: it puts decord's steps into every pipeline, and gives them a folder as if it were a video
    (https://github.com/open-mmlab/mmaction2/blob/v1.2.0/mmaction/apis/inferencers/actionrecog_inferencer.py).
    """
    from mmaction.apis.inferencers import ActionRecogInferencer, MMAction2Inferencer

    if hasattr(ActionRecogInferencer._init_pipeline, '__wrapped__'):
        return
    released = ActionRecogInferencer._init_pipeline

    @functools.wraps(released)
    def init_pipeline(self: ActionRecogInferencer, cfg: Any) -> Any:
        pipeline = released(self, cfg)
        pipeline.transforms = [_exact_instance(step) for step in pipeline.transforms]
        return pipeline

    ActionRecogInferencer._init_pipeline = init_pipeline
    for inferencer in (ActionRecogInferencer, MMAction2Inferencer):
        inferencer._inputs_to_list = _with_folders(inferencer._inputs_to_list)


def _exact_instance(step: Any) -> Any:
    """The exact step for one of decord's."""
    if type(step) is DecordInit:
        return ExactVideoInit(step.io_backend, step.num_threads, **step.kwargs)
    return ExactVideoDecode() if type(step) is DecordDecode and step.mode == 'accurate' else step


def _with_folders(released: Callable) -> Callable:
    """Wrap what makes a list of an inferencer's inputs: a folder stands for its videos."""

    @functools.wraps(released)
    def inputs_to_list(self: Any, inputs: Any) -> list[Any]:
        inner = getattr(self, 'actionrecog_inferencer', self)
        takes_videos = getattr(inner, 'input_format', 'video') == 'video'
        if takes_videos and isinstance(inputs, str | Path) and Path(inputs).is_dir():
            inputs = [str(video) for video in find_videos(inputs)]
        return released(self, inputs)

    return inputs_to_list
