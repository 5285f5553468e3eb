"""Times steps and tells what they do."""

import time
from collections.abc import Callable
from typing import Any

from textxfer_mm.evaluation.scores import Progress


class Step:
    """One running step: where it tells its progress and its result."""

    def __init__(self, key: str, progress: Callable[[str, int, int], None]) -> None:
        self.note = ''
        self.progress: Progress = lambda done, total: progress(key, done, total)


class Steps:
    """Times the steps: ``with steps('train') as step: ...``."""

    def __init__(self, progress: Callable[[str, int, int], None], finished: Callable[[str, float, str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._progress, self._finished = progress, finished

    def __call__(self, key: str) -> 'Steps':
        """Name the step that is about to begin."""
        self._key = key
        return self

    def __enter__(self) -> Step:
        self._start = time.perf_counter()
        self._progress(self._key, 0, 1)
        self._step = Step(self._key, self._progress)
        return self._step

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self.seconds[self._key] = time.perf_counter() - self._start
            self._finished(self._key, self.seconds[self._key], self._step.note)
