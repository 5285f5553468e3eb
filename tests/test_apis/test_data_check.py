"""All videos of a list or folder decoded, and what is remarked of them."""

import json
import os

import numpy as np
import pytest
from test_video import killer
from tiny_runs import write_corrupt
from typer.testing import CliRunner
from video_kinds import cut, encode, numbered_frames

from textxfer_mm.apis import data_check
from textxfer_mm.apis.data_check import check_videos, summary, videos_to_check
from textxfer_mm.cli.main import app
from textxfer_mm.errors import UserError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with a subfolder: of each kind of video one."""
    folder = tmp_path_factory.mktemp('videos')
    (folder / 'sub').mkdir()
    whole = encode(folder / 'good.mp4', 'h264_mp4', numbered_frames(60))
    cut(whole, folder / 'sub' / 'cut.mp4', 20, keep_lead=True)
    encode(folder / 'open.mp4', 'h264_open_groups_mp4', numbered_frames(60))
    encode(folder / 'short.mp4', 'h264_mp4', numbered_frames(5))
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), dtype=np.uint8)
    data = bytearray(encode(folder / 'damaged.avi', 'xvid_avi', noise).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    (folder / 'damaged.avi').write_bytes(data)
    write_corrupt(folder / '[red]text[b].mp4', 'text')
    (folder / '.hidden.mp4').touch()
    (folder / 'notes.txt').write_text('no video')
    return folder


def remarks_of(reports, folder):
    return {str(report.video).removeprefix(f'{folder}/'): set(report.remarks) for report in reports}


def test_every_remark(folder):
    reports = list(check_videos(videos_to_check(folder), workers=2))
    assert remarks_of(reports, folder) == {
        'good.mp4': set(),
        'sub/cut.mp4': {'odd', 'wrongly seekable'},
        'open.mp4': {'wrongly seekable'},
        'short.mp4': {'short'},
        'damaged.avi': {'odd'},
        '[red]text[b].mp4': {'corrupt'},
    }
    reasons = {report.video.rpartition('/')[2]: report.remarks for report in reports}
    assert reasons['short.mp4'] == {'short': '5 frames, 8 asked for'}
    assert reasons['cut.mp4']['odd'].startswith('declares ')
    assert reasons['damaged.avi']['odd'].endswith('frames are damaged')
    assert reasons['[red]text[b].mp4'] == {'corrupt': 'a text file, not a video'}
    found = summary(reports, released=10)
    assert (found['checked'], found['readable'], found['sound'], found['share_kept']) == (6, 5, 1, 0.5)
    assert [row['video'] for row in found['videos']] == sorted(r.video for r in reports if r.remarks)


def test_a_file_that_kills_its_decoder_is_named(folder, monkeypatch):
    monkeypatch.setattr(data_check, 'examine', killer.dies_of_good)
    reports = list(check_videos(videos_to_check(folder), workers=2))
    killed = {report.video.rpartition('/')[2] for report in reports if 'kills' in report.remarks.get('corrupt', '')}
    assert (killed, len(reports)) == ({'good.mp4'}, 6)


def test_lists(folder, tmp_path):
    for text, encoding in (('good.mp4 0\nsub/cut.mp4 1 3\n\n', 'utf-8-sig'), ('good.mp4\r\nsub/cut.mp4\r\n', 'utf-16')):
        (folder / 'list.txt').write_text(text, encoding=encoding)
        assert videos_to_check(folder / 'list.txt') == [str(folder / 'good.mp4'), str(folder / 'sub' / 'cut.mp4')]
    (folder / 'list.txt').write_text('good.mp4,0\nsub/cut.mp4;1;3\n')
    assert videos_to_check(folder / 'list.txt') == [str(folder / 'good.mp4'), str(folder / 'sub' / 'cut.mp4')]
    (tmp_path / 'list.txt').write_text('my video 2.mp4 0\n')
    (tmp_path / 'my video 2.mp4').touch()
    assert videos_to_check(tmp_path / 'list.txt') == [str(tmp_path / 'my video 2.mp4')]
    (tmp_path / 'list.txt').write_text('good.mp4 0\nnone.mp4 1\n')
    videos = videos_to_check(tmp_path / 'list.txt', folder)
    assert {report.remarks.get('missing') for report in check_videos(videos, workers=1)} == {None, 'missing file'}
    with pytest.raises(UserError, match=r'None of the 2 videos of .*list\.txt is there.*--data-root'):
        videos_to_check(tmp_path / 'list.txt')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('empty.txt', '', 'is empty'),
        ('none', None, 'does not exist'),
        ('gbk.txt', '跳舞.mp4 0\n'.encode('gbk'), 'not a text file in UTF-8'),
    ],
)
def test_what_cannot_be_checked(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        videos_to_check(tmp_path / name)
    with pytest.raises(UserError, match='/dev/null is neither a file nor a folder'):
        videos_to_check('/dev/null')
    (tmp_path / 'sub').mkdir()
    with pytest.raises(UserError, match='holds no video'):
        videos_to_check(tmp_path / 'sub')


def run(*args):
    return CliRunner().invoke(app, ['data', 'check', *map(str, args)])


def test_the_command(folder, tmp_path):
    done = run(folder, '--json', tmp_path / 'found.json', '--released', '1,000', '--workers', 1, '--min-frames', 3)
    assert done.exit_code == 1
    text = ' '.join(done.output.split())
    assert '[red]text[b].mp4' in text
    assert '5 of 6 videos give frames' in text
    assert '0.5% kept of the 1,000 videos' in text
    found = json.loads((tmp_path / 'found.json').read_text())
    assert (found['corrupt'], found['short'], len(found['videos'])) == (1, 0, 4)
    assert run(folder / 'good.mp4').exit_code == 0


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--released', 'kinetics400'], 'neither a number nor a name. Did you mean: kinetics400-'),
        (['--released', '0'], 'neither a number nor a name'),
        (['--json', '/dev/null'], 'is a device or a pipe'),
        (['--json', 'a.csv'], '--json a.csv: give a name that ends in .json.'),
    ],
)
def test_mistakes(folder, args, message):
    done = run(folder, *args)
    assert done.exit_code == 2
    assert message in ' '.join(done.output.split())


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    encode(tmp_path / 'good.mp4', 'h264_mp4', numbered_frames(20))
    (tmp_path / 'closed').mkdir()
    listed = os.scandir

    def scandir(path):
        if str(path).endswith('closed'):
            raise PermissionError(13, 'Permission denied', str(path))
        return listed(path)

    monkeypatch.setattr(os, 'scandir', scandir)
    done = run(tmp_path)
    assert done.exit_code == 2
    assert f'error: {tmp_path}/closed: Permission denied' in done.output
