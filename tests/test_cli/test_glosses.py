"""``textxfer glosses``, and ``--glosses`` of the other commands."""

import csv
import json

import pytest
from tiny_wordnet import write_wordnet
from typer.testing import CliRunner

from textxfer_mm.cli.main import app
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.text.glosses.table import find_glosses, gloss_table, list_gloss_tables, shipped_file


def run(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args], env=dict(COLUMNS='200'))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('glosses')
    write_wordnet(folder / 'wordnet')
    (folder / 'names.txt').write_text('playing guitar\ntench\nzumba\n')
    return folder


def test_a_table_and_a_report(folder, tmp_path):
    """With the packaged sentence encoder: playing the guitar is neither game nor sport."""
    out, report = tmp_path / 'new' / 'g.csv', tmp_path / 'r.md'
    made = run('glosses', folder / 'names.txt', out, '--wordnet', folder / 'wordnet', '--report', report)
    assert made.exit_code == 0, made.output
    assert '2 of 3 classes have a gloss (66.7 %)' in made.output
    assert 'Without a gloss, and so with their bare name: zumba.' in made.output
    found = find_glosses(out, load_class_names(folder / 'names.txt'))
    assert found[0][0].startswith('play on an instrument; a stringed instrument')
    assert [len(own) for own in found] == [1, 1, 0]
    assert '| 0 | playing guitar | verb + object | play + guitar' in report.read_text()


def test_options(folder, tmp_path):
    overrides = tmp_path / 'o.csv'
    overrides.write_text('name,sense,gloss\nzumba,,dance for fitness\n')
    out, report = tmp_path / 'g.json', tmp_path / 'r.csv'
    words = ['--sense', 'first', '--max-senses', 2, '--overrides', overrides, '--report', report]
    made = run('glosses', folder / 'names.txt', out, '--wordnet', folder / 'wordnet', *words)
    assert made.exit_code == 0, made.output
    rows = json.loads(out.read_text())
    assert [len(row['gloss']) for row in rows] == [2, 1, 1]
    assert rows[2] == dict(name='zumba', gloss=['dance for fitness'], sense=[''])
    assert [row['label'] for row in csv.DictReader(report.open())] == ['0', '0', '1', '2']


def test_ids(folder, tmp_path):
    ids = write_wordnet(tmp_path / 'wordnet')
    (tmp_path / 'names.txt').write_text('crane\ncrane\n')
    (tmp_path / 'ids.txt').write_text(f'{ids["crane.n.02"]}\n{ids["crane.n.01"]}\n')
    words = ['--wordnet', tmp_path / 'wordnet', '--ids', tmp_path / 'ids.txt']
    made = run('glosses', tmp_path / 'names.txt', tmp_path / 'g.csv', *words)
    assert made.exit_code == 0, made.output
    assert find_glosses(tmp_path / 'g.csv', ['crane', 'crane'])[0] == ('large long-necked wading bird',)


