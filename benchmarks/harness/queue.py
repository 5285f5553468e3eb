"""All runs that are still to be done, shared among worker processes of one thread each."""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.runs import ResultsFile, Run

VERSIONS = ('torch', 'mmaction2')


def perform(
    runs: Sequence[Run],
    results: ResultsFile,
    *,
    jobs: int,
    command: Sequence[str],
    log: Path,
    say: Callable[[str], None],
    told: Callable[[Mapping[str, Any]], str],
) -> list[str]:
    """Do the runs that have no result; runs of several processes come last and one at a time.

    Args:
        runs: All runs, in the order in which they are to be done.
        results: Where finished runs are looked up and kept.
        jobs: How many processes compute at once.
        command: Starts a worker, see :func:`serve`.
        log: What the workers print otherwise goes to this file.
        say: Told one line a run.
        told: Says in a few words what a run measured.

    Returns:
        What went wrong, one line each.
    """
    todo = list({run.key: run for run in runs if run not in results}.values())
    done = sum(run in results for run in runs)
    say(f'{done} of {len(runs)} runs are done, {len(todo)} to do')
    reception = _Reception(results, done, len(todo), say, told)
    single, several = ([r for r in todo if (r.ranks > 1) == many] for many in (False, True))
    for part, workers in ((single, jobs), (several, 1)):
        queue, lock = iter(part), threading.Lock()
        workers = min(workers, len(part))
        arguments = (queue, lock, command, log, reception, workers)
        threads = [threading.Thread(target=_work, args=arguments, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return reception.failures


class _Reception:
    """Keeps the results of finished runs, counts them and tells the time that is left."""

    def __init__(self, results: ResultsFile, done: int, todo: int, say: Callable, told: Callable) -> None:
        self.results, self.before, self.todo, self.say, self.told = results, done, todo, say, told
        self.failures: list[str] = []
        self._finished, self._start, self._lock = 0, time.monotonic(), threading.Lock()

    def take(self, run: Run, answer: Mapping[str, Any], at_once: int) -> None:
        """One run has ended, where so many were done at once."""
        with self._lock:
            self._finished += 1
            left = (time.monotonic() - self._start) / self._finished * (self.todo - self._finished)
            name = f'[{self.before + self._finished}/{self.before + self.todo}] {run}'
            if 'problem' in answer:
                self.failures.append(f'{run}: {answer["problem"]}')
                self.say(f'{name}: FAILED, {answer["problem"]}')
                return
            self.results.append({'at_once': at_once, **answer})
            told = ', '.join(filter(None, [self.told(answer), f'{answer["seconds"]:.0f} s']))
            self.say(f'{name}: {told}; about {left / 60:.0f} min left')


def _work(
    queue: Iterator[Run],
    lock: threading.Lock,
    command: Sequence[str],
    log: Path,
    reception: _Reception,
    workers: int,
) -> None:
    """Feed one of so many worker processes; it ends with its input, and so with this process, however that ends."""
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
            worker.stdin.write(json.dumps([run.row, run.seed]) + '\n')
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except BrokenPipeError:
            answer = ''
        if not answer:
            worker.wait()
            worker, answer = None, json.dumps(dict(problem=f'the process ended, see {log}'))
        reception.take(run, json.loads(answer), workers)
    if worker is not None:
        worker.stdin.close()
        worker.wait()


def serve(run_of: Callable[[str, int], Run], do: Callable[[Run], Mapping[str, Any]]) -> None:
    """Be a worker: read a row and a seed a line from standard input, do the run, answer its result or the problem.

    What is kept with a result is the key of the run as this process knows it, the time it took, and the versions.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print goes to the log
    for line in sys.stdin:
        try:
            run = run_of(*json.loads(line))
            answer = {'key': run.key, 'row': run.row, 'seed': run.seed, **_timed(do, run), **machine()}
        except Exception as error:
            import traceback

            traceback.print_exc()
            answer = dict(problem=f'{type(error).__name__}: {" ".join(str(error).split())[-300:]}')
        answers.write(json.dumps(answer) + '\n')
        answers.flush()


def _timed(do: Callable[[Run], Mapping[str, Any]], run: Run) -> dict[str, Any]:
    """What a run measured, with its wall time and the processor time of its processes, unless it tells them itself."""
    wall, processor = time.perf_counter(), sum(os.times()[:4])
    measured = do(run)
    took = dict(seconds=time.perf_counter() - wall, cpu_seconds=sum(os.times()[:4]) - processor)
    return {**took, **measured}


def machine() -> dict[str, Any]:
    """Number of cores, versions, and the accelerator where there is one, which MMEngine's runner takes."""
    versions = dict(python=platform.python_version(), **{name: version(name) for name in VERSIONS})
    torch = sys.modules.get('torch')  # what a run did not load has not computed
    accelerator = torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None
    return dict(cpu_count=os.cpu_count(), versions=versions, **(dict(device=accelerator) if accelerator else {}))
