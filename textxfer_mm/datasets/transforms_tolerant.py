"""Decoding that survives corrupt videos: skipped and counted in training, listed in testing.

``TolerantDecordInit`` and ``TolerantDecordDecode`` replace the stock steps one by one; ``TolerantDecode`` wraps the
steps of any decoder. All of them report to ``CorruptVideoHook``; without it the first corrupt file is an error.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.transforms_video import (
    CorruptVideoError,
    ExactVideoDecode,
    ExactVideoInit,
    with_exact_decoding,
)
from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing
from textxfer_mm.registry import TRANSFORMS
from textxfer_mm.video.index import VideoFacts

#: This many failures in a row mean that the files or the pipeline are wrong as a whole.
MAX_IN_A_ROW = 100


_ADVICE = (
    " To skip such files in training and list them all in testing, add dict(type='CorruptVideoHook') to custom_hooks."
)


class _Tolerant:
    """What the tolerant steps share: try, record a failure, and carry on with None or a stand-in."""

    test_mode: bool
    _in_a_row: int = 0

    def _attempt(self, step: Callable, results: dict, stand_in: Callable[[Path], dict]) -> dict | None:
        """Run ``step`` on a copy of ``results``; None stands for a corrupt video in training.

        Raises:
            CorruptVideoError: Without a ``CorruptVideoHook``.
            UserError: After :data:`MAX_IN_A_ROW` failures in a row in training.
        """
        try:
            done = step(dict(results))
        except CorruptVideoError as error:
            folder = self._note(str(results['filename']), error)
            return stand_in(folder) if self.test_mode else None
        except (ImportError, MemoryError, UserError):
            raise
        except Exception as error:
            folder = self._note(str(results.get('filename', results.get('frame_dir'))), error)
            return stand_in(folder) if self.test_mode else None
        self._in_a_row = 0
        return done

    def _note(self, name: str, error: Exception) -> Path:
        """Record a corrupt video and return the folder of the record."""
        reason = _reason(name, error)
        folder = corrupt_record.record(name, reason, test_mode=self.test_mode)
        if folder is None:
            raise CorruptVideoError(name, reason, _ADVICE) from error
        self._in_a_row += 1
        if self._in_a_row >= MAX_IN_A_ROW and not self.test_mode:
            raise UserError(
                f'{MAX_IN_A_ROW} videos in a row could not be decoded, the last one {name} ({reason}). '
                'Check the video folder (data_prefix, data_root) and the decoding steps of the pipeline.'
            )
        return folder


@TRANSFORMS.register_module()
class TolerantDecordInit(_Tolerant, ExactVideoInit):
    """``DecordInit`` that survives files which cannot be opened; to be used with :class:`TolerantDecordDecode`.

    These two are drop-in replacements of the stock steps. In training, a corrupt sample becomes None, and MMEngine's
    dataset draws another one. In testing, black frames stand in for it, so that the epoch goes on and finds the other
    corrupt files, too; ``CorruptVideoHook`` then ends the run before anything is scored. Empty, truncated and missing
    files, files that are not videos or kill their decoder, and videos without frames count as corrupt. What can be
    decoded gives the frames that were asked for, where decord itself would not (see :class:`ExactVideoInit`).

    Args:
        test_mode: Replace a corrupt video by a black one instead of dropping the sample.
        io_backend: Storage backend of the videos.
        num_threads: Number of threads that decode one video.
        **kwargs: Arguments of the storage backend.
    """

    def __init__(self, test_mode: bool = False, io_backend: str = 'disk', num_threads: int = 1, **kwargs) -> None:
        super().__init__(io_backend=io_backend, num_threads=num_threads, **kwargs)
        self.test_mode = test_mode

    def transform(self, results: dict) -> dict | None:
        """Open the video of ``results['filename']``."""
        opened = self._attempt(
            super().transform,
            results,
            lambda _: _BlackReader.opened(results),
        )
        if opened is not None and opened['video_reader'].facts.seeking:
            corrupt_record.note(opened['filename'], opened['video_reader'].facts.seeking, test_mode=self.test_mode)
        return opened


@TRANSFORMS.register_module()
class TolerantDecordDecode(_Tolerant, ExactVideoDecode):
    """``DecordDecode`` that survives videos whose frames cannot be decoded; see :class:`TolerantDecordInit`.

    Args:
        mode: ``'accurate'``, as in :class:`ExactVideoDecode`.
        test_mode: Replace the frames of a corrupt video by black ones instead of dropping the sample.
    """

    def __init__(self, mode: str = 'accurate', test_mode: bool = False) -> None:
        super().__init__(mode=mode)
        self.test_mode = test_mode

    def transform(self, results: dict) -> dict | None:
        """Decode the frames ``results['frame_inds']``."""
        decode = super().transform
        return self._attempt(decode, results, lambda _: decode(dict(results, video_reader=_BlackReader())))


@TRANSFORMS.register_module()
class TolerantDecode(_Tolerant, BaseTransform):
    """Wraps the steps that open, sample and decode a video, and makes them as tolerant as :class:`TolerantDecordInit`.

    Meant for OpenCV and raw frames; whatever the decoder can still read of a damaged file counts as a video. In place
    of the steps of decord and PyAV it runs those that :class:`TolerantDecordInit` stands on.

    Example::

        dict(type='TolerantDecode', transforms=[
            dict(type='OpenCVInit'),
            dict(type='SampleFrames', clip_len=8, frame_interval=8, num_clips=1),
            dict(type='OpenCVDecode')])

    Args:
        transforms: Configs or callables of the wrapped steps, the decoding step last.
        test_mode: Replace a corrupt video by black frames instead of dropping the sample.
    """

    def __init__(self, transforms: Sequence[dict | Callable], test_mode: bool = False) -> None:
        super().__init__()
        self.transforms = Compose(with_exact_decoding(transforms))
        self.test_mode = test_mode

    def transform(self, results: dict) -> dict | None:
        """Decode the video ``results['filename']`` or the raw frames of ``results['frame_dir']``."""

        def stand_in(folder: Path) -> dict:
            return dict(self._decode(_with_black_source(results, folder)), **_source(results))

        return self._attempt(self._decode, results, stand_in)

    def _decode(self, results: dict) -> dict:
        decoded = self.transforms(results)
        if decoded is None:
            raise ValueError('a step dropped the sample')
        if 'imgs' not in decoded:
            raise UserError('TolerantDecode must wrap the decoding step too, such as DecordDecode: no `imgs` came out.')
        if len(decoded['imgs']) == 0:
            raise ValueError('no frames')
        return decoded

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms!r}, test_mode={self.test_mode})'


def _reason(name: str, error: Exception) -> str:
    """Say in a few words why a video could not be decoded."""
    if isinstance(error, CorruptVideoError):
        return error.reason
    if os.path.isfile(name) and os.path.getsize(name) == 0:
        return 'empty file'
    if isinstance(error, FileNotFoundError):
        return 'missing file'
    text = re.sub(r'\[[\d:]+\] \S+\.\w+:\d+: ', '', str(error))  # decord puts its time and source line in front
    return f'{type(error).__name__}: {text}'.strip().splitlines()[0][:200]


def _with_black_source(results: dict, folder: Path) -> dict:
    """Return ``results`` pointing to a black video (or a black frame) in ``folder``."""
    if 'frame_dir' in results:
        frames = max(1, results.get('total_frames', 1))
        return dict(
            results, frame_dir=str(_black(folder, '.jpg').parent), filename_tmpl='black.jpg', total_frames=frames
        )
    return dict(results, filename=str(_black(folder, '.mp4')))


def _source(results: dict) -> dict:
    """Return the entries that say where the frames come from."""
    return {key: results[key] for key in ('filename', 'frame_dir', 'filename_tmpl') if key in results}


class _BlackReader:
    """Stands in for the reader of a corrupt video: two seconds of black frames."""

    facts = VideoFacts('', '', 320, 256, 25.0, 50, 50, '', is_plain=True)

    @classmethod
    def opened(cls, results: dict) -> dict:
        """``results`` as if a black video had been opened."""
        return dict(results, video_reader=cls(), total_frames=cls.facts.frames, avg_fps=cls.facts.frame_rate)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Black frames (n, H, W, 3)."""
        return np.stack([_black_frame()] * np.size(indices))


def _black_frame() -> np.ndarray:
    return np.zeros((256, 320, 3), np.uint8)


def _black(folder: Path, suffix: str) -> Path:
    """Return a black video or image of 320 x 256 pixels in ``folder``, written on first use."""
    file = folder / f'black{suffix}'
    if file.is_file():
        return file
    frame = _black_frame()
    with replacing(file) as part:
        if suffix == '.jpg':
            cv2.imwrite(str(part), frame)
        else:
            writer = cv2.VideoWriter(str(part), cv2.VideoWriter_fourcc(*'mp4v'), 25, (320, 256))
            for _ in range(50):
                writer.write(frame)
            writer.release()
    return file
