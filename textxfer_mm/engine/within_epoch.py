"""A checkpoint that was saved within an epoch, and how a run goes on from there exactly."""

from dataclasses import asdict, dataclass
from typing import Any

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.runner import EpochBasedTrainLoop, Runner

from textxfer_mm.engine.random_state import random_state, restore_random_state
from textxfer_mm.errors import UserError

_KEY = 'within_epoch'


@dataclass(frozen=True)
class WithinEpoch:
    """How far an epoch was, for the ``meta`` of a checkpoint; MMEngine itself would begin the epoch anew.

    Attributes:
        done: Iterations of the epoch that are done.
        length: Iterations that an epoch has.
        random_states: The states of the random generators of each rank.
    """

    done: int
    length: int
    random_states: list[dict[str, Any]]

    @classmethod
    def now(cls, runner: Runner, done: int) -> 'WithinEpoch':
        """How far a run is; every rank must ask."""
        return cls(done, len(runner.train_dataloader), all_gather_object(random_state()))

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
        if not isinstance(loop, EpochBasedTrainLoop) or (length, ranks) != (self.length, len(self.random_states)):
            raise UserError(
                f'--resume: the checkpoint was saved after {self.done} of the {self.length} iterations of an epoch, on '
                f'{len(self.random_states)} processes; {type(loop).__name__} has {length} here, on {ranks}. Use the '
                'config it was trained with, or --resume FILE with an epoch_* file.'
            )

    def pass_over(self, runner: Runner) -> None:
        """Let the epoch that begins draw the batches that are done without training on them."""
        loop = runner.train_loop
        runner.logger.info(f'{self.done} of the {self.length} iterations of this epoch are done and passed over.')
        train = loop.run_iter

        def run_iter(idx: int, data_batch: Any) -> None:
            if idx + 1 == self.done:
                loop.run_iter = train
                restore_random_state(self.random_states[get_rank()])

        loop.run_iter = run_iter
