"""A checkpoint that was saved within an epoch, and how a run goes on from there exactly."""

from dataclasses import asdict, dataclass
from typing import Any

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from textxfer_mm.engine.random_state import random_state, restore_random_state
from textxfer_mm.engine.remaining_batches import Remaining, can_skip, sampler_of
from textxfer_mm.errors import UserError
from textxfer_mm.log_bridge import TO_TERMINAL

_KEY = 'within_epoch'


@dataclass(frozen=True)
class WithinEpoch:
    """How far an epoch was, for the ``meta`` of a checkpoint; MMEngine itself would begin the epoch anew.

    A run of iterations is one epoch without end; MMEngine itself would decode all its batches again.

    Attributes:
        done: Iterations of the epoch that are done.
        length: Iterations that an epoch has.
        ranks: The processes.
        random_states: The states of the random generators of each rank; None where they are not known.
    """

    done: int
    length: int
    ranks: int
    random_states: list[dict[str, Any]] | None = None

    @classmethod
    def now(cls, runner: Runner, done: int) -> 'WithinEpoch':
        """How far a run is; every rank must ask."""
        return cls(done, len(runner.train_dataloader), get_world_size(), all_gather_object(random_state()))

    @classmethod
    def told_by_one(cls, runner: Runner, done: int) -> 'WithinEpoch':
        """How far a run is, without the random states of other ranks; any rank may ask."""
        alone = get_world_size() == 1
        return cls(done, len(runner.train_dataloader), get_world_size(), [random_state()] if alone else None)

    @classmethod
    def of(cls, checkpoint: dict[str, Any]) -> 'WithinEpoch | None':
        """What a checkpoint holds; None where it was saved after an epoch."""
        held = checkpoint['meta'].get(_KEY)
        return None if held is None else cls(**held)

    def meta(self) -> dict[str, Any]:
        """The entry of ``meta``."""
        return {_KEY: asdict(self)}

    def require_same_epoch(self, runner: Runner) -> None:
        """Refuse a run whose epochs have other iterations.

        Raises:
            UserError: It is so.
        """
        loop, length, ranks = runner.train_loop, len(runner.train_dataloader), get_world_size()
        if not isinstance(loop, EpochBasedTrainLoop) or (length, ranks) != (self.length, self.ranks):
            raise UserError(
                f'--resume: the checkpoint was saved after {self.done} of the {self.length} iterations of an epoch, on '
                f'{self.ranks} processes; {type(loop).__name__} has {length} here, on {ranks}. Use the '
                'config it was trained with, or --resume FILE with an epoch_* file.'
            )

    def pass_over(self, runner: Runner) -> None:
        """Let the epoch that begins leave out the batches that are done.

        Their indices are drawn and nothing of them is decoded, where what the others draw does not depend on it;
        otherwise they are decoded again.
        """
        loop, loader = runner.train_loop, runner.train_dataloader
        runner.logger.info(
            f'{self.done} of the {self.length} iterations of this epoch are done and passed over.', extra=TO_TERMINAL
        )
        if can_skip(loader) or self.random_states is None:
            loop.dataloader = _Rest(self, loop, loader)
            return
        train = loop.run_iter

        def run_iter(idx: int, data_batch: Any) -> None:
            if idx + 1 == self.done:
                loop.run_iter = train
                self.restore()

        loop.run_iter = run_iter

    def restore(self) -> None:
        """Let this rank draw on as the run that was stopped would have."""
        if self.random_states is not None:
            restore_random_state(self.random_states[get_rank()])


class _Rest:
    """Stands for the dataloader while the rest of an epoch is begun, and numbers its batches as in the whole."""

    def __init__(self, within: WithinEpoch, loop: EpochBasedTrainLoop, loader: DataLoader) -> None:
        self._within, self._loop, self._loader = within, loop, loader

    def __iter__(self) -> Any:
        loop, done = self._loop, self._within.done
        loop.dataloader = self._loader
        remaining = Remaining(sampler_of(self._loader), done)
        batches = remaining.batches_of(self._loader)
        self._within.restore()
        train = loop.run_iter
        loop.run_iter = lambda idx, data_batch: train(done + idx, data_batch)
        try:
            yield from batches
        finally:
            loop.run_iter = train

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
