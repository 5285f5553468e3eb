"""The order in which the frames of packets are shown, where the container does not tell it."""

from collections.abc import Sequence

import av

#: Codecs of AVI files that have no B frames and one frame a packet.
_IN_ORDER = ('mjpeg', 'msmpeg4v2', 'msmpeg4v3', 'huffyuv', 'ffv1')
_VOP, _B_VOP = b'\0\0\1\xb6', 2
#: A shorter packet of MPEG-4 may stand for a frame that was coded with the one before it, in bytes.
_LEAST_VOP = 16


def display_order(packets: Sequence[av.Packet], codec: str) -> list[int] | None:
    """Return for each packet, in the order of decoding, the number at which its frame is shown.

    Args:
        packets: All packets of a stream that begins with a key frame.
        codec: Its codec.

    Returns:
        Numbers from 0; None where they cannot be told, or there are none.
    """
    if not packets:
        return None
    if codec in _IN_ORDER:
        return list(range(len(packets)))
    if codec != 'mpeg4':
        return None
    kinds = [_vop_kind(bytes(packet)) for packet in packets]
    if None in kinds or kinds[1:2] == [_B_VOP]:
        return None
    shown, waiting = [], 0
    for position, kind in enumerate(kinds[1:], 1):
        if kind == _B_VOP:  # B frames are shown at once, others after the B frames that follow them
            shown.append(position)
        else:
            shown.append(waiting)
            waiting = position
    shown.append(waiting)
    numbers = [0] * len(packets)
    for number, position in enumerate(shown):
        numbers[position] = number
    return numbers


def _vop_kind(data: bytes) -> int | None:
    """The coding type (I 0, P 1, B 2, S 3) of the one frame in a packet of MPEG-4 part 2; None for any other number."""
    place = data.find(_VOP)
    is_one = 0 <= place < len(data) - len(_VOP) and data.find(_VOP, place + 1) < 0 and len(data) >= _LEAST_VOP
    return data[place + len(_VOP)] >> 6 if is_one else None
