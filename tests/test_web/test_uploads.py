"""Who needs which upload, and when it goes; and the folder that visitors choose from. No gradio here."""

import os
import time

import pytest
from tiny_runs import write_video
from web_files import files_in, wait_until

from textxfer_mm.errors import UserError
from textxfer_mm.web.uploads import Uploads
from textxfer_mm.web.video_folder import VideoFolder


@pytest.fixture
def uploads():
    folder = Uploads(keep=100)
    yield folder
    folder.close()
    assert not folder.folder.exists()


def arrive(uploads, name='a/a.mp4'):
    uploads.begin()
    path = uploads.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('a video')
    uploads.end([str(path)])
    return str(path)


def call(uploads, path):
    """What a call of the API does with its file."""
    with uploads.lent(path):
        assert os.path.exists(path)


def test_a_file_goes_when_its_call_is_answered(uploads):
    path = arrive(uploads)
    with uploads.reading(path) as found:
        call(uploads, path)
        assert str(found) == path
        assert found.is_file()  # somebody reads it
    assert files_in(uploads.folder) == []
    assert list(uploads.folder.iterdir()) == []
    with pytest.raises(UserError, match='no longer on the server: upload it again'), uploads.reading(path):
        pass


def test_two_who_sent_the_same_file_need_it_both(uploads):
    path = arrive(uploads)
    assert arrive(uploads) == path
    call(uploads, path)
    assert len(files_in(uploads.folder)) == 1
    call(uploads, path)
    assert files_in(uploads.folder) == []


def test_a_call_with_the_file_of_a_page_leaves_it_there(uploads):
    """Only who uploaded it has something to give back."""
    path = arrive(uploads)
    uploads.hold('page', path)
    for _ in range(3):
        call(uploads, path)
    uploads.hold('other page', path)
    uploads.hold('other page', None)
    with uploads.lent(None), uploads.lent('/etc/passwd'), uploads.reading(path) as found:
        assert found.is_file()
    arrive(uploads)  # the same by a program, which takes its own
    call(uploads, path)
    assert len(files_in(uploads.folder)) == 1
    uploads.hold('page', None)
    assert files_in(uploads.folder) == []


def test_what_nobody_needs_stays_while_something_arrives(uploads):
    """It may be the same file."""
    path = arrive(uploads)
    uploads.begin()
    call(uploads, path)
    assert len(files_in(uploads.folder)) == 1
    uploads.end([path])
    assert len(files_in(uploads.folder)) == 1
    uploads.begin()
    call(uploads, path)
    uploads.end()  # broken off
    assert files_in(uploads.folder) == []


def test_a_page_holds_one_file(uploads):
    first, second = arrive(uploads), arrive(uploads, 'b/b.mp4')
    uploads.hold('page', first)
    uploads.hold('page', second)
    assert [str(file) for file in files_in(uploads.folder)] == ['b/b.mp4']
    arrive(uploads, 'b/b.mp4')
    uploads.hold('page', second)  # the same once more
    uploads.hold('page', None)
    assert files_in(uploads.folder) == []
    uploads.hold('page', '/etc/passwd')
    uploads.hold('page', None)
    assert os.path.exists('/etc/passwd')


def test_age():
    uploads = Uploads(keep=0.5)
    try:
        path = arrive(uploads)
        left = uploads.folder / 'broken-off.part'
        left.write_text('half')
        with uploads.reading(path):
            time.sleep(1)
            assert os.path.exists(path)
        assert os.path.exists(path)  # used just now
        wait_until(lambda: not files_in(uploads.folder))
    finally:
        uploads.close()


@pytest.mark.parametrize('name', ['/etc/passwd', 'link.mp4', '../x'])
def test_only_what_was_uploaded_is_read(uploads, tmp_path, name):
    (tmp_path / 'secret').write_text('secret')
    (uploads.folder / 'link.mp4').symlink_to(tmp_path / 'secret')
    with pytest.raises(UserError, match='no longer on the server'), uploads.reading(uploads.folder / name):
        pass


def test_an_upload_that_became_a_link_is_not_read(uploads, tmp_path):
    path = arrive(uploads)
    os.unlink(path)
    os.symlink('/etc/passwd', path)
    with pytest.raises(UserError, match='no longer on the server'), uploads.reading(path):
        pass


def test_a_folder_to_choose_from(tmp_path):
    (tmp_path / 'videos' / 'sub').mkdir(parents=True)
    for name in ('videos/b.mp4', 'videos/sub/a.mp4', 'videos/.hidden.mp4', 'secret.mp4'):
        write_video(tmp_path / name)
    (tmp_path / 'videos' / 'link.mp4').symlink_to(tmp_path / 'secret.mp4')
    (tmp_path / 'videos' / 'inside.mp4').symlink_to(tmp_path / 'videos' / 'b.mp4')
    (tmp_path / 'videos' / 'notes.txt').write_text('notes')
    folder = VideoFolder(tmp_path / 'videos')
    assert folder.names == ('b.mp4', 'inside.mp4', 'sub/a.mp4')
    assert folder.path('sub/a.mp4') == tmp_path / 'videos' / 'sub' / 'a.mp4'
    for name in ('link.mp4', '../secret.mp4', 'notes.txt', '/etc/passwd', '.hidden.mp4'):
        with pytest.raises(UserError, match='There is no video'):
            folder.path(name)
    (tmp_path / 'videos' / 'b.mp4').unlink()
    (tmp_path / 'videos' / 'b.mp4').symlink_to(tmp_path / 'secret.mp4')  # since the beginning
    with pytest.raises(UserError, match=r"The video 'b\.mp4' is no longer there"):
        folder.path('b.mp4')
    assert VideoFolder().names == ()
    with pytest.raises(UserError, match=r'--videos .*/video does not exist: give a folder of videos\. Did you mean'):
        VideoFolder(tmp_path / 'video')
    with pytest.raises(UserError, match='is a file: give a folder'):
        VideoFolder(tmp_path / 'secret.mp4')
