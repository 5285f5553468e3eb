"""Counts and names the videos that could not be decoded."""

import collections
import logging
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import Dataset

from textxfer_mm.datasets import corrupt_record
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.files import write_text
from textxfer_mm.registry import HOOKS


@HOOKS.register_module()
class CorruptVideoHook(Hook):
    """Reports what the tolerant decoding steps skipped, across all data workers and ranks.

    After each training epoch the corrupt videos are counted and named in the log, and written to
    ``corrupt_videos_train.txt`` in the run's log folder. Training stops with one message once they exceed ``max_share``
    of the dataset. Validation and testing stop at their last batch, before anything is scored, if even one video was
    corrupt; all of them are named (``corrupt_videos_val.txt``, ``corrupt_videos_test.txt``).

    It also counts, once, the videos of kinds in which decord would have given other frames than were asked for.

    Args:
        max_share: Share of the training videos that may be corrupt, from 0 to 1.
    """

    priority = 'VERY_HIGH'

    def __init__(self, max_share: float = 0.2) -> None:
        if not 0 <= max_share <= 1:
            raise UserError(f'max_share of CorruptVideoHook must lie between 0 and 1, got {max_share}.')
        self.max_share = max_share
        self._begin()
        corrupt_record.wait_for_run()

    def _begin(self) -> None:
        self._offset = 0
        self._found: dict[bool, dict[str, str]] = {False: {}, True: {}}
        self._unusual: dict[bool, dict[str, str]] = {False: {}, True: {}}
        self._told: set[str] = set()

    def before_run(self, runner: Runner) -> None:
        """Open the record of this process for this run."""
        self._begin()
        corrupt_record.open_for(id(self))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Abort as soon as this rank alone has met too many corrupt videos."""
        if self._drain():
            self._check_share(self._found[False], runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Report the corrupt videos of the epoch, and abort if there are too many."""
        found = self._collect(test_mode=False)
        self._tell_unusual('training', runner.train_dataloader.dataset, test_mode=False)
        if found:
            total = count_videos(runner.train_dataloader.dataset)
            self._report(
                found,
                runner,
                'train',
                f'{len(found)} of {total} training videos ({len(found) / total:.1%}) '
                f'could not be decoded in epoch {runner.epoch + 1}; others took their place',
            )
            self._check_share(found, runner)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Fail after the last batch if a validation video was corrupt."""
        self._fail_at_end(runner, batch_idx, 'val')

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Fail after the last batch if a test video was corrupt."""
        self._fail_at_end(runner, batch_idx, 'test')

    def after_run(self, runner: Runner) -> None:
        """Close the record."""
        self._end(runner)

    def _end(self, runner: Runner) -> None:
        """Close the record; the workers of a training loop that is still to be built may need it early."""
        corrupt_record.close()
        if isinstance(runner._train_loop, dict):
            corrupt_record.wait_for_run()

    def _fail_at_end(self, runner: Runner, batch_idx: int, phase: str) -> None:
        loader = getattr(runner, f'{phase}_dataloader')
        if batch_idx + 1 < len(loader):
            return
        found = self._collect(test_mode=True)
        self._tell_unusual(phase, loader.dataset, test_mode=True)
        if not found:
            return
        total = count_videos(loader.dataset)
        file = self._report(found, runner, phase, f'{len(found)} of {total} {phase} videos could not be decoded')
        self._end(runner)
        raise UserError(
            f'{len(found)} of {total} {phase} videos could not be decoded, so nothing was scored: {_first(found)}. '
            f'All are listed in {file}; restore them or take them off the annotation list. '
            'Before a run, `textxfer data check` finds such files.'
        )

    def _check_share(self, found: dict[str, str], runner: Runner) -> None:
        total = count_videos(runner.train_dataloader.dataset)
        if len(found) > self.max_share * total:
            self._end(runner)
            raise UserError(
                f'{len(found)} of {total} training videos could not be decoded, more than max_share={self.max_share:g} '
                f'of CorruptVideoHook allows: {_first(found)}.'
            )

    def _report(self, found: dict[str, str], runner: Runner, phase: str, headline: str) -> Path:
        """Log the headline and all names, and write the names to a file of the log folder; return the file."""
        lines = [f'{name}: {reason}' for name, reason in sorted(found.items())]
        file = Path(runner.log_dir) / f'corrupt_videos_{phase}.txt'
        if is_main_process():
            print_log('\n  '.join([f'{headline}:', *lines]), logger='current', level=logging.WARNING)
            write_text(file, '\n'.join(lines) + '\n')
        return file

    def _drain(self) -> bool:
        """Read what the workers of this rank recorded since the last call, and return whether there was anything."""
        if not corrupt_record.is_open_for(id(self)):
            raise RuntimeError(
                'Another runner of this process took over the record of corrupt videos while this one was running, so '
                'nobody knows whether all videos could be decoded. Run one after the other.'
            )
        entries, self._offset = corrupt_record.read(self._offset)
        for entry in entries:
            kept = self._found if entry['kind'] == 'corrupt' else self._unusual
            kept[entry['test']][entry['name']] = entry['reason']
        return any(entry['kind'] == 'corrupt' for entry in entries)

    def _collect(self, *, test_mode: bool) -> dict[str, str]:
        """Return and forget the corrupt videos of all ranks: name -> reason."""
        self._drain()
        found, self._found[test_mode] = self._found[test_mode], {}
        return _merged(found)

    def _tell_unusual(self, phase: str, dataset: Dataset, *, test_mode: bool) -> None:
        """Log how many videos decord would have misread, when there are new ones."""
        unusual = _merged(self._unusual[test_mode])
        if not unusual.keys() - self._told:
            return
        self._told |= unusual.keys()
        kinds = collections.Counter(unusual.values()).most_common()
        print_log(
            f'{len(unusual)} of {count_videos(dataset)} {phase} videos are of kinds in which decord gives other frames '
            f'than asked for; they were decoded exactly: {first_few((f"{n} x {kind}" for kind, n in kinds), 5, "; ")}.',
            logger='current',
        )


def _merged(entries: dict[str, str]) -> dict[str, str]:
    """The entries of all ranks."""
    return {name: reason for part in all_gather_object(entries) for name, reason in part.items()}


def count_videos(dataset: Dataset) -> int:
    """Count the samples of a dataset; those of a repeated dataset count once."""
    parts: Sequence[Dataset] | None = getattr(dataset, 'datasets', None)
    if parts is not None:
        return sum(count_videos(part) for part in parts)
    inner = getattr(dataset, 'dataset', None)
    return count_videos(inner) if inner is not None and len(inner) <= len(dataset) else len(dataset)


def _first(found: dict[str, str]) -> str:
    """Name the first few corrupt videos with their reasons."""
    return first_few(f'{name} ({reason})' for name, reason in sorted(found.items()))
