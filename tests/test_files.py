import os

import pytest

from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing, require_writable_file, write_text


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / 'folder' / 'f.txt'
    write_text(path, 'old')

    def fail(*args):
        raise OSError('disk full')

    monkeypatch.setattr('os.replace', fail)
    with pytest.raises(OSError, match='disk full'):
        write_text(path, 'new')
    assert path.read_text() == 'old'
    assert len(list(path.parent.iterdir())) == 1


def test_an_exception_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / 'f.txt'
    write_text(path, 'old')

    def interrupted():
        with replacing(path) as part:
            part.write_text('half')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(UserError, match=r'--json .*pipe is a device or a pipe; give the path of a file'):
        require_writable_file(tmp_path / 'pipe', '--json')
    with pytest.raises(UserError, match=r'DST /dev/null is a device'):
        require_writable_file('/dev/null', 'DST')
