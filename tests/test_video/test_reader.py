"""The frames that were asked for, of every kind of file that people bring."""

import av
import numpy as np
import pytest
from video_kinds import KINDS, cut, encode, number_of, numbered_frames

from textxfer_mm.video import index
from textxfer_mm.video.reader import VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError

COUNT = 60


def numbers(frames):
    return [number_of(frame, COUNT) for frame in frames]


def shown_numbers(path):
    """Decodes in one go from the beginning: the reference."""
    return numbers(VideoReader(str(path)).read(np.arange(len(VideoReader(str(path))))))


def off(given, expected):
    return max(abs(a - b) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize('kind', KINDS)
def test_the_asked_frames_of_every_kind(video_of, kind):
    reader = VideoReader(str(video_of(kind)))
    assert len(reader) == COUNT
    assert reader.facts.frame_rate == 25
    in_order = numbers(reader.read(range(COUNT)))
    rough = 8 if kind == 'gif' else 1  # a palette has few grey levels, and codecs round them
    assert off(in_order, range(COUNT)) <= rough
    for asked in ([3, 10, 18, 25, 33, 40, 47, 55], [59], [55, 3, 3, 40, 0], list(range(12, 36))):
        assert numbers(reader.read(asked)) == [in_order[i] for i in asked]


@pytest.mark.parametrize('kind', KINDS)
def test_what_decord_misreads_is_known_from_the_file(video_of, kind):
    """Where the facts say nothing against seeking, decord gives the asked frames or an error."""
    decord = pytest.importorskip('decord')
    decord.logging.set_level(decord.logging.QUIET)
    asked = [3, 10, 18, 25, 33, 40, 47, 55]
    reader = VideoReader(str(video_of(kind)))
    try:
        theirs = decord.VideoReader(str(video_of(kind)), num_threads=1).get_batch(asked).asnumpy()
    except decord.DECORDError:
        return
    wrong = off(numbers(theirs), numbers(reader.read(asked))) > 1
    assert not wrong or reader.facts.seeking
    if kind in ('xvid_b_frames_avi', 'mpeg4_b_frames_mkv', 'h264_open_groups_mp4', 'mpeg2_mpg', 'h264_ts'):
        assert wrong


@pytest.mark.parametrize('kind', ['h264_mp4', 'h264_one_group_mp4', 'h264_mkv', 'vp9_webm'])
def test_pixels_are_those_of_decord_where_it_is_right(tmp_path, kind):
    decord = pytest.importorskip('decord')
    noise = np.random.default_rng(0).integers(0, 255, (30, 96, 128, 3), dtype=np.uint8)
    path = str(encode(tmp_path / f'noise{KINDS[kind].suffix}', kind, noise))
    asked = [0, 7, 12, 20, 29]
    np.testing.assert_array_equal(
        VideoReader(path).read(asked), decord.VideoReader(path, num_threads=1).get_batch(asked).asnumpy()
    )


@pytest.mark.parametrize(
    'kind', ['h264_mp4', 'h264_open_groups_mp4', 'mpeg2_ts', 'mpeg4_b_frames_mkv', 'hevc_mp4', 'xvid_b_frames_avi']
)
def test_frames_that_are_left_out_change_no_pixel_of_the_others(tmp_path, kind):
    """Against decoding everything: what no other frame leans on is not decoded."""
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), dtype=np.uint8)
    reader = VideoReader(str(encode(tmp_path / f'noise{KINDS[kind].suffix}', kind, noise)))
    everything = reader.read(range(30))
    for number in range(30):
        np.testing.assert_array_equal(reader.read([number])[0], everything[number])
    np.testing.assert_array_equal(reader.read([3, 4, 17, 29]), everything[[3, 4, 17, 29]])