def test_a_list_of_ids_becomes_names(folder, tmp_path):
    ids = write_wordnet(tmp_path / 'wordnet')
    (tmp_path / 'ids.txt').write_text(f'{ids["crane.n.02"]}\n{ids["crane.n.01"]}\n')
    made = run('glosses', tmp_path / 'ids.txt', tmp_path / 'g.csv', '--wordnet', tmp_path / 'wordnet')
    assert made.exit_code == 0, made.output
    assert '2 of 2 classes have a gloss (100.0 %); read as: 2 id.' in made.output
    assert load_class_names(str(tmp_path / 'g.csv'), distinct=False) == ('crane', 'crane')
    rows = list(csv.DictReader((tmp_path / 'g.csv').open()))
    assert [row['sense'] for row in rows] == [ids['crane.n.02'], ids['crane.n.01']]


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--wordnet', 'none'], 'The WordNet folder none does not exist. Give the folder of WordNet 3.0'),
        (['--sense', 'next'], "Unknown sense choice 'next'. Known: first, similar"),
        (['--overrides', 'none.csv'], 'none.csv'),
        (['--report', 'r.txt'], 'r.txt: give a name that ends in .csv or .md'),
        (['names.csv'], ''),
    ],
)
def test_mistakes_end_in_one_line(folder, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    base = ['--wordnet', folder / 'wordnet'] if '--wordnet' not in words else []
    made = run('glosses', folder / 'names.txt', tmp_path / 'g.csv', *base, *words)
    assert made.exit_code == 2
    assert message in made.stderr
    assert not (tmp_path / 'g.csv').exists()
    if message:
        assert len(made.stderr.splitlines()) == 1


def test_what_is_there_is_kept(folder, tmp_path):
    """A table that was put right by hand, a file that is read, and a table that its own report would replace."""
    out, overrides, names = tmp_path / 'g.csv', tmp_path / 'o.csv', tmp_path / 'names.csv'
    out.write_text('mine')
    overrides.write_text('name,gloss\ntench,a fish\n')
    names.write_text('id,name\n0,tench\n1,zumba\n')
    before = {file: file.read_text() for file in (out, overrides, names)}
    words = ['--wordnet', folder / 'wordnet', '--sense', 'first', '--overrides', overrides]
    for target, more, message in (
        (out, [], 'g.csv is there already. Give another name, or --overwrite.'),
        (tmp_path / 'n.csv', ['--report', out], 'g.csv is there already'),
        (tmp_path / 'n.csv', ['--report', tmp_path / 'n.csv'], 'OUT and --report are one file'),
        (overrides, ['--overwrite'], 'OUT and --overrides are one file'),
        (names, ['--overwrite'], 'OUT and CLASS_NAMES are one file'),
        (tmp_path / 'n.csv', ['--overwrite', '--report', overrides], '--report and --overrides are one file'),
    ):
        made = run('glosses', names, target, *words, *more)
        assert made.exit_code == 2
        assert message in made.stderr
        assert {file: file.read_text() for file in before} == before
    assert run('glosses', names, out, *words, '--overwrite').exit_code == 0
    assert find_glosses(out, ['tench', 'zumba']) == (('a fish',), ())


def test_nothing_found_writes_nothing(folder, tmp_path):
    (tmp_path / 'names.txt').write_text('zumba\nkrumping\n')
    made = run('glosses', tmp_path / 'names.txt', tmp_path / 'g.csv', '--wordnet', folder / 'wordnet')
    assert made.exit_code == 2
    assert 'WordNet has no gloss for any of the 2 class names' in made.stderr
    assert not (tmp_path / 'g.csv').exists()


@pytest.mark.parametrize('name', list_gloss_tables())
def test_shipped_glosses_are_of_all_classes(name):
    names = load_class_names(name)
    table = gloss_table(name)
    assert table.names == names
    assert all(table.find(names, required=True))
    file = shipped_file(f'{name}_overrides')
    own_words = {row['name']: row['gloss'] for row in csv.DictReader(file.open())} if file else {}
    assert set(own_words) <= set(names)
    for entry in table.entries:
        if own_words.get(entry.name):
            assert (entry.glosses, entry.senses) == ((own_words[entry.name],), ('',))
        else:
            assert all(entry.senses)


def test_shipped_glosses_mean_what_the_classes_do():
    names = load_class_names('kinetics400')
    found = dict(zip(names, find_glosses('kinetics400', names), strict=True))
    assert found['playing guitar'][0].startswith('play on an instrument; a stringed instrument')
    assert found['playing chess'][0].startswith('participate in games or sport; a board game for two players')
    assert 'toiletry' in found['applying cream'][0]
    assert 'game fish' in find_glosses('imagenet1k', load_class_names('imagenet1k'))[0][0]
    assert sum('games or sport' in own[0] for own in found.values()) < 15
