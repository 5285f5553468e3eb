"""What may be chosen of a run, and the time that it takes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from textxfer_mm.errors import UserError


@dataclass(frozen=True)
class TrainingSettings:
    """What may be chosen.

    Attributes:
        source: Class folders, or a list; see :func:`~textxfer_mm.apis.folder_training.videos.read_videos`.
        out: Folder for the model and the report.
        names: Class names in the order of the labels; None takes those of the folders.
        val: Videos to validate with; None draws them.
        groups: What tells videos that stay on one side, see :func:`~textxfer_mm.apis.data_split.groups_of`.
        seed: Seed of the draws.
        start: The model to start from, see :func:`~textxfer_mm.apis.folder_training.starting.starting_point`.
        check: Whether every video is decoded as a whole before.
        device: Where the encoder runs; None takes the GPU where there is one.
        finetune: Whether the whole model is trained too; None does it where there is a GPU.
    """

    source: str | Path
    out: Path
    names: str | Path | Sequence[str] | None = None
    val: str | Path | None = None
    groups: str | None = None
    seed: int = 0
    start: dict[str, Any] = field(default_factory=dict)
    check: bool = True
    device: str | None = None
    finetune: bool | None = None

    @property
    def trains_whole_model(self) -> bool:
        """Whether the whole model is trained too.

        Raises:
            UserError: It was asked for on another device than MMEngine's runner takes.
        """
        runner_takes = 'cuda' if torch.cuda.is_available() else 'cpu'
        fits = self.device in (None, runner_takes, f'{runner_takes}:0')
        if self.finetune and not fits:
            raise UserError(
                f'--finetune trains on {runner_takes} here, not on --device {self.device}: leave one of the two out. '
                'CUDA_VISIBLE_DEVICES says which GPU that is, and CUDA_VISIBLE_DEVICES=-1 that it is none.'
            )
        return (runner_takes == 'cuda' and fits) if self.finetune is None else self.finetune


class Clock:
    """Seconds of each step, and of the processor."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begin = self._last = time.perf_counter()
        self._processor = time.process_time()

    def __call__(self, step: str) -> None:
        """A step has ended."""
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._last
        self._last = now

    def processor_seconds(self) -> float:
        """Seconds of all cores that this process took."""
        return time.process_time() - self._processor

    def total(self) -> dict[str, float]:
        """All seconds, with their sum."""
        return {**self.seconds, 'total': time.perf_counter() - self._begin}
