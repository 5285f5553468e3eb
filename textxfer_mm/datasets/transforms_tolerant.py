"""Decoding that survives corrupt videos: skipped and counted in training, listed in testing.

``TolerantDecordInit`` and ``TolerantDecordDecode`` replace the stock steps one by one; ``TolerantDecode`` wraps the
steps of any decoder. All of them report to ``CorruptVideoHook``; without it the first corrupt file is an error.
"""

import os
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from textxfer_mm.datasets.corrupt_record import record
from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing
from textxfer_mm.registry import TRANSFORMS

from mmaction.datasets.transforms import DecordDecode, DecordInit  # isort: skip  (after the registry: it repairs mmaction)

#: This many failures in a row mean that the files or the pipeline are wrong as a whole.
MAX_IN_A_ROW = 100


class _Tolerant:
    """What the tolerant steps share: try, record a failure, and carry on with None or a stand-in."""

    test_mode: bool
    _in_a_row: int = 0

    def _attempt(self, step: Callable, results: dict, stand_in: Callable[[Path], dict]) -> dict | None:
        """Run ``step`` on a copy of ``results``; None stands for a corrupt video in training.

        Raises:
            UserError: Without a ``CorruptVideoHook``, or after :data:`MAX_IN_A_ROW` failures in a row in training.
        """
        try:
            done = step(dict(results))
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
        folder = record(name, reason, test_mode=self.test_mode)
        if folder is None:
            raise UserError(
                f'cannot decode {name} ({reason}). To skip such files in training and list them all in testing, add '
                "dict(type='CorruptVideoHook') to custom_hooks."
            )
        self._in_a_row += 1
        if self._in_a_row >= MAX_IN_A_ROW and not self.test_mode:
            raise UserError(
                f'{MAX_IN_A_ROW} videos in a row could not be decoded, the last one {name} ({reason}). '
                'Check the video folder (data_prefix, data_root) and the decoding steps of the pipeline.'
            )
        return folder


@TRANSFORMS.register_module()
class TolerantDecordInit(_Tolerant, DecordInit):
    """``DecordInit`` that survives files which cannot be opened; to be used with :class:`TolerantDecordDecode`.

    These two are drop-in replacements of the stock steps, which ``MMAction2Inferencer`` recognises by name. In
    training, a corrupt sample becomes None, and MMEngine's dataset draws another one. In testing, a black video stands
    in for it, so that the epoch goes on and finds the other corrupt files, too; ``CorruptVideoHook`` then ends the run
    before anything is scored. Empty, truncated and missing files, files that are not videos, and videos without frames
    count as corrupt.

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

        def stand_in(folder: Path) -> dict:
            black = self._open(dict(results, filename=str(_black(folder, '.mp4'))))
            return dict(black, filename=results['filename'])

        return self._attempt(self._open, results, stand_in)

    def _open(self, results: dict) -> dict:
        _refuse_truncated_avi(results['filename'])
        opened = super().transform(results)
        if opened['total_frames'] == 0:
            raise ValueError('no frames')
        return opened


@TRANSFORMS.register_module()
class TolerantDecordDecode(_Tolerant, DecordDecode):
    """``DecordDecode`` that survives videos whose frames cannot be decoded; see :class:`TolerantDecordInit`.

    Args:
        mode: 'accurate' or 'efficient', as in ``DecordDecode``.
        test_mode: Replace the frames of a corrupt video by black ones instead of dropping the sample.
    """

    def __init__(self, mode: str = 'accurate', test_mode: bool = False) -> None:
        super().__init__(mode=mode)
        self.test_mode = test_mode

    def transform(self, results: dict) -> dict | None:
        """Decode the frames ``results['frame_inds']``."""

        def stand_in(folder: Path) -> dict:
            frame_inds = np.reshape(results['frame_inds'], -1)
            frames = [_black_frame() for _ in frame_inds]
            shape = frames[0].shape[:2]
            return dict(
                results, video_reader=None, frame_inds=frame_inds, imgs=frames, original_shape=shape, img_shape=shape
            )

        return self._attempt(super().transform, results, stand_in)


@TRANSFORMS.register_module()
class TolerantDecode(_Tolerant, BaseTransform):
    """Wraps the steps that open, sample and decode a video, and makes them as tolerant as :class:`TolerantDecordInit`.

    Meant for PyAV, OpenCV and raw frames; whatever the decoder can still read of a damaged file counts as a video. With
    decord, prefer the two drop-in steps: ``MMAction2Inferencer`` rewrites pipelines step by step and would replace a
    wrapper.

    Example::

        dict(type='TolerantDecode', transforms=[
            dict(type='PyAVInit'),
            dict(type='SampleFrames', clip_len=8, frame_interval=8, num_clips=1),
            dict(type='PyAVDecode')])

    Args:
        transforms: Configs or callables of the wrapped steps, the decoding step last.
        test_mode: Replace a corrupt video by black frames instead of dropping the sample.
    """

    def __init__(self, transforms: Sequence[dict | Callable], test_mode: bool = False) -> None:
        super().__init__()
        self.transforms = Compose(transforms)
        self.test_mode = test_mode

    def transform(self, results: dict) -> dict | None:
        """Decode the video ``results['filename']`` or the raw frames of ``results['frame_dir']``."""

        def stand_in(folder: Path) -> dict:
            return dict(self._decode(_with_black_source(results, folder)), **_source(results))

        return self._attempt(self._decode, results, stand_in)

    def _decode(self, results: dict) -> dict:
        _refuse_truncated_avi(results.get('filename', ''))
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
    if os.path.isfile(name) and os.path.getsize(name) == 0:
        return 'empty file'
    if isinstance(error, FileNotFoundError):
        return 'missing file'
    text = re.sub(r'\[[\d:]+\] \S+\.\w+:\d+: ', '', str(error))  # decord puts its time and source line in front
    return f'{type(error).__name__}: {text}'.strip().splitlines()[0][:200]


def _refuse_truncated_avi(name: str) -> None:
    """Refuse an AVI file that is shorter than its header says, or whose header was never completed.

    decord 0.6.0 reads past the end of such a file when it is given as bytes, as mmaction does; the worker then dies of
    a segmentation fault, which no handler can catch.
    """
    if not name.lower().endswith('.avi') or not os.path.isfile(name):
        return
    with open(name, 'rb') as stream:
        tag, length, kind = struct.unpack('<4sI4s', stream.read(12).ljust(12, b'\0'))
    if tag == b'RIFF' and kind == b'AVI ' and not 0 < length <= os.path.getsize(name) - 8:
        raise ValueError(f'truncated AVI: the header declares {length + 8} bytes, the file has {os.path.getsize(name)}')


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
