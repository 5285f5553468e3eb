"""All runs that are still to be done, shared among worker processes of one thread each."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from paper_tables_parts.settings import Scale, Setting, at_scale, key_of, make_config


@dataclass(frozen=True)
class Run:
    """One setting with one seed.

    Attributes:
        setting: What is trained.
        seed: Of the videos, the weights, the order of the videos and the draws.
        config: The whole config.
        file: Its result; there if and only if the run is done.
    """

    setting: Setting
    seed: int
    config: Config
    file: Path


def plan(settings: Sequence[Setting], seeds: Sequence[int], scale: Scale, folder: Path) -> list[Run]:
    """All runs, those of one process first and then seed by seed: a stop leaves whole seeds."""
    runs = []
    for seed in seeds:
        for setting in settings:
            own = at_scale(setting, scale)
            config = make_config(setting, seed, own)
            name = f'{setting.name}-seed{seed}-{key_of(config, setting, own)}.json'
            runs.append(Run(setting, seed, config, folder / 'results' / name))
    return sorted(runs, key=lambda run: run.setting.ranks > 1)


def results_of(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What the finished ones of some runs wrote."""
    return [json.loads(run.file.read_text()) for run in runs if run.file.exists()]


def perform(runs: Sequence[Run], jobs: int, command: Sequence[str], log: Path, say: Callable[[str], None]) -> list[str]:
    """Do the runs whose results are missing; runs of several processes come last and one at a time.

    Args:
        runs: All runs.
        jobs: How many processes compute at once.
        command: Starts a worker, which reads lines ``setting seed`` and answers each by one line: nothing, or what went
            wrong.
        log: What the workers print otherwise goes to this file.
        say: Told one line a run.

    Returns:
        What went wrong, one line each.
    """
    todo = [run for run in runs if not run.file.exists()]
    say(f'{len(runs) - len(todo)} of {len(runs)} runs are done, {len(todo)} to do')
    clock = _Clock(len(todo), len(runs) - len(todo), len(runs), say)
    for part, workers in (
        ([r for r in todo if r.setting.ranks == 1], jobs),
        ([r for r in todo if r.setting.ranks > 1], 1),
    ):
        queue, lock = iter(part), threading.Lock()
        arguments = (queue, lock, command, log, clock)
        threads = [threading.Thread(target=_work, args=arguments, daemon=True) for _ in range(min(workers, len(part)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return clock.failures


class _Clock:
    """Counts finished runs and tells the time that is left."""

    def __init__(self, todo: int, done: int, total: int, say: Callable[[str], None]) -> None:
        self.todo, self.before, self.total, self.say = todo, done, total, say
        self.failures: list[str] = []
        self._finished, self._start, self._lock = 0, time.monotonic(), threading.Lock()

    def tell(self, run: Run, problem: str) -> None:
        """One run has ended."""
        with self._lock:
            self._finished += 1
            left = (time.monotonic() - self._start) / self._finished * (self.todo - self._finished)
            name = f'[{self.before + self._finished}/{self.total}] {run.setting.name}, seed {run.seed}'
            if problem:
                self.failures.append(f'{run.setting.name}, seed {run.seed}: {problem}')
                self.say(f'{name}: FAILED, {problem}')
                return
            result = json.loads(run.file.read_text())
            unseen = '' if result['zero_shot'] is None else f', {100 * result["zero_shot"]:.1f} % on unseen classes'
            self.say(
                f'{name}: {100 * result["seen"]:.1f} %{unseen}, {result["seconds"]:.0f} s; '
                f'about {left / 60:.0f} min left'
            )


def _work(queue: Iterator[Run], lock: threading.Lock, command: Sequence[str], log: Path, clock: _Clock) -> None:
    """Feed one worker process; it ends with its input, and so with this process, however that ends."""
    env = dict(os.environ, OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE')
    worker = None
    while True:
        with lock:
            run = next(queue, None)
        if run is None:
            break
        if worker is None:
            with log.open('a') as errors:
                worker = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=env
                )
        try:
            worker.stdin.write(f'{run.setting.name} {run.seed}\n')
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except BrokenPipeError:
            answer = ''
        if not answer:
            worker.wait()
            worker, answer = None, f'the process ended, see {log}'
        clock.tell(run, answer.strip() if answer != 'done\n' else '')
    if worker is not None:
        worker.stdin.close()
        worker.wait()


def serve(do: Callable[[str, int], None]) -> None:
    """Be a worker: read ``setting seed`` from standard input, do it, answer ``done`` or the reason why not."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print goes to the log
    for line in sys.stdin:
        name, seed = line.split()
        try:
            do(name, int(seed))
            answers.write('done\n')
        except Exception as error:
            import traceback

            traceback.print_exc()
            answers.write(f'{type(error).__name__}: {" ".join(str(error).split())[-300:]}\n')
        answers.flush()
