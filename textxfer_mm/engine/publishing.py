"""Checkpoints to be published: what testing needs, under a name that holds their hash."""

import hashlib
import os
import re
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from textxfer_mm.engine.checkpoint import load_checkpoint_file, state_of
from textxfer_mm.engine.finite import refuse_non_finite
from textxfer_mm.files import replacing
from textxfer_mm.layers.training_only import ATTRIBUTE

#: What a head needs in training alone.
_OF_TRAINING = re.compile(rf'cls_head\.{ATTRIBUTE}\.')
_HASH_LETTERS = 8


@dataclass(frozen=True)
class Published:
    """What was written.

    Attributes:
        path: The file.
        left_out: Names of the weights that only training needs.
        weights: How many other ones there are.
    """

    path: Path
    left_out: tuple[str, ...]
    weights: int


def publish(src: str | Path, dst: str | Path) -> Published:
    """Write what testing needs of a checkpoint: without the state of its training, projections and expanders.

    The file is called as given, with the beginning of its hash: ``model.pth`` becomes ``model-1a2b3c4d.pth``. The same
    weights and config give the same file. It loads into the model of the same config as the whole checkpoint does.

    Args:
        src: The checkpoint.
        dst: The name of the new file, without the hash.

    Raises:
        UserError: The checkpoint is none, holds no weights or some that are not finite, or the file cannot be written.
    """
    loaded = load_checkpoint_file(src)
    state = state_of(loaded, src)
    refuse_non_finite(state, src)
    kept = {name: value for name, value in state.items() if not _OF_TRAINING.match(name)}
    content = dict(state_dict=kept)
    if isinstance(loaded.get('meta'), dict):
        content['meta'] = loaded['meta']
    dst = Path(dst).expanduser()
    whole = dst.with_name(f'.{dst.stem}.{uuid.uuid4().hex}{dst.suffix}')
    try:
        with replacing(whole) as part, part.open('wb') as file:  # an open file: the name would be part of the content
            torch.save(content, file)
        target = dst.with_name(f'{dst.stem}-{_digest(whole)[:_HASH_LETTERS]}{dst.suffix or ".pth"}')
        os.replace(whole, target)
    finally:
        with suppress(OSError):
            whole.unlink()
    return Published(target, tuple(name for name in state if name not in kept), len(kept))


def _digest(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
