"""From which checkpoint a run goes on: the newest that is whole and holds all that an exact resume needs."""

import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.engine.checkpoint import load_checkpoint_file, state_of
from textxfer_mm.engine.finite import refuse_non_finite
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.inputs import URL, require_checkpoint

#: MMEngine's record of the newest checkpoint; it holds an absolute path.
LAST_CHECKPOINT = 'last_checkpoint'
#: Our record of the newest iteration after which the model was validated (:class:`ResumeHook` writes it).
LAST_VALIDATION = 'last_validation'
#: What an exact resume needs, and as what MMEngine saves it.
_PARTS = {'message_hub': dict, 'optimizer': dict, 'param_schedulers': (list, dict)}


@dataclass(frozen=True)
class Resumable:
    """A checkpoint to go on from.

    Attributes:
        path: The file.
        epoch: Epochs that are done.
        iter: Iterations that are done.
        saved: When it was saved, as ``YYYYmmdd_HHMMSS``.
        passed_over: Newer files that cannot be used, with the reasons.
    """

    path: Path
    epoch: int
    iter: int
    saved: str
    passed_over: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return f'{self.path} (epoch {self.epoch}, iteration {self.iter})'


def choose_resume(cfg: Config, asked: str | None) -> Resumable | None:
    """Settle from which checkpoint a run goes on, and set ``resume`` and ``load_from`` of its config accordingly.

    Args:
        cfg: The config of the run; its own ``resume`` counts where nothing is asked for.
        asked: A file, or 'auto' for the newest that can be used.

    Returns:
        The checkpoint; None for a run that begins anew, or one behind a URL.

    Raises:
        UserError: See :func:`resume_point`.
    """
    if asked is None and not cfg.get('resume'):
        return None
    file = cfg.get('load_from') if asked is None else None if asked == 'auto' else asked
    if file is not None and URL.match(str(file)):
        cfg.resume, cfg.load_from = True, file
        return None
    found = resume_point(cfg, file)
    if found is None:
        cfg.resume = False
    else:
        cfg.resume, cfg.load_from = True, str(found.path)
    return found


def resume_point(cfg: Config, file: str | Path | None = None) -> Resumable | None:
    """Choose the checkpoint that a run goes on from.

    Args:
        cfg: The config of the run.
        file: The checkpoint that was asked for; None takes the newest of the work dir that can be used.

    Returns:
        The checkpoint; None where the work dir holds none at all.

    Raises:
        UserError: The file that was asked for cannot be resumed from exactly, or none of those of the work dir can.
    """
    if file is not None:
        found = _read(require_checkpoint(file), cfg)
        _require_whole(found.path)
        return found
    files = list(_candidates(cfg))
    usable, broken = [], {}
    for path in files:
        try:
            usable.append(_read(path, cfg))
        except UserError as error:
            broken[path] = str(error)
    for found in sorted(usable, key=lambda one: (one.saved, one.iter), reverse=True):
        try:
            _require_whole(found.path)
        except UserError as error:
            broken[found.path] = str(error)
            continue
        newer = [reason for path, reason in broken.items() if _saved(path) >= found.saved]
        return Resumable(found.path, found.epoch, found.iter, found.saved, (*_lost(cfg), *newer))
    if broken:
        raise UserError(
            f'--resume: no checkpoint in {cfg.work_dir} can be resumed from. '
            f'{first_few(broken.values(), separator=" ")} Run without --resume to begin anew.'
        )
    return None


def is_finished(cfg: Config, found: Resumable) -> bool:
    """Whether a run has nothing left to do: all is trained, and the last validation was done."""
    loop = cfg.train_cfg
    by_epoch = loop.get('by_epoch', loop.get('max_epochs') is not None)
    done, last = (found.epoch, loop.get('max_epochs')) if by_epoch else (found.iter, loop.get('max_iters'))
    if last is None or done < last:
        return False
    validates = cfg.get('val_cfg') is not None and loop.get('val_begin', 1) <= last
    return not validates or last_validation(cfg.work_dir) >= found.iter


