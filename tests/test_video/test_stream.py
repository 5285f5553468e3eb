"""Frames in one go from the beginning: those that reading by number gives, with the times of the stream."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from video_kinds import KINDS, encode, number_of, numbered_frames

from textxfer_mm.video.guard import GuardedReader
from textxfer_mm.video.reader import VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError

COUNT = 60
ASKED = np.array([0, 1, 7, 8, 23, 24, 25, 40, 58, 59])


@pytest.mark.parametrize('kind', KINDS)
def test_frames_of_every_kind_are_those_that_reading_by_number_gives(video_of, kind):
    reader = VideoReader(str(video_of(kind)), num_threads=2)
    for asked in (ASKED, np.arange(COUNT)):
        shown = list(reader.stream(asked))
        assert [frame.number for frame in shown] == asked.tolist()
        assert not any(frame.is_stand_in for frame in shown)
        np.testing.assert_array_equal(np.stack([frame.pixels for frame in shown]), reader.read(asked))


@pytest.mark.parametrize('kind', KINDS)
def test_times_are_those_at_which_frames_are_shown(video_of, kind):
    seconds = VideoReader(str(video_of(kind))).seconds()
    assert len(seconds) == COUNT
    np.testing.assert_allclose(np.diff(seconds), 1 / 25, atol=2e-3)  # containers round to milliseconds
    assert 0 <= seconds[0] < 0.2


def test_times_of_a_variable_frame_rate(tmp_path):
    times = [0, 40, 80, 500, 540, 2000]
    with av.open(str(tmp_path / 'a.mp4'), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.width = stream.height = 64
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for time, pixels in zip(times, numbered_frames(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:64, :64]), format='rgb24')
            frame.pts, frame.time_base = time, stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert VideoReader(str(tmp_path / 'a.mp4')).seconds() == pytest.approx([time / 1000 for time in times], abs=1e-3)


def test_two_streams_of_a_child_process_do_not_meet(video_of):
    one, two = (GuardedReader(str(video_of(kind))) for kind in ('h264_mp4', 'mpeg2_ts'))
    plain = VideoReader(str(video_of('h264_mp4')))
    np.testing.assert_array_equal(one.seconds(), plain.seconds())
    pairs = itertools.islice(zip(one.stream(ASKED), two.stream(np.arange(COUNT)), strict=False), 9)
    for frame, other in pairs:
        np.testing.assert_array_equal(frame.pixels, plain.read([frame.number])[0])
        assert abs(number_of(other.pixels, COUNT) - other.number) <= 1


def test_the_frame_before_stands_in_for_damaged_ones(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), dtype=np.uint8)
    reader = VideoReader(str(encode(tmp_path / 'noise.avi', 'mjpeg_avi', noise)))
    whole = reader.read(range(30))
    decoded = reader._decoded
    lost = {0, 1, 10, 11, 29}
    monkeypatch.setattr(
        reader, '_decoded', lambda *args: ([(n, f) for n, f in frames if n not in lost] for frames in decoded(*args))
    )
    shown = list(reader.stream(np.arange(30)))
    assert {frame.number for frame in shown if frame.is_stand_in} == lost
    for number, source in ((0, 2), (1, 2), (10, 9), (11, 9), (12, 12), (29, 28)):
        np.testing.assert_array_equal(shown[number].pixels, whole[source])
    monkeypatch.setattr(reader, '_decoded', lambda *args: iter(()))
    with pytest.raises(UnreadableVideoError, match='frame 3 of 30 cannot be decoded'):
        list(reader.stream(np.array([3])))
