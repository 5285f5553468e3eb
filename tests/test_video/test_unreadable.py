"""What a file is that gives no frames."""

import os

import av
import numpy as np
import pytest
from video_kinds import encode, numbered_frames

from textxfer_mm.video import streams
from textxfer_mm.video.reader import VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError

FILES = {
    'empty file': b'',
    'a text file, not a video': b'The quick brown fox\n' * 100_000,
    'a text file, not a video ': b'\x1b[31m\x1b]0;title\x07 red \x1b[0m\n' * 500,
    'a text file, not a video  ': 'grüße, 你好\n'.encode('utf-16'),
    'an image, not a video': b'\x89PNG\r\n\x1a\n' + bytes(100),
    'an image, not a video ': b'RIFF\x20\0\0\0WEBPVP8 ' + bytes(20),
    'an archive, not a video': b'PK\x03\x04' + bytes(100),
    'a web page, not a video: its download failed': b'<!DOCTYPE html><html><body>404</body></html>',
    'a pointer of Git LFS: the video itself was not fetched': b'version https://git-lfs.github.com/spec/v1\noid 1\n',
    'nothing but zeros at its beginning: its download or copy was not finished': bytes(100_000),
    'no video of a known format, or its header is damaged': np.random.default_rng(0).bytes(5000),
}


@pytest.mark.parametrize('reason', FILES)
def test_what_is_no_video_is_named(tmp_path, reason):
    path = tmp_path / 'clip.mp4'
    path.write_bytes(FILES[reason])
    for source in (str(path), FILES[reason]):
        with pytest.raises(UnreadableVideoError) as caught:
            VideoReader(source)
        assert str(caught.value) == reason.strip()


def test_what_is_no_file(tmp_path):
    with pytest.raises(UnreadableVideoError, match=r'^a folder, not a video$'):
        VideoReader(str(tmp_path))
    with pytest.raises(UnreadableVideoError, match=r'^missing file$'):
        VideoReader(str(tmp_path / 'none.mp4'))
    os.mkfifo(tmp_path / 'pipe.mp4')  # reading it would wait for a writer
    for name in (tmp_path / 'pipe.mp4', '/dev/zero'):
        with pytest.raises(UnreadableVideoError, match=r'^a device, pipe or socket, not a video$'):
            VideoReader(str(name))


def test_sound_only(tmp_path):
    with av.open(str(tmp_path / 'sound.mp4'), 'w') as out:
        stream = out.add_stream('aac', rate=16000, layout='mono')
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with pytest.raises(UnreadableVideoError, match=r'^it holds sound only, no pictures$'):
        VideoReader(str(tmp_path / 'sound.mp4'))


@pytest.mark.parametrize('kind', ['h264_faststart_mp4', 'mjpeg_avi', 'xvid_b_frames_avi'])
@pytest.mark.parametrize('suffix', ['mp4', 'avi'])
def test_a_truncated_file_says_how_much_is_there(tmp_path, kind, suffix):
    """Whatever its name says it is; decord dies of a segmentation fault of some."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), dtype=np.uint8)
    data = encode(tmp_path / f'whole.{"mp4" if "mp4" in kind else "avi"}', kind, noise).read_bytes()
    path = tmp_path / f'half.{suffix}'
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableVideoError, match=r'^truncated: it holds \d+ of the 40 frames it declares$'):
        VideoReader(str(path))


def test_a_truncated_mp4_with_its_index_at_the_end(tmp_path):
    data = encode(tmp_path / 'whole.mp4', 'h264_mp4', numbered_frames(40)).read_bytes()
    (tmp_path / 'half.mp4').write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableVideoError, match=r'^truncated or damaged MP4: its index \(moov\) cannot be read$'):
        VideoReader(str(tmp_path / 'half.mp4'))


def test_a_playlist_opens_no_other_file(tmp_path):
    video = encode(tmp_path / 'secret.ts', 'h264_ts', numbered_frames(20))
    (tmp_path / 'list.mp4').write_text(f'#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{video}\n#EXT-X-ENDLIST\n')
    (tmp_path / 'concat.mp4').write_text(f"ffconcat version 1.0\nfile '{video}'\n")
    for name in ('list.mp4', 'concat.mp4'):
        with pytest.raises(UnreadableVideoError, match=r'^a playlist, not a video$'):
            VideoReader(str(tmp_path / name))


def test_frames_of_an_absurd_size(tmp_path, monkeypatch):
    path = encode(tmp_path / 'large.mp4', 'h264_mp4', numbered_frames(3, 320, 240))
    monkeypatch.setattr(streams, 'MAX_PIXELS', 320 * 240 - 1)
    with pytest.raises(UnreadableVideoError, match='its frames are declared as 320 x 240 pixels'):
        VideoReader(str(path))


def test_nothing_of_a_broken_file_reaches_the_terminal(tmp_path, capfd):
    path = tmp_path / 'clip.mp4'
    path.write_bytes(b'\x1b[31mred\n' * 300_000)
    data = encode(tmp_path / 'good.ts', 'mpeg2_ts', numbered_frames(20)).read_bytes()
    damaged = bytearray(data)
    damaged[3000:9000] = np.random.default_rng(0).bytes(6000)
    with pytest.raises(UnreadableVideoError):
        VideoReader(str(path))
    reader = VideoReader(bytes(damaged))
    reader.read(range(len(reader)))
    assert capfd.readouterr() == ('', '')
