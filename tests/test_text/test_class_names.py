import importlib.util
import json
import logging
import runpy
from pathlib import Path

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
        ('food101', 101, 'apple pie', 100, 'waffles'),
        ('cifar10', 10, 'airplane', 9, 'truck'),
        ('cifar100', 100, 'apple', 1, 'aquarium fish'),
        ('sun397', 397, 'abbey', 396, 'youth hostel'),
        ('stanford_cars', 196, 'AM General Hummer SUV 2000', 195, 'smart fortwo Convertible 2012'),
        ('fgvc_aircraft', 100, '707-320', 99, 'Yak-42'),
        ('voc2007', 20, 'aeroplane', 19, 'tvmonitor'),
        ('activitynet', 200, 'Applying sunscreen', 99, 'Peeling potatoes'),
        ('dtd', 47, 'banded', 46, 'zigzagged'),
        ('oxford_pets', 37, 'Abyssinian', 36, 'yorkshire terrier'),
        ('caltech101', 102, 'BACKGROUND Google', 101, 'yin yang'),
        ('flowers102', 102, 'pink primrose', 101, 'blackberry lily'),
    ],
)
def test_datasets(name, count, first, index, at_index):
    names = load_class_names(name)
    assert (len(names), names[0], names[index]) == (count, first, at_index)
    assert name in list_datasets()


def test_lists_of_image_datasets_are_those_of_mmpretrain():
    file = Path(importlib.util.find_spec('mmpretrain').origin).parent / 'datasets' / 'categories.py'
    lists = runpy.run_path(str(file))
    for ours, theirs in (
        ('sun397', 'SUN397'),
        ('dtd', 'DTD'),
        ('oxford_pets', 'OxfordIIITPet'),
        ('voc2007', 'VOC2007'),
    ):
        names = [name.replace('_', ' ') for name in lists[f'{theirs}_CATEGORIES']]
        assert load_class_names(ours) == tuple(names)


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
        ('g.csv', 'run\n"walk\nsit\n', r'row 2 has a double quote that is not closed \(walk\\nsit'),
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


@pytest.mark.parametrize('divider', [' ', ';', ',', '\t'])
def test_numbered_lines_warn(tmp_path, caplog, divider):
    path = write(tmp_path / 'classInd.txt', '1 Apply\n2 Archery\n3 Biking\n'.replace(' ', divider))
    with caplog.at_level(logging.WARNING):
        assert load_class_names(path)[0] == f'1{divider}Apply'
    assert 'save the list as a csv file' in caplog.text


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.csv', 'id;name\n0;brush hair\n1;ApplyEyeMakeup\n2;riding a bike, fast\n'),
        ('b.csv', '2;riding a bike, fast\n0;brush hair\n1;ApplyEyeMakeup\n'),
        ('c.csv', 'sep=;\nname;id\nApplyEyeMakeup;2\nriding a bike, fast;3\nbrush hair;1\n'),
        ('d.csv', 'id\tname\n0\tbrush hair\n1\tApplyEyeMakeup\n2\triding a bike, fast\n'),
        ('e.tsv', '0\tbrush hair\n1\tApplyEyeMakeup\n2\triding a bike, fast\n'),
        ('g.csv', 'id|name\n0|brush hair\n1|ApplyEyeMakeup\n2|riding a bike, fast\n'),
        ('f.csv', 'id;name;note\n0;brush hair;\n1;ApplyEyeMakeup;"a;b"\n2;"riding a bike, fast";x\n'),
    ],
)
def test_columns_may_be_divided_otherwise_than_by_commas(tmp_path, name, text):
    assert load_class_names(write(tmp_path / name, text)) == NAMES


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.csv', 'nr;title\n0;brush hair\n1;wave\n'),
        ('b.csv', 'a,b,c\n'),
        ('c.csv', 'brush hair\nriding a bike, fast\n'),
        ('d.csv', 'brush hair\tx\nwave\ty\n'),
        ('e.tsv', 'brush hair\nwave\ty\n'),
        ('f.csv', 'name\nriding a bike, fast\nwave\n'),
    ],
)
def test_a_table_of_another_kind_is_no_list_of_names(tmp_path, name, text):
    with pytest.raises(UserError, match=r'give a header with a column `name`.*by commas, semicolons, tabs or bars'):
        load_class_names(write(tmp_path / name, text))


def test_one_column_may_hold_semicolons(tmp_path):
    assert load_class_names(write(tmp_path / 'a.csv', 'brush hair\nwave; smile\n')) == ('brush hair', 'wave; smile')
    assert load_class_names(write(tmp_path / 'b.csv', 'name\nwave; smile\nrun\n')) == ('wave; smile', 'run')


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-32'])
@pytest.mark.parametrize('name', ['a.txt', 'a.csv', 'a.json'])
def test_marked_encodings_are_read(tmp_path, name, encoding):
    names = ('走路', 'être assis', 'jump')
    text = json.dumps(names, ensure_ascii=False) if name.endswith('json') else '\r\n'.join(names) + '\r\n'
    assert load_class_names(write(tmp_path / name, text, encoding)) == names


@pytest.mark.parametrize('encoding', ['gbk', 'big5', 'utf-16-le'])
@pytest.mark.parametrize('name', ['a.txt', 'a.csv', 'a.json'])
def test_other_encodings_are_one_line(tmp_path, name, encoding):
    with pytest.raises(UserError, match=r'is not a text file in UTF-8') as caught:
        load_class_names(write(tmp_path / name, '["走路", "跑步"]\n', encoding))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('first', 'second'),
    [('push-up', 'push up'), ('walking', 'walking.'), ('Really?', 'really!'), ('caf\u00e9', 'cafe\u0301')],
)
def test_names_of_one_prompt_are_duplicates(first, second):
    with pytest.raises(UserError, match='Duplicate class names'):
        check_class_names([first, 'something else', second])
    check_class_names(['C', 'C++', 'C#', '-5', '5', '!', '?', 'A', 'A-'])


def test_a_text_of_one_line_is_no_name_and_is_not_echoed(tmp_path):
    for name in ('a.txt', 'a.csv', 'a.json'):
        text = json.dumps(['a' * 10_000_000, 'b']) if name == 'a.json' else 'a' * 10_000_000 + '\nb\n'
        with pytest.raises(UserError) as caught:
            load_class_names(write(tmp_path / name, text))
        assert len(str(caught.value)) < 500 + len(str(tmp_path))
    with pytest.raises(UserError) as caught:
        load_class_names('a' * 10_000_000)
    assert len(str(caught.value)) < 600


def test_what_has_no_width_is_shown_escaped():
    with pytest.raises(UserError, match=r"'walk\\u200b' .class 0. and 'walk\\u200b'"):
        check_class_names(['walk\u200b', 'walk\u200b'])


def test_control_characters_are_shown_escaped():
    with pytest.raises(UserError) as caught:
        check_class_names(['\x1b[2Jrun', '\x1b[2JRun'])
    assert r"'\x1b[2Jrun' (class 0)" in str(caught.value)
