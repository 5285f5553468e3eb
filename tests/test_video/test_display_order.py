"""The order of display that the packets of MPEG-4 tell."""

import pytest

from textxfer_mm.video.display_order import display_order

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
