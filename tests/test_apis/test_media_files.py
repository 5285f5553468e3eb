"""What somebody names: files, folders, globs and lists, and what is said of the rest."""

import os

import pytest

from textxfer_mm.apis import find_media
from textxfer_mm.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two videos, an image in a subfolder, and what is neither."""
    monkeypatch.chdir(tmp_path)
    for name in ('media/b.mp4', 'media/a.AVI', 'media/sub/deep/c.png', 'media/notes.md', 'media/._b.mp4', 'x.webm'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b'\0\1binary')
    return tmp_path


def names(found):
    return [str(file) for file in found.files]


def test_a_folder_with_its_subfolders(folder):
    found = find_media('media')
    assert names(found) == ['media/a.AVI', 'media/b.mp4', 'media/sub/deep/c.png']
    assert found.below == ['a.AVI', 'b.mp4', 'sub/deep/c.png']
    assert [find_media(path).noun for path in ('media', 'media/*.mp4', 'media/sub')] == ['files', 'videos', 'images']
    assert found.notes == [
        'media: 1 file is neither a video nor an image: notes.md.',
        'media: 1 hidden file was left out.',
    ]


def test_several_paths_in_their_order_and_each_once(folder):
    found = find_media(['x.webm', 'media/b.mp4', 'media', './x.webm'])
    assert names(found) == ['x.webm', 'media/b.mp4', 'media/a.AVI', 'media/sub/deep/c.png']
    assert found.notes[-1] == '2 files were named more than once; each is taken once.'


def test_where_several_are_named_their_folders_tell_them_apart(folder):
    (folder / 'more' / 'b').mkdir(parents=True)
    (folder / 'more' / 'b' / 'b.mp4').write_bytes(b'\0')
    found = find_media(['media/', 'more/*/*.mp4', 'x.webm'])
    assert found.below == ['media/a.AVI', 'media/b.mp4', 'media/sub/deep/c.png', 'more/b/b.mp4', 'x.webm']
    assert find_media(['media/b.mp4', 'more/b/b.mp4', 'x.webm']).below == ['media/b.mp4', 'more/b/b.mp4', 'x.webm']
    (folder / 'media' / 'b').mkdir()
    (folder / 'media' / 'b' / 'b.mp4').write_bytes(b'\0')
    assert find_media(['media/b', 'more/b']).below == ['media/b/b.mp4', 'more/b/b.mp4']


def test_patterns(folder):
    assert names(find_media('media/**/*.p*')) == ['media/sub/deep/c.png']
    found = find_media('media/*')
    assert names(found) == ['media/a.AVI', 'media/b.mp4']
    assert found.notes == ['media/*: 1 file is neither a video nor an image: media/notes.md.']
    (folder / 'dance [dQw4].mp4').write_bytes(b'\0')
    assert names(find_media('dance [dQw4].mp4')) == ['dance [dQw4].mp4']  # what is there is no pattern


def test_a_list_is_relative_to_its_folder(folder):
    (folder / 'media' / 'list.txt').write_text(f'\ufeffsub/deep/c.png\r\n\r\nb.mp4 3\nmissing 1.mp4\n{folder}/x.webm\n')
    found = find_media('media/list.txt')
    assert names(found) == ['media/sub/deep/c.png', 'media/b.mp4', 'media/missing 1.mp4', f'{folder}/x.webm']


def test_linked_folders_are_followed_once(folder):
    (folder / 'media' / 'sub' / 'loop').symlink_to(folder / 'media')
    (folder / 'other').mkdir()
    (folder / 'other' / 'd.mp4').write_bytes(b'\0')
    (folder / 'media' / 'link').symlink_to(folder / 'other')
    assert names(find_media('media')) == ['media/a.AVI', 'media/b.mp4', 'media/link/d.mp4', 'media/sub/deep/c.png']


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('none.mp4', r'none.mp4 does not exist. .* Give videos, images, folders'),
        ('media/d.mp4', r'Did you mean: b.mp4\?'),
        ('empty', 'The folder empty holds no video and no image .*, nor do its subfolders; other files: a.md'),
        ('*.mov', r'The pattern \*.mov matches no video and no image, and no other file'),
        ('*.txt', r'The pattern \*.txt matches no video and no image; other files: '),
        ('text.mp4', 'text.mp4 is a text file, neither a video nor an image'),
        ('labels.csv', 'labels.csv is a text file, .* class names go to --labels-file'),
        ('labels.txt', 'The list labels.txt names waving, which is no video and no image by its name'),
        ('blank.txt', 'The list blank.txt is empty'),
        ('gone.txt', 'None of the 2 files of the list gone.txt is there, the first one a.mp4'),
        ('pipe', 'pipe is neither a file nor a folder'),
    ],
)
def test_what_is_refused(folder, path, message):
    (folder / 'empty').mkdir()
    (folder / 'empty' / 'a.md').touch()
    (folder / 'text.mp4').write_text('no video at all\n')
    (folder / 'labels.csv').write_text('waving,running\n')
    (folder / 'labels.txt').write_text('waving\nrunning\n')
    (folder / 'blank.txt').write_text('\n\n')
    (folder / 'gone.txt').write_text('a.mp4\nb.mp4\n')
    os.mkfifo(folder / 'pipe')
    with pytest.raises(UserError, match=message):
        find_media(path)


def test_a_text_file_among_others_costs_itself_only(folder):
    (folder / 'text.mp4').write_text('no video at all\n')
    assert names(find_media(['text.mp4', 'x.webm'])) == ['text.mp4', 'x.webm']
    (folder / 'media' / 'notes.md').write_text('hello\n')
    with pytest.raises(UserError, match='is a text file'):
        find_media(['x.webm', 'media/../media/notes.md'])
