"""Decoding that survives corrupt videos: skipped and counted in training, listed in testing."""

import json
import os
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from textxfer_mm.errors import UserError
from textxfer_mm.registry import TRANSFORMS

#: Names the folder of this process's record of corrupt videos; set by ``CorruptVideoHook``, inherited by data workers.
RECORD_ENV = 'TEXTXFER_CORRUPT_VIDEO_DIR'
RECORD_NAME = 'corrupt.jsonl'
#: So many failures without one success between them mean that the files or the pipeline are wrong as a whole.
MAX_IN_A_ROW = 100


@TRANSFORMS.register_module()
class TolerantDecode(BaseTransform):
    """Wraps the steps that open, sample and decode a video, and survives files that cannot be decoded.

    In training the sample becomes None and MMEngine's dataset draws another one. In testing (``test_mode=True``) black
    frames stand in, so that the epoch goes on and finds the other corrupt files too, and ``CorruptVideoHook`` ends the
    run before anything is scored. Empty, truncated and missing files, files that are no video and videos without
    frames count as corrupt; what the decoder still reads of a damaged file counts as a video. Without the hook the
    first corrupt file is an error.

    Example::

        dict(type='TolerantDecode', transforms=[
            dict(type='DecordInit'),
            dict(type='SampleFrames', clip_len=8, frame_interval=8, num_clips=1),
            dict(type='DecordDecode')])

    Required keys: those of the wrapped steps; ``filename`` (videos) or ``frame_dir`` (raw frames).
    Added keys: those of the wrapped steps; ``imgs``, a list of T frames (H, W, 3), among them.

    Args:
        transforms: Configs or callables of the wrapped steps, the decoding step last.
        test_mode: Replace a corrupt video by black frames instead of dropping the sample.
    """

    def __init__(self, transforms: Sequence[dict | Callable], test_mode: bool = False) -> None:
        super().__init__()
        self.transforms = Compose(transforms)
        self.test_mode = test_mode
        self._in_a_row = 0

    def transform(self, results: dict) -> dict | None:
        """Decode ``results``; None stands for a corrupt video in training."""
        try:
            decoded = self._decode(dict(results))
        except (ImportError, MemoryError, UserError):
            raise
        except Exception as error:
            return self._survive(results, error)
        self._in_a_row = 0
        return decoded

    def _decode(self, results: dict) -> dict:
        _refuse_truncated_avi(results.get('filename', ''))
        decoded = self.transforms(results)
        if decoded is None:
            raise ValueError('a step dropped the sample')
        if 'imgs' not in decoded:
            raise UserError(
                'TolerantDecode must wrap the decoding step too (such as DecordDecode): no `imgs` came out.'
            )
        if len(decoded['imgs']) == 0:
            raise ValueError('no frames')
        return decoded

    def _survive(self, results: dict, error: Exception) -> dict | None:
        """Record a corrupt video and return its replacement."""
        name = str(results.get('filename', results.get('frame_dir')))
        reason = _reason(name, error)
        folder = os.environ.get(RECORD_ENV)
        if folder is None or not os.path.isdir(folder):
            raise UserError(
                f'cannot decode {name} ({reason}). To skip such files in training and list them all in testing, add '
                "dict(type='CorruptVideoHook') to custom_hooks."
            )
        record(folder, name, reason, test_mode=self.test_mode)
        self._in_a_row += 1
        if self._in_a_row >= MAX_IN_A_ROW and not self.test_mode:
            raise UserError(
                f'{MAX_IN_A_ROW} videos in a row could not be decoded, the last one {name} ({reason}). '
                'Check the video folder (data_prefix, data_root) and the decoding steps of the pipeline.'
            )
        return self._decode(_with_black_source(results, Path(folder))) if self.test_mode else None

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


def record(folder: str, name: str, reason: str, *, test_mode: bool) -> None:
    """Append one line to the record; a single write, so that lines of several workers do not mix."""
    line = json.dumps(dict(name=name, reason=reason, test=test_mode)) + '\n'
    descriptor = os.open(os.path.join(folder, RECORD_NAME), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _refuse_truncated_avi(name: str) -> None:
    """Refuse an AVI file that is shorter than its header says, or whose header was never completed.

    decord 0.6.0 reads past the end of such a file when it is given as bytes, as mmaction does, and the worker dies of a
    segmentation fault, which no handler can survive.
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


def _black(folder: Path, suffix: str) -> Path:
    """Return a black video or image of 340 x 256 pixels in ``folder``, written at its first use."""
    import cv2
    import numpy as np

    file = folder / f'black{suffix}'
    if file.is_file():
        return file
    frame = np.zeros((256, 340, 3), np.uint8)
    partial = folder / f'black{os.getpid()}{suffix}'
    if suffix == '.jpg':
        cv2.imwrite(str(partial), frame)
    else:
        writer = cv2.VideoWriter(str(partial), cv2.VideoWriter_fourcc(*'mp4v'), 25, (340, 256))
        for _ in range(50):
            writer.write(frame)
        writer.release()
    os.replace(partial, file)
    return file
