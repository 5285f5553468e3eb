"""The order of display that the packets of MPEG-4 tell."""

import dataclasses

import av
import pytest
import video_kinds
from video_kinds import encode, number_of, numbered_frames

from textxfer_mm.video.display_order import display_order
from textxfer_mm.video.reader import VideoReader

I, P, B = 0, 1, 2  # noqa: E741  (the names of the field)


def packet(*kinds, size=64):
    """A packet of frames of these kinds."""
    vops = b''.join(b'\0\0\1\xb6' + bytes([kind << 6 | 0x15]) for kind in kinds)
    return (b'\0\0\1\xb0header' + vops).ljust(size, b'\x55')


@pytest.mark.parametrize(
    ('kinds', 'numbers'),
    [
        ([I, P, P, I], [0, 1, 2, 3]),
        ([I, P, B, B, P, B, I, B], [0, 3, 1, 2, 5, 4, 7, 6]),
        ([I], [0]),
    ],
)
def test_b_frames_are_shown_before_what_they_lean_on(kinds, numbers):
    assert display_order([packet(kind) for kind in kinds], 'mpeg4') == numbers


@pytest.mark.parametrize(
    'packets',
    [
        [packet(I), packet(P, B), packet(P, size=8)],  # a packed bitstream
        [packet(I), packet(P), packet(P, size=8)],  # a frame that was not coded
        [packet(I), packet(B), packet(P)],  # cut: what the B frame leans on is not there
        [packet(I), b'no frame at all' * 3],
        [],
    ],
)
def test_what_cannot_be_told(packets):
    assert display_order(packets, 'mpeg4') is None


def test_other_codecs():
    assert display_order([b'a', b'b'], 'mjpeg') == [0, 1]
    assert display_order([b'a', b'b'], 'h264') is None


def pack(source, target):
    """Pack each B frame with the frame before it, and put an empty frame into its place, as DivX and Xvid do."""
    start, mark, placeholder = b'\0\0\1\xb6', b'\0\0\1\xb2DivX503b1393p\0', b'\0\0\1\xb6\x50\x0f\xff'
    with av.open(str(source)) as given, av.open(str(target), 'w') as out:
        stream = given.streams.video[0]
        data = [(bytes(packet), packet.is_keyframe) for packet in given.demux(stream) if packet.size]
        is_b = [content[content.find(start) + len(start)] >> 6 == B for content, _ in data]
        packed = []
        for (content, is_key), b_follows, this_b in zip(data, [*is_b[1:], False], is_b, strict=True):
            if this_b:
                packed.append((placeholder, False))
                continue
            following = data[len(packed) + 1][0] if b_follows else b''
            packed.append((content.replace(start, mark + start) + following if is_key else content + following, is_key))
        copy = out.add_stream_from_template(stream)
        for number, (content, is_key) in enumerate(packed):
            packet = av.Packet(content)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = stream.time_base, copy, is_key
            out.mux(packet)


def test_a_packed_bitstream_is_taken_apart(tmp_path, monkeypatch):
    kind = dataclasses.replace(video_kinds.KINDS['xvid_b_frames_avi'], options=dict(g='12', bf='1', b_strategy='0'))
    monkeypatch.setitem(video_kinds.KINDS, 'one_b_frame', kind)
    encode(tmp_path / 'plain.avi', 'one_b_frame', numbered_frames(60))
    pack(tmp_path / 'plain.avi', tmp_path / 'packed.avi')
    reader = VideoReader(str(tmp_path / 'packed.avi'))
    assert len(reader) == 60
    assert len(reader._index.entries) == 6  # it knows where to start
    found = [number_of(frame, 60) for frame in reader.read([3, 25, 41, 59])]
    assert max(abs(a - b) for a, b in zip(found, [3, 25, 41, 59], strict=True)) <= 1
