"""The number of a training step, which draws are made of: equal on all ranks, and after resuming."""

from collections.abc import Callable


class StepCounter:
    """Calling it gives the iteration of the training that is going on, or counts where there is none.

    Args:
        iteration: Tells the iteration, or None where nobody trains; None counts always.
    """

    def __init__(self, iteration: Callable[[], int | None] | None = None) -> None:
        self._iteration = iteration
        self._count = 0

    def __call__(self) -> int:
        """The number of this step."""
        iteration = self._iteration() if self._iteration else None
        if iteration is None:
            iteration, self._count = self._count, self._count + 1
        return iteration
