"""What is opened of a video file: by which demuxers, which of its streams, and the packets of that."""

import io
import itertools
from collections.abc import Iterator

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from textxfer_mm.video.unreadable import UnreadableVideoError, describe, read_head

#: Demuxers that may open a file. None that reads other files or the network, as those of playlists do, and none that
#: makes a film of text. Those of sound are here to be told as such.
FORMATS = (
    *('mov', 'matroska', 'avi', 'mpeg', 'mpegts', 'mpegvideo', 'flv', 'live_flv', 'asf', 'ogg', 'gif', 'apng', 'm4v'),
    *('h264', 'hevc', 'vvc', 'av1', 'obu', 'ivf', 'vc1', 'mjpeg', 'mjpeg_2000', 'mpjpeg', 'yuv4mpegpipe', 'dv', 'mxf'),
    *('nut', 'rm', 'wtv', 'swf', 'smk', 'bink', 'roq', 'nsv', 'mtv', '4xm', 'avs', 'dirac', 'dnxhd', 'cavsvideo'),
    *('mp3', 'wav', 'flac', 'aac', 'ac3', 'eac3', 'amr', 'aiff', 'au', 'caf', 'ape', 'wv', 'dts', 'w64', 'tta'),
)
#: Larger frames are refused, in pixels: a damaged header may declare any size.
MAX_PIXELS = 2**26


def open_container(source: str | bytes) -> InputContainer:
    """Open a file for reading, by the demuxers of :data:`FORMATS`."""
    head, size = read_head(source)
    try:
        return av.open(
            io.BytesIO(source) if isinstance(source, bytes) else f'file:{source}',  # a name may hold colons
            options=dict(format_whitelist=','.join(FORMATS)),
            metadata_errors='replace',
        )
    except av.FFmpegError as error:
        raise UnreadableVideoError(describe(head, size)) from error


def video_stream(container: InputContainer) -> VideoStream:
    """The stream of moving pictures that players choose, of several the largest; the others are not read."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    streams.sort(key=_rank, reverse=True)
    if not streams:
        raise UnreadableVideoError(
            'it holds sound only, no pictures' if container.streams.audio else 'it holds no stream of pictures'
        )
    context = streams[0].codec_context
    if context is None:
        raise UnreadableVideoError('its codec is unknown')
    if context.width * context.height > MAX_PIXELS:
        raise UnreadableVideoError(f'its frames are declared as {context.width} x {context.height} pixels')
    for stream in container.streams:
        if stream is not streams[0]:
            stream.discard = Discard.all
    return streams[0]


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    """How likely a stream is the one that is meant."""
    context = stream.codec_context
    size = 0 if context is None else context.width * context.height
    return context is not None, bool(stream.disposition & av.stream.Disposition.default), size


def demux(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """The packets of a stream; one without content repeats the frame before it, or ends the stream.

    Two frames of MPEG-4 in one packet, as DivX and Xvid pack them into AVI files, are taken apart.
    """
    packets = (packet for packet in container.demux(stream) if packet.size)
    if container.format.name == 'avi' and stream.codec_context.codec.canonical_name == 'mpeg4':
        unpack = BitStreamFilterContext('mpeg4_unpack_bframes', stream)
        packets = (part for packet in itertools.chain(packets, [None]) for part in unpack.filter(packet))
    try:
        yield from packets
    except IndexError:
        # Streams that began within the file, as sound may in FLV and MPEG-TS, are unknown to PyAV when all packets were
        # read (https://github.com/PyAV-Org/PyAV/blob/v18.1.0/av/container/input.py, ``demux``: "Flush!").
        return
