"""Names against the labels of lists."""

import json

import pytest
from typer.testing import CliRunner

from textxfer_mm.apis.label_check import REMARKS, check_labels
from textxfer_mm.cli.main import app
from textxfer_mm.errors import UserError

SOUND = {remark: [] for remark in REMARKS}


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def remarks(found):
    return {key: found[key] for key in SOUND}


def test_what_agrees(write):
    one, two = write('a.txt', 'a.mp4 0\nb.mp4 1\nc.mp4 1\n'), write('b.txt', 'd.mp4 1\ne.mp4 0\n')
    found = check_labels([one, two], ['run', 'jump'])
    assert remarks(found) == SOUND
    assert found['classes'][1] == dict(label=1, name='jump', videos={str(one): 2, str(two): 1})
    assert found['videos'] == {str(one): 3, str(two): 2}
    assert remarks(check_labels([one])) == SOUND


def test_labels(write):
    one, two = write('a.txt', 'a.mp4 0\nb.mp4 5\nc.mp4 -1\n'), write('b.txt', 'd.mp4 1\na.mp4 0\nb.mp4 1\n')
    found = remarks(check_labels([one, two], ['run', 'jump', 'sit']))
    assert found['out of range'] == [
        f'{one}, line 2: label 5, and labels are 0 to 2',
        f'{one}, line 3: label -1, and labels count from 0',
    ]
    assert found['without videos'] == ['2 (sit)']
    assert found['missing in a list'] == [f'1 (jump): none in {one}']
    assert found['listed twice'] == [f'a.mp4: {one}, line 1; {two}, line 2']
    assert found['labelled otherwise'] == [f'b.mp4: {one}, line 2; {two}, line 3']
    assert check_labels([write('c.txt', 'a.mp4 0\nb.mp4 2\n')])['without videos'] == ['1']


def test_labels_from_one_on(write):
    found = check_labels([write('a.txt', 'a.mp4 1\nb.mp4 2\n')], ['run', 'jump'])
    assert found['out of range'][0] == 'labels go from 1 to 2, and count from 0: subtract 1 from each'


def test_names(write):
    cyrillic = '\N{CYRILLIC SMALL LETTER ES}ut apple'
    names = ['run', 'Run ', 'open door', 'opendoor', 'cut apple', cyrillic, 'playing guitar', 'playing guitars', 'sit']
    listed = write('a.txt', ''.join(f'{i}.mp4 {i}\n' for i in range(9)))
    found = check_labels([listed], names)
    assert found['duplicate names'] == ["'run' (0) and 'Run ' (1)"]
    assert found['look-alikes'] == [
        "'open door' (2) and 'opendoor' (3)",
        f"'cut apple' (4) and '{cyrillic}' (5)",
        "'playing guitar' (6) and 'playing guitars' (7)",
    ]


def test_folders_that_are_named_as_another_class(write):
    listed = write('a.txt', 'train/open_door/1.mp4 0\nOpenDoor/2.mp4 1\nhall/3.mp4 1\nsit/4.mp4 0\n')
    found = check_labels([listed], ['sit', 'open door'])
    assert found['folder of another class'] == [
        f"{listed}, line 1: train/open_door/1.mp4 has label 0 ('sit'), and 'open door' is label 1"
    ]


def test_lists_of_frames_and_several_labels(write):
    assert [c['videos'].popitem()[1] for c in check_labels([write('f.txt', 'a 300 0\nb 200 1\n')])['classes']] == [1, 1]
    several = check_labels([write('s.txt', 'a.mp4 0 2\nb.mp4 1\n')])
    assert [c['videos'].popitem()[1] for c in several['classes']] == [1, 1, 1]
    assert len(check_labels([write('m.txt', 'a.mp4 0 2\n')], multi_label=True)['classes']) == 3


@pytest.mark.parametrize(
    ('text', 'names', 'message'),
    [
        ('a.mp4\n', None, 'has no label'),
        ('', None, 'is empty'),
        ('a.mp4 1699999999\n', None, 'Label 1699999999 is no label of a class'),
        ('a.mp4 0\n', 'ucf110', "Unknown dataset 'ucf110' .* Did you mean: ucf101"),
        ('a.mp4 0\n', [], 'list of class names is empty'),
    ],
)
def test_mistakes(write, text, names, message):
    with pytest.raises(UserError, match=message):
        check_labels([write('a.txt', text)], names)


def test_the_command(write, tmp_path):
    listed, names = write('a.txt', 'a.mp4 0\nb.mp4 1\n'), write('names.txt', 'run\njump [x]\n')
    report = tmp_path / 'found.json'
    done = CliRunner().invoke(app, ['data', 'labels', str(listed), '--names', str(names), '--json', str(report)])
    assert done.exit_code == 0, done.output
    assert 'jump [x]' in done.output
    assert f'        2  videos in {listed}: 1 to 1 a class, median 1' in done.output
    assert json.loads(report.read_text())['classes'][1]['name'] == 'jump [x]'
    refused = CliRunner().invoke(app, ['data', 'labels', str(listed), '--json', 'found.txt'])
    assert (refused.exit_code, '--json found.txt: give a name that ends in .json.' in refused.output) == (2, True)
    listed.write_text('a.mp4 0\nb.mp4 9\n')
    done = CliRunner().invoke(app, ['data', 'labels', str(listed), '--names', 'ucf101'])
    assert done.exit_code == 1
    assert '99  without videos' in done.output
    assert '...; --json has all' in done.output
