import errno
import os

import pytest
import torch

from textxfer_mm.errors import UserError
from textxfer_mm.files import leftovers, replacing, require_form, require_writable_file, write_text


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


def test_a_name_says_the_form_of_what_is_written(tmp_path):
    for name in ('a.json', 'b.JSONL'):
        assert require_form(tmp_path / name, '--json', '.json', '.jsonl') == tmp_path / name
    for name in ('new/a.xml', 'a', '.json'):
        with pytest.raises(UserError, match=rf'--json .*{name}: give a name that ends in .json or .jsonl.'):
            require_form(tmp_path / name, '--json', '.json', '.jsonl')
    assert not list(tmp_path.iterdir())


@pytest.fixture
def full_disk(monkeypatch):
    """Nothing can be flushed any more."""

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('os.fsync', fsync)


def test_a_full_disk_is_one_line_and_the_old_file_stands(tmp_path, full_disk):
    path = tmp_path / 'f.txt'
    path.write_text('old')
    with pytest.raises(UserError, match=r'f\.txt could not be written: No space left on device\. .* is as it was'):
        write_text(path, 'new')
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs a device that is full')
def test_what_torch_makes_of_a_full_disk_is_one_line_too(tmp_path):
    def save():
        with replacing(tmp_path / 'a.pth') as part:
            part.symlink_to('/dev/full')
            torch.save(torch.ones(100_000), part)

    with pytest.raises(UserError, match=r'a\.pth could not be written: .*Nothing was left of it'):
        save()
    assert not list(tmp_path.iterdir())


def test_other_errors_while_writing_stay_what_they_are(tmp_path):
    def read():
        with replacing(tmp_path / 'a.txt'):
            (tmp_path / 'missing').read_text()

    with pytest.raises(FileNotFoundError):
        read()


def test_the_content_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr('os.fsync', lambda file: (steps.append('flush'), fsync(file)))
    monkeypatch.setattr('os.replace', lambda *paths: (steps.append('rename'), replace(*paths)))
    write_text(tmp_path / 'f.txt', 'new')
    assert steps[:2] == ['flush', 'rename']


def test_what_killed_writers_left_is_found(tmp_path):
    def killed(path):
        with replacing(path) as part:
            part.write_text('half')
            kept.append(part.rename(part.with_suffix('.kept')))

    kept = []
    with pytest.raises(FileNotFoundError):
        killed(tmp_path / 'epoch_1.pth')
    left = kept[0].rename(kept[0].with_suffix('.pth'))
    (tmp_path / '.mine.pth').touch()
    (tmp_path / 'epoch_1.pth').touch()
    assert leftovers(tmp_path, '.pth') == [left]


def test_others_may_read_what_was_written_as_any_other_file(tmp_path):
    """A library that writes with a temporary file of its own, such as safetensors, keeps it from others."""
    (tmp_path / 'any').touch()
    with replacing(tmp_path / 'new') as part:
        part.touch(mode=0o600)
    assert (tmp_path / 'new').stat().st_mode == (tmp_path / 'any').stat().st_mode