def newest_checkpoint(cfg: Config) -> Path | None:
    """The file that was saved last, of those that a run may go on from; nothing is read."""
    found = list(_candidates(cfg))
    return max(found, key=lambda path: path.stat().st_mtime) if found else None


def last_validation(work_dir: str | Path) -> int:
    """The iterations that were done when the model was validated for the last time; 0 without a record."""
    try:
        return int((Path(work_dir) / LAST_VALIDATION).read_text())
    except (OSError, ValueError):
        return 0


def _candidates(cfg: Config) -> Iterator[Path]:
    """The files that may be the newest checkpoint: those of the run's folders, or what ``last_checkpoint`` names."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    folders = [Path(cfg.work_dir)]
    if hook.get('out_dir') and not URL.match(str(hook['out_dir'])):
        folders.append(Path(hook['out_dir']) / Path(cfg.work_dir).name)
    files = [path for folder in folders for path in sorted(folder.glob('[!.]*.pth')) if path.is_file()]
    files = [path for path in files if not path.name.startswith('best_')]
    named = _named(cfg)
    yield from files or ([named] if named and named.is_file() else [])


def _named(cfg: Config) -> Path | None:
    """What ``last_checkpoint`` names."""
    try:
        text = (Path(cfg.work_dir) / LAST_CHECKPOINT).read_text(encoding='utf-8').strip()
    except (OSError, ValueError):
        return None
    return Path(text) if text and '\0' not in text else None


def _lost(cfg: Config) -> list[str]:
    """What to say about a ``last_checkpoint`` whose file is in none of the run's folders any more."""
    named = _named(cfg)
    if named is None or os.path.lexists(named) or any(path.name == named.name for path in _candidates(cfg)):
        return []
    return [f'{named}, which {LAST_CHECKPOINT} names, is gone.']


def _read(path: Path, cfg: Config) -> Resumable:
    """Read how far a checkpoint is; its tensors are looked at later.

    Raises:
        UserError: It cannot be read, or lacks what an exact resume needs.
    """
    loaded = load_checkpoint_file(path, mmap=True)
    meta = loaded.get('meta') if isinstance(loaded, dict) else None
    wanted = [name for name in _PARTS if name != 'param_schedulers' or cfg.get('param_scheduler')]
    held = loaded if isinstance(meta, dict) else {}
    missing = [name for name in wanted if not isinstance(held.get(name), _PARTS[name]) or not held[name]]
    if missing or not all(isinstance(meta.get(name), int) and meta[name] >= 0 for name in ('epoch', 'iter')):
        raise UserError(
            f'{path} cannot be resumed from: it lacks {", ".join(missing) or "the epoch"}, so that rates and schedule '
            'would silently begin anew (files best_* hold weights alone). Give an epoch_* or iter_* file, or start a '
            f'new run from its weights: --cfg-options load_from={path}.'
        )
    _require_schedule(loaded.get('param_schedulers') or [], cfg.get('param_scheduler') or [], path)
    return Resumable(path, meta['epoch'], meta['iter'], str(meta.get('time') or _saved(path)))


def _require_schedule(held: Any, asked: Any, path: Path) -> None:
    """Refuse another number of schedulers: MMEngine would restore the first few only."""
    asked = [asked] if isinstance(asked, Mapping) else asked
    if len(held) != len(asked):
        raise UserError(
            f'{path} cannot be resumed from: it holds the state of {len(held)} schedulers (param_scheduler), the '
            f'config has {len(asked)}. Use the config it was trained with.'
        )


def _require_whole(path: Path) -> None:
    """Refuse a file with damaged content, or weights that are not finite.

    Raises:
        UserError: It is so.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            try:
                damaged = archive.testzip()
            except (OSError, zipfile.BadZipFile, EOFError) as error:
                damaged = str(error)
        if damaged is not None:
            raise UserError(f'{path} is damaged: the checksum of {damaged} is wrong.')
    refuse_non_finite(state_of(load_checkpoint_file(path, mmap=True), path), path)


def _saved(path: Path) -> str:
    """When a file was written, as MMEngine writes it into checkpoints."""
    return time.strftime('%Y%m%d_%H%M%S', time.localtime(path.stat().st_mtime))