@pytest.mark.parametrize('kind', ['h264_mp4', 'h264_open_groups_mp4', 'xvid_b_frames_avi', 'mpeg2_ts'])
def test_large_files_and_files_in_memory(video_of, monkeypatch, kind):
    path = video_of(kind)
    asked = [50, 2, 31]
    kept = VideoReader(str(path)).read(asked)
    np.testing.assert_array_equal(VideoReader(path.read_bytes()).read(asked), kept)
    monkeypatch.setattr(index, 'KEPT_BYTES', 100)
    again = VideoReader(str(path))
    np.testing.assert_array_equal(again.read(asked), kept)
    np.testing.assert_array_equal(again.read(asked), kept)


@pytest.mark.parametrize('kind', ['h264_one_group_mp4', 'h264_mp4'])
def test_a_clip_cut_without_re_encoding_has_the_frames_it_shows(tmp_path, video_of, kind):
    path = cut(video_of(kind), tmp_path / 'clip.mp4', 20, keep_lead=True)
    shown = shown_numbers(path)
    reader = VideoReader(str(path))
    assert reader.facts.declared > len(reader) == len(shown)
    assert off(shown, range(COUNT - len(shown), COUNT)) <= 1
    asked = [1, len(reader) // 2, len(reader) - 1]
    assert numbers(reader.read(asked)) == [shown[i] for i in asked]
    assert 'not shown' in reader.facts.seeking


@pytest.mark.parametrize(
    'kind', ['h264_mkv', 'h264_ts', 'mpeg2_mpg', 'h264_open_groups_mp4', 'xvid_b_frames_avi', 'h264_flv']
)
def test_a_clip_cut_in_the_middle_of_a_group(tmp_path, video_of, kind):
    """Its first frames cannot be had: they lean on ones that were cut off."""
    path = cut(video_of(kind), tmp_path / f'clip{KINDS[kind].suffix}', 16)
    shown = shown_numbers(path)
    assert off(shown, range(COUNT - len(shown), COUNT)) <= 1
    assert 20 <= len(shown) <= COUNT - 16
    reader = VideoReader(str(path))
    asked = [0, 1, len(shown) // 2, len(shown) - 1]
    assert numbers(reader.read(asked)) == [shown[i] for i in asked]
    assert reader.facts.seeking


def not_coded(data):
    """The packet of MPEG-4 that says that nothing moved since another one; 25 frames a second take 5 bits of time."""
    start = data.find(b'\0\0\1\xb6') + 4
    second = f'{int.from_bytes(data[start : start + 4], "big"):032b}'[2:].partition('0')[2]  # after type and seconds
    return b'\0\0\1\xb6' + int(f'0101{second[1:6]}1001111', 2).to_bytes(2, 'big')


def test_an_avi_file_with_packets_that_give_no_frame(tmp_path, video_of):
    """Encoders of AVI write them where nothing moved."""
    path = tmp_path / 'still.avi'
    with av.open(str(video_of('xvid_avi'))) as given, av.open(str(path), 'w') as out:
        stream = given.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in given.demux(stream) if p.size):
            for part in (packet, av.Packet(not_coded(bytes(packet)))) if number % 10 == 5 else (packet,):
                part.pts = part.dts = number + (number + 4) // 10 + (part is not packet)
                part.time_base, part.stream = stream.time_base, copy
                out.mux(part)
    reader = VideoReader(str(path))
    assert (len(reader), reader.facts.declared) == (COUNT, COUNT + 6)
    assert off(numbers(reader.read([3, 31, 59])), [3, 31, 59]) <= 1


def test_an_avi_file_that_begins_with_frames_that_lean_on_ones_cut_off(tmp_path, video_of):
    path = cut(video_of('xvid_b_frames_avi'), tmp_path / 'clip.avi', 17, keep_lead=True)
    reader = VideoReader(str(path))
    assert len(reader) == 48
    assert off(numbers(reader.read([0, 20, 47])), [12, 32, 59]) <= 1


def test_videos_put_together_whose_times_go_back(tmp_path, video_of):
    """Transport streams can be joined byte by byte."""
    late = tmp_path / 'late.ts'
    with av.open(str(video_of('h264_ts'))) as given, av.open(str(late), 'w') as out:
        copy = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts + 1801, packet.dts + 1801, copy
                out.mux(packet)
    reader = VideoReader(late.read_bytes() + video_of('h264_ts').read_bytes())
    assert len(reader) == 2 * COUNT
    assert off(numbers(reader.read([3, 31, 59, 63, 91, 119])), [3, 31, 59] * 2) <= 1


def test_marks_of_key_frames_that_are_wrong(tmp_path, video_of):
    """A MOV file cut amid a group of MPEG-2 marks every frame as a key frame."""
    path = cut(video_of('mpeg2_ts'), tmp_path / 'clip.mov', 17)
    reader = VideoReader(str(path))
    assert len(reader) == 36
    assert off(numbers(reader.read([0, 20, 35])), [24, 44, 59]) <= 1


def test_of_several_streams_the_largest(tmp_path):
    """A preview may come first."""
    path = tmp_path / 'two.mkv'
    with av.open(str(path), 'w') as out:
        preview, film = (out.add_stream(codec, rate=25) for codec in ('mjpeg', 'libx264'))
        preview.width, preview.height, preview.pix_fmt = 32, 24, 'yuvj420p'
        film.width, film.height, film.pix_fmt = 160, 120, 'yuv420p'
        for frame in numbered_frames(COUNT):
            for stream, pixels in ((preview, frame[:24, :32].copy()), (film, frame)):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, 'rgb24')))
        for stream in (preview, film):
            out.mux(stream.encode())
    reader = VideoReader(str(path))
    assert (reader.facts.width, reader.facts.height) == (160, 120)
    assert off(numbers(reader.read([3, 31, 59])), [3, 31, 59]) <= 1


