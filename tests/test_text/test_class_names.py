import json
import logging

import pytest

from textxfer_mm.errors import UserError
from textxfer_mm.text.class_names import check_class_names, list_datasets, load_class_names

NAMES = ('brush hair', 'ApplyEyeMakeup', 'riding a bike, fast')


def write(path, text, encoding='utf-8'):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.txt', 'brush hair\nApplyEyeMakeup\nriding a bike, fast\n'),
        ('b.txt', '\ufeffbrush hair\r\n  ApplyEyeMakeup \r\nriding a bike, fast\r\n\r\n\n'),
        ('c.list', 'brush hair\nApplyEyeMakeup\nriding a bike, fast'),
        ('a.csv', 'id,name\n1,ApplyEyeMakeup\n0,brush hair\n2,"riding a bike, fast"\n'),
        ('b.csv', '0,brush hair\n1,ApplyEyeMakeup\n2,"riding a bike, fast"\n'),
        ('c.csv', '\ufefflabel,Name\n3,"riding a bike, fast"\n2, ApplyEyeMakeup\n1,brush hair\n\n'),
        ('d.csv', 'brush hair\nApplyEyeMakeup\n"riding a bike, fast"\n'),
        ('e.csv', 'name\nbrush hair\nApplyEyeMakeup\n"riding a bike, fast"\n'),
        ('f.csv', 'id,label\n0,brush hair\n1,ApplyEyeMakeup\n2,"riding a bike, fast"\n'),
        ('a.json', json.dumps(NAMES)),
        ('b.json', json.dumps({'2': NAMES[2], '0': NAMES[0], '1': NAMES[1]})),
        ('c.json', json.dumps({NAMES[1]: 1, NAMES[0]: 0, NAMES[2]: 2})),
        ('d.json', '\ufeff' + json.dumps({NAMES[1]: '2', NAMES[0]: '1', NAMES[2]: '3'})),
    ],
)
def test_file_formats(tmp_path, name, text):
    path = write(tmp_path / name, text)
    assert load_class_names(path) == NAMES
    assert load_class_names(str(path)) == NAMES


def test_sequences_are_kept_as_written():
    assert load_class_names(['ApplyEyeMakeup', 'push_up']) == ('ApplyEyeMakeup', 'push_up')


@pytest.mark.parametrize(
    ('name', 'count', 'first', 'index', 'at_index'),
    [
        ('kinetics400', 400, 'abseiling', 5, 'archery'),
        ('kinetics700', 700, 'abseiling', 699, 'zumba'),
        ('ucf101', 101, 'ApplyEyeMakeup', 100, 'YoYo'),
        ('hmdb51', 51, 'brush hair', 50, 'wave'),
        ('sthv2', 174, 'Approaching something with your camera', 2, 'Bending something so that it deforms'),
        ('imagenet1k', 1000, 'tench', 1, 'goldfish'),
    ],
)
def test_datasets(name, count, first, index, at_index):
    names = load_class_names(name)
    assert (len(names), names[0], names[index]) == (count, first, at_index)
    assert name in list_datasets()


def test_ucf101_is_in_the_order_of_its_class_index():
    names = load_class_names('ucf101')
    assert names[33:37] == ('Haircut', 'Hammering', 'HammerThrow', 'HandstandPushups')  # 34 to 37 in classInd.txt
    assert names[45:49] == ('JugglingBalls', 'JumpingJack', 'JumpRope', 'Kayaking')  # 46 to 49


def test_kinetics400_is_the_list_of_torchvision():
    from torchvision.models.video import R3D_18_Weights

    assert load_class_names('kinetics400') == tuple(R3D_18_Weights.KINETICS400_V1.meta['categories'])


def test_label_maps_of_a_checkout_are_found(tmp_path, monkeypatch):
    (tmp_path / 'mmaction').mkdir()
    write(tmp_path / 'mmaction' / '__init__.py', '')
    for folder, file in (('kinetics', 'label_map_k600.txt'), ('mit', 'label_map.txt'), ('ucf101', 'label_map.txt')):
        (tmp_path / 'tools' / 'data' / folder).mkdir(parents=True)
        write(tmp_path / 'tools' / 'data' / folder / file, 'a\nb\n')

    class Spec:
        origin = str(tmp_path / 'mmaction' / '__init__.py')

    monkeypatch.setattr('importlib.util.find_spec', lambda name: Spec)
    assert load_class_names('kinetics600') == load_class_names('mit') == ('a', 'b')
    assert len(load_class_names('ucf101')) == 101  # the list of the package comes first


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.txt', 'x\n\ny\n', 'line 2 is empty'),
        ('b.txt', '\n\n', 'empty'),
        ('c.txt', 'run\nwalk\nRun \n', r"c.txt: Duplicate class names: 'run' \(class 0\) and 'Run' \(class 2\)"),
        ('a.csv', 'id,name\n0,x\n2,y\n', r'must be 0..1 or 1..2; repeated: none, missing: \[1\]'),
        ('b.csv', 'id,name\n0,x\n0,y\n', r'repeated: \[0\]'),
        ('c.csv', 'id,name\nzero,x\n', 'not a whole number'),
        ('d.csv', 'id,name\n0,\n', r'row 2 \(0,\) names no class'),
        ('e.csv', 'a,b\nc,d\n', 'header with a column `name`'),
        ('f.csv', 'id,name\n', 'is empty'),
        ('a.json', '{"0": "x", ', 'not valid JSON'),
        ('b.json', '"x"', 'expected a list of names'),
        ('c.json', '["x", 3]', r'class 1 is 3 \(int\)'),
        ('d.json', '{"1": "x", "5": "y"}', 'must be 0..1 or 1..2'),
        ('e.json', '["x", " "]', 'name of class 1 is empty'),
    ],
)
def test_file_errors(tmp_path, name, text, message):
    with pytest.raises(UserError, match=message):
        load_class_names(write(tmp_path / name, text))


def test_other_errors(tmp_path):
    with pytest.raises(UserError, match=r'Unknown dataset .kinetic400.*Did you mean: kinetics400'):
        load_class_names('kinetic400')
    with pytest.raises(UserError, match=r'not found: .*labels\.txt'):
        load_class_names(str(tmp_path / 'labels.txt'))
    with pytest.raises(UserError, match='not a text file in UTF-8'):
        load_class_names(write(tmp_path / 'latin.txt', 'caf\xe9\n', 'latin-1'))
    with pytest.raises(UserError, match='not a int'):
        load_class_names(7)


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ([], 'list of class names is empty'),
        (['a', ''], 'name of class 1 is empty'),
        (['a', None], r'class 1 is None \(NoneType\)'),
        (['Swing', 'jump', 'swing'], "'Swing' .class 0. and 'swing' .class 2."),
        (['push up', 'push_up'], "'push up' .class 0. and 'push_up' .class 1."),
        (['a'] * 8, r'; \.\.\. \(7 in all\)'),
    ],
)
def test_check_class_names(names, message):
    with pytest.raises(UserError, match=message):
        check_class_names(names)


def test_numbered_lines_warn(tmp_path, caplog):
    path = write(tmp_path / 'classInd.txt', '1 Apply\n2 Archery\n3 Biking\n')
    with caplog.at_level(logging.WARNING):
        assert load_class_names(path)[0] == '1 Apply'
    assert 'save the list as a csv file' in caplog.text
