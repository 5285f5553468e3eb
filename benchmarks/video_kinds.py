"""Videos of the codecs and containers that people bring, encoded here; the grey level of a frame tells its number."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

_X264 = 'keyint=12:min-keyint=12:scenecut=0:bframes=2:b-adapt=0:open-gop={}'
_CLOSED, _OPEN = (dict(x264opts=_X264.format(is_open)) for is_open in (0, 1))
_B_FRAMES = dict(g='12', bf='2')


@dataclass(frozen=True)
class Kind:
    """A way to encode a video.

    Attributes:
        suffix: Suffix of the file, which says its container.
        codec: FFmpeg's encoder.
        options: Options of the encoder.
        container: Options of the container.
        pixels: Pixel format.
        tag: FourCC, where it is not the container's own choice.
    """

    suffix: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    pixels: str = 'yuv420p'
    tag: str = ''


KINDS = {
    'h264_mp4': Kind('.mp4', 'libx264', _CLOSED),
    'h264_one_group_mp4': Kind('.mp4', 'libx264', dict(x264opts='keyint=1000:scenecut=0')),
    'h264_open_groups_mp4': Kind('.mp4', 'libx264', _OPEN),
    'h264_refresh_mp4': Kind('.mp4', 'libx264', dict(x264opts='keyint=12:intra-refresh=1:scenecut=0')),
    'h264_fragments_mp4': Kind('.mp4', 'libx264', _CLOSED, dict(movflags='frag_keyframe+empty_moov')),
    'h264_faststart_mp4': Kind('.mp4', 'libx264', _CLOSED, dict(movflags='faststart')),
    'h264_mkv': Kind('.mkv', 'libx264', _CLOSED),
    'h264_avi': Kind('.avi', 'libx264', _CLOSED),
    'h264_flv': Kind('.flv', 'libx264', _CLOSED),
    'h264_ts': Kind('.ts', 'libx264', _CLOSED),
    'h264_open_groups_ts': Kind('.ts', 'libx264', _OPEN),
    'h264_10_bit_mp4': Kind('.mp4', 'libx264', _CLOSED, pixels='yuv420p10le'),
    'hevc_mp4': Kind('.mp4', 'libx265', {'x265-params': 'keyint=12:bframes=2:log-level=none'}),
    'av1_mp4': Kind('.mp4', 'libsvtav1', dict(preset='10', g='12')),
    'vp8_webm': Kind('.webm', 'libvpx', dict(g='12', deadline='realtime')),
    'vp8_hidden_frames_webm': Kind('.webm', 'libvpx', {'g': '12', 'auto-alt-ref': '1', 'lag-in-frames': '12'}),
    'vp9_webm': Kind('.webm', 'libvpx-vp9', dict(g='12', deadline='realtime')),
    'xvid_avi': Kind('.avi', 'mpeg4', dict(g='12', bf='0'), tag='XVID'),
    'xvid_b_frames_avi': Kind('.avi', 'mpeg4', _B_FRAMES, tag='XVID'),
    'mpeg4_b_frames_mkv': Kind('.mkv', 'mpeg4', _B_FRAMES),
    'mpeg4_b_frames_mp4': Kind('.mp4', 'mpeg4', _B_FRAMES),
    'mjpeg_avi': Kind('.avi', 'mjpeg', pixels='yuvj420p'),
    'mpeg1_mpg': Kind('.mpg', 'mpeg1video', _B_FRAMES),
    'mpeg2_mpg': Kind('.mpg', 'mpeg2video', _B_FRAMES),
    'mpeg2_ts': Kind('.ts', 'mpeg2video', _B_FRAMES),
    'wmv': Kind('.wmv', 'wmv2', dict(g='12')),
    'prores_mov': Kind('.mov', 'prores_ks', pixels='yuv422p10le'),
    'ffv1_mkv': Kind('.mkv', 'ffv1'),
    'gif': Kind('.gif', 'gif', pixels='gray'),
}


def numbered_frames(count: int, width: int = 160, height: int = 120) -> Iterator[np.ndarray]:
    """Grey frames (H, W, 3) that :func:`number_of` reads; the top edge is the brightest."""
    for number in range(count):
        frame = np.full((height, width, 3), round(40 + 160 * number / (count - 1)), np.uint8)
        frame[: height // 8] = 235
        yield frame


def number_of(frame: np.ndarray, count: int) -> int:
    """The number of a frame among ``count`` that :func:`numbered_frames` made."""
    return round((float(np.median(frame)) - 40) / 160 * (count - 1))


def encode(
    path: str | Path,
    kind: str,
    frames: Iterable[np.ndarray],
    *,
    rate: int = 25,
    bit_rate: int = 2_000_000,
    options: Mapping[str, str] | None = None,
    matrix: tuple[int, ...] | None = None,
    with_sound: bool = False,
) -> Path:
    """Encode frames.

    Args:
        path: The file; its suffix is the kind's.
        kind: Key of :data:`KINDS`.
        frames: RGB frames (H, W, 3), uint8.
        rate: Frames a second.
        bit_rate: Bits a second, for the codecs that ask for it.
        options: More options of the encoder.
        matrix: Display matrix: nine numbers, the first six as 16.16 fixed point.
        with_sound: Adds a track of silence.
    """
    spec, path = KINDS[kind], Path(path)
    os.environ.setdefault('SVT_LOG', '1')  # the AV1 encoder reports on itself otherwise
    with av.open(str(path), 'w', container_options=spec.container) as out:
        options = dict(spec.options, **(options or {}))
        stream, sound = out.add_stream(spec.codec, rate=rate, options=options), None
        for number, frame in enumerate(frames):
            if number == 0:
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt, stream.bit_rate = spec.pixels, bit_rate if 'lib' not in spec.codec else 0
                if spec.tag:
                    stream.codec_context.codec_tag = spec.tag
                if matrix is not None:
                    stream.set_display_matrix(matrix)
                if with_sound:
                    sound = out.add_stream('mp2', rate=16000, layout='mono')
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
            if sound is not None and number % 2 == 0:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), 's16', 'mono')
                silence.sample_rate = 16000
                out.mux(sound.encode(silence))
        out.mux(stream.encode())
        if sound is not None:
            out.mux(sound.encode())
    return path


def cut(source: Path, target: Path, first: int, *, keep_lead: bool = False) -> Path:
    """Cut a clip without re-encoding: packets from the ``first`` of the order of decoding on.

    Args:
        source: The video.
        target: The clip.
        first: Its first packet.
        keep_lead: Also keep the packets since the key frame before, with times before zero, which an edit list hides.
    """
    with av.open(str(source)) as given, av.open(str(target), 'w') as out:
        stream = given.streams.video[0]
        packets = [packet for packet in given.demux(stream) if packet.size]
        start = max(i for i in range(first + 1) if packets[i].is_keyframe) if keep_lead else first
        zero = packets[first].pts
        copy = out.add_stream_from_template(stream)
        for packet in packets[start:]:
            packet.pts, packet.dts, packet.stream = packet.pts - zero, packet.dts - zero, copy
            out.mux(packet)
    return target