def test_names_that_look_like_urls(tmp_path, video_of, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('12:30.mp4', 'pipe:0', '跳舞 100% #1?.mp4'):
        (tmp_path / name).write_bytes(video_of('h264_mp4').read_bytes())
        assert len(VideoReader(name)) == COUNT


#: Display matrices: where the bright top edge goes, by a quarter turn, a half turn and mirrors.
ONE = 1 << 16
TURNS = {
    'none': ((ONE, 0, 0, 0, ONE, 0), 'top'),
    'counter-clockwise': ((0, -ONE, 0, ONE, 0, 0), 'left'),
    'clockwise': ((0, ONE, 0, -ONE, 0, 0), 'right'),
    'half': ((-ONE, 0, 0, 0, -ONE, 0), 'bottom'),
    'mirrored left to right': ((-ONE, 0, 0, 0, ONE, 0), 'top'),
    'mirrored upside down': ((ONE, 0, 0, 0, -ONE, 0), 'bottom'),
}


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
@pytest.mark.parametrize('turn', TURNS)
def test_frames_are_upright(tmp_path, turn, suffix):
    matrix, edge = TURNS[turn]
    frames = np.stack(list(numbered_frames(12)))
    frames[:, 60:, 120:] = 0  # the lower right corner is black
    kind = 'h264_mp4' if suffix == 'mp4' else 'h264_mkv'
    path = encode(tmp_path / f'turned.{suffix}', kind, frames, matrix=(*matrix, 0, 0, 1 << 30))
    frame = VideoReader(str(path)).read([5])[0].mean(-1)
    assert frame.shape == ((160, 120) if edge in ('left', 'right') else (120, 160))
    edges = dict(top=frame[2:6], bottom=frame[-6:-2], left=frame[:, 2:6], right=frame[:, -6:-2])
    assert max(edges, key=lambda name: np.median(edges[name])) == edge
    height, width = frame.shape
    corners = {(y, x): frame[y * (height - 9) :][:9, x * (width - 9) :][:, :9].mean() for y in (0, 1) for x in (0, 1)}
    dark = {
        'none': (1, 1),
        'counter-clockwise': (0, 1),
        'clockwise': (1, 0),
        'half': (0, 0),
        'mirrored left to right': (1, 0),
        'mirrored upside down': (0, 1),
    }
    assert min(corners, key=corners.get) == dark[turn]


@pytest.mark.parametrize(('width', 'height'), [(2, 2), (8, 8), (48, 120), (72, 64), (130, 2)])
def test_small_frames(tmp_path, width, height):
    path = encode(tmp_path / 'small.mp4', 'h264_mp4', numbered_frames(20, width, height))
    reader = VideoReader(str(path))
    frames = reader.read([0, 10, 19])
    assert frames.shape == (3, height, width, 3)
    assert np.median(frames[0]) < np.median(frames[1]) < np.median(frames[2])


def test_an_odd_rate_and_a_single_frame(tmp_path):
    reader = VideoReader(str(encode(tmp_path / 'odd.wmv', 'wmv', numbered_frames(40), rate=7)))
    assert off([number_of(f, 40) for f in reader.read([5, 20, 39])], [5, 20, 39]) <= 1
    assert reader.facts.frame_rate == pytest.approx(7, abs=0.1)
    frames = [next(numbered_frames(2))]
    assert VideoReader(str(encode(tmp_path / 'one.mp4', 'h264_mp4', frames))).read([0]).shape == (1, 120, 160, 3)


def test_times_of_a_wall_clock(tmp_path, video_of):
    """decord aborts the process on them."""
    with av.open(str(video_of('h264_mkv'))) as given, av.open(str(tmp_path / 'clock.mkv'), 'w') as out:
        copy = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts + 10**12, (packet.dts or 0) + 10**12, copy
                out.mux(packet)
    reader = VideoReader(str(tmp_path / 'clock.mkv'))
    assert off(numbers(reader.read([3, 31, 59])), [3, 31, 59]) <= 1
    assert 'far from zero' in reader.facts.seeking


def test_sound_that_begins_within_the_file(tmp_path):
    """Transport streams can be joined byte by byte; PyAV does not expect another stream then."""
    silent = encode(tmp_path / 'silent.ts', 'h264_ts', numbered_frames(COUNT)).read_bytes()
    loud = encode(tmp_path / 'loud.ts', 'h264_ts', numbered_frames(COUNT), with_sound=True).read_bytes()
    reader = VideoReader(silent + loud)
    assert len(reader) >= COUNT
    assert off(numbers(reader.read([5, 30])), [5, 30]) <= 1


def test_frames_that_are_not_there(video_of):
    reader = VideoReader(str(video_of('h264_mp4')))
    for asked in ([60], [-1, 3], []):
        with pytest.raises(IndexError, match='frames 0 to 59'):
            reader.read(asked)


@pytest.mark.parametrize('kind', ['h264_mp4', 'xvid_b_frames_avi', 'mpeg4_b_frames_mkv', 'h264_ts', 'gif', 'vp9_webm'])
def test_damaged_files_give_frames_or_one_reason(video_of, kind):
    rng = np.random.default_rng(0)
    data = video_of(kind).read_bytes()
    whole, reasons = 0, []
    for _ in range(25):
        damaged = bytearray(data[: rng.integers(len(data) // 4, len(data) + 1)])
        for place in rng.integers(0, len(damaged), 4):
            damaged[place] = rng.integers(256)
        try:
            reader = VideoReader(bytes(damaged))
            frames = reader.read(np.linspace(0, len(reader) - 1, 5).astype(int))
            whole += len(frames) == 5
        except UnreadableVideoError as error:
            reasons.append(str(error))
    assert whole + len(reasons) == 25
    assert whole
    assert all(reason and '\n' not in reason for reason in reasons)


def test_a_gap_in_the_stream_fails_clearly(video_of):
    """A stretch of an AVI file is overwritten: a frame far from the asked one must not take its place."""
    data = bytearray(video_of('xvid_b_frames_avi').read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    try:
        reader = VideoReader(bytes(data))
        found = numbers(reader.read([len(reader) - 1]))
    except UnreadableVideoError:
        return
    assert off(found, [COUNT - 1]) <= 2
