"""The child process that may die of a file."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from test_video import killer
from video_kinds import cut

from textxfer_mm.video.guard import GuardedProcess, GuardedReader, open_video
from textxfer_mm.video.reader import VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError


@pytest.fixture
def child():
    process = GuardedProcess()
    yield process
    process.close()


def test_a_death_costs_one_call(child):
    for function, name in ((killer.dies, 'SIGABRT'), (killer.is_killed, 'SIGKILL')):
        with pytest.raises(UnreadableVideoError, match=rf'^it kills its decoder \({name}\)$'):
            child.call(function)
        assert child.call(max, 2, 3) == 3


def test_errors_and_prints_of_the_child(child, capfd):
    with pytest.raises(ValueError, match='of the child'):
        child.call(killer.raises)
    assert child.call(killer.prints) == 'done'
    assert capfd.readouterr() == ('', '')


def test_one_child_serves_many_calls(child):
    assert child.call(os.getpid) == child.call(os.getpid) != os.getpid()


def test_what_asks_all_processes_to_end_is_the_parents_to_hear(child):
    process = child.call(os.getpid)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process, number)
        assert child.call(os.getpid) == process


def test_a_plain_file_needs_no_child(video_of):
    assert isinstance(open_video(str(video_of('h264_mp4'))), VideoReader)
    assert isinstance(open_video(str(video_of('xvid_b_frames_avi'))), VideoReader)


def test_a_cut_clip_is_decoded_by_a_child(tmp_path, video_of):
    path = str(cut(video_of('h264_mp4'), tmp_path / 'clip.mp4', 20, keep_lead=True))
    reader, same = open_video(path), VideoReader(path)
    assert isinstance(reader, GuardedReader)
    assert (len(reader), reader.facts) == (len(same), same.facts)
    other = open_video(Path(path).read_bytes())
    for guarded in (reader, other, reader):
        np.testing.assert_array_equal(guarded.read(np.array([3, 1])), same.read([3, 1]))
    with pytest.raises(IndexError, match='the video has frames 0 to'):
        reader.read(np.array([1000]))


RUN = """
    import os, signal, sys, time
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    from textxfer_mm.video.guard import GuardedProcess
    child = GuardedProcess()
    print(child.call(os.getpid), flush=True)
    {then}
"""


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return 'Z' not in Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]


@pytest.mark.parametrize('end', ['exit', 'killed', 'interrupted in a call'])
def test_no_child_is_left_behind(end):
    then = 'child.call(time.sleep, 60)' if end == 'interrupted in a call' else 'time.sleep(0 if sys.argv[1:] else 60)'
    args = ['now'] if end == 'exit' else []
    process = subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(RUN.format(then=then)), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pid = int(process.stdout.readline())
    if end != 'exit':
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL if end == 'killed' else signal.SIGINT)
    process.wait(20)
    for _ in range(100):
        if not is_alive(pid):
            break
        time.sleep(0.1)
    assert not is_alive(pid)
