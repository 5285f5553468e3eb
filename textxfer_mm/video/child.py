"""The child process of :mod:`textxfer_mm.video.guard`: it calls what it is told to, until its input ends."""

import os
import pickle
import signal
import sys

#: The first answer, before any call.
READY = 'ready'


def main() -> None:
    """Answer calls ``(function, args)`` from stdin by ``(is_result, value)`` on stdout."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the parent too, which ends this process
        signal.signal(number, signal.SIG_IGN)
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), 'wb')
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what native code prints of a broken file would reach the terminal raw
        os.dup2(silence, stream)
    pickle.dump(READY, answers)
    answers.flush()
    while True:
        try:
            function, args = pickle.load(calls)
        except EOFError:
            return
        try:
            answer = True, function(*args)
        except Exception as error:
            answer = False, error
        pickle.dump(answer, answers, protocol=5)
        answers.flush()
