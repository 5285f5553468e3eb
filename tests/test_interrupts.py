"""SIGTERM as an exception that gets through."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress

import pytest

from textxfer_mm import interrupts
from textxfer_mm.interrupts import TERMINATED, Terminated, ending_on_sigterm


@pytest.fixture(autouse=True)
def _as_before():
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    hook = sys.unraisablehook
    yield
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    sys.unraisablehook = hook
    for number, handler in handlers.items():
        signal.signal(number, handler)


def ask():
    os.kill(os.getpid(), signal.SIGTERM)


def wait():
    time.sleep(5)
    raise AssertionError('nothing came')


def run(*steps):
    with ending_on_sigterm():
        for step in steps:
            step()


def swallowing():
    with suppress(BaseException):
        ask()


def test_it_ends_what_is_going_on_and_is_without_effect_afterwards():
    begin = time.monotonic()
    with pytest.raises(Terminated):
        run(threading.Timer(0.1, ask).start, wait)
    assert time.monotonic() - begin < 2
    ask()
    assert TERMINATED == 143


def test_without_a_request_everything_is_as_it_was():
    before, hook, inside = signal.getsignal(signal.SIGTERM), sys.unraisablehook, []
    with pytest.raises(ZeroDivisionError):
        run(lambda: inside.append(signal.getsignal(signal.SIGTERM)), lambda: 1 / 0)
    assert inside != [before]
    assert signal.getsignal(signal.SIGTERM) is before
    assert sys.unraisablehook is hook


def test_a_destructor_does_not_swallow_it(capsys):
    class Last:
        def __del__(self):
            ask()

    with pytest.raises(Terminated):
        run(Last, wait)
    assert capsys.readouterr().err == ''


def test_whoever_swallows_it_is_asked_again(monkeypatch):
    monkeypatch.setattr(interrupts, '_AGAIN', 0.2)
    with pytest.raises(Terminated):
        run(swallowing, wait)


def test_what_was_made_of_it_does_not_matter():
    def fail():
        try:
            ask()
        except BaseException as error:
            raise RuntimeError('a worker died') from error

    for step in (fail, swallowing):
        with pytest.raises(Terminated):
            run(step)


def test_it_can_wait_for_what_is_under_way():
    def work():
        is_asked = interrupts.postpone(5)
        assert not is_asked()
        ask()
        assert is_asked()
        done.append(True)

    done = []
    with pytest.raises(Terminated):
        run(work)
    assert done == [True]


def test_it_does_not_wait_for_ever():
    begin = time.monotonic()
    with pytest.raises(Terminated):
        run(lambda: interrupts.postpone(0.2), ask, wait)
    assert 0.1 < time.monotonic() - begin < 2
    assert not interrupts.postpone(5)()  # nothing that ends on SIGTERM is running


def test_a_second_signal_does_not_disturb_the_tidying_up():
    def work():
        try:
            ask()
        finally:
            ask()
            tidied.append(True)

    tidied = []
    with pytest.raises(Terminated):
        run(work)
    assert tidied == [True]


def test_a_forked_process_dies_of_it_as_usual():
    with ending_on_sigterm():
        child = os.fork()
        if not child:
            try:
                time.sleep(5)
            finally:
                os._exit(7)  # an exception would lead here
        time.sleep(0.2)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


def test_a_data_worker_that_dies_meanwhile_is_no_news():
    """PyTorch raises from its handler of SIGCHLD, wherever the process is: while it tidies up, for example."""
    code = """
        import os, signal, subprocess, sys
        from textxfer_mm.interrupts import Terminated, ending_on_sigterm

        def handler(number, frame):
            raise RuntimeError('worker is killed by signal: Terminated')

        signal.signal(signal.SIGCHLD, handler)
        try:
            with ending_on_sigterm():
                try:
                    os.kill(os.getpid(), signal.SIGTERM)
                finally:
                    os.kill(os.getpid(), signal.SIGCHLD)
                    print('tidied')
        except Terminated:
            print('terminated')
    """
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (['tidied', 'terminated'], '')


def test_a_data_worker_does_not_speak_of_the_connection_that_broke():
    """Tensors come by connections to the worker: one that SIGTERM's exception leaves half open is an error to it."""
    code = """
        import multiprocessing.connection, os, signal, time
        import torch
        from torch.utils.data import DataLoader
        from textxfer_mm.interrupts import Terminated, ending_on_sigterm

        answer, owner, seen = multiprocessing.connection.answer_challenge, os.getpid(), []

        def interrupted(*args):
            if os.getpid() == owner and seen:
                os.kill(owner, signal.SIGTERM)
            answer(*args)

        multiprocessing.connection.answer_challenge = interrupted
        try:
            with ending_on_sigterm():
                for batch in DataLoader(torch.zeros(100, 1), num_workers=1):
                    seen.append(batch)
        except Terminated:
            print('terminated')
        time.sleep(0.5)
    """
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (['terminated'], '')
