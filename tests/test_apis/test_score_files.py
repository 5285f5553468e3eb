"""Files of scores: they hold what they had, go on, repeat nothing, and become what they were before."""

import csv
import json

import pytest

from textxfer_mm.apis import VideoFailure, VideoPrediction
from textxfer_mm.apis.prediction_runs import FilesRun, ShardsRun
from textxfer_mm.apis.shards import Place, place_of_process
from textxfer_mm.errors import UserError

LABELS = ('wav,ing', 'run "fast"', '走路\nx')


class Scripted:
    """Stands in for a recognizer; ends itself after some files, as a signal would."""

    def __init__(self, ends_after=None, labels=LABELS):
        self.class_names, self.asked, self._ends_after = labels, [], ends_after

    def stream(self, names):
        for number, name in enumerate(names):
            if number == self._ends_after:
                raise KeyboardInterrupt
            self.asked.append(name)
            if 'bad' in name:
                yield VideoFailure(name, 'an error, "quoted"')
            else:
                share = (1 + len(name) % 3) / 10
                yield VideoPrediction(name, self.class_names, (share, 0.7 - share, 0.3))


NAMES = ['a.mp4', 'b, "c".mp4', 'bad.mp4', 'caf\udce9.mp4', 'd.mp4', 'e.mp4']


def files(folder, lines):
    return folder / f'scores.{"jsonl" if lines else "json"}', folder / 'scores.csv'


def run(folder, lines=True, *, resume=False, ends_after=None, names=NAMES, labels=LABELS):
    made = FilesRun(names, *files(folder, lines), resume=resume)
    recognizer = Scripted(ends_after, labels)
    list(made.recognise(recognizer)) if made.todo else None
    made.finish()
    return recognizer, made


def test_what_is_written(tmp_path):
    run(tmp_path)
    lines, table = files(tmp_path, True)
    rows = [json.loads(line) for line in lines.read_text(encoding='utf-8').splitlines()]
    assert [row['video'] for row in rows] == NAMES
    assert rows[2] == {'video': 'bad.mp4', 'error': 'an error, "quoted"'}
    assert list(rows[0]['scores'].items()) == [('run "fast"', 0.7 - 0.3), ('wav,ing', 0.3), ('走路\nx', 0.3)]
    with table.open(encoding='utf-8', newline='') as file:
        found = list(csv.DictReader(file))
    assert [row['rank'] for row in found] == ['1', '2', '3', '1', '2', '3', '', *['1', '2', '3'] * 3]
    assert found[6] == dict(video='bad.mp4', rank='', label='', score='', error='an error, "quoted"')
    assert (found[0]['label'], found[0]['score']) == ('run "fast"', '0.400000')


@pytest.mark.parametrize('lines', [True, False])
@pytest.mark.parametrize('ends_after', [0, 1, 2, 3, 5])
def test_an_ended_run_goes_on(tmp_path, lines, ends_after):
    """Nothing is lost, nothing is predicted twice, and the files are those of a run that was not ended."""
    (tmp_path / 'whole').mkdir()
    run(tmp_path / 'whole', lines)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, lines, ends_after=ends_after)
    again, made = run(tmp_path, lines, resume=True)
    assert again.asked == NAMES[ends_after:]
    assert made.failed == 1
    assert [len(file.read_bytes()) for file in files(tmp_path, lines)] == [
        len(file.read_bytes()) for file in files(tmp_path / 'whole', lines)
    ]
    assert not list(tmp_path.glob('*.part*'))
    third, made = run(tmp_path, lines, resume=True)
    assert (third.asked, made.todo, made.failed) == ([], [], 1)


@pytest.mark.parametrize('which', [0, 1])
def test_a_file_cut_off_anywhere_is_mended(tmp_path, which):
    """Cut at every byte: only what is not whole is done again, and the end is the same."""
    run(tmp_path)
    whole = [file.read_bytes() for file in files(tmp_path, True)]
    read = [[row['video'] for row in map(json.loads, whole[0].splitlines())], _videos(whole[1])]
    for cut in range(0, len(whole[which]), 3):
        for file, content in zip(files(tmp_path, True), whole, strict=True):
            file.write_bytes(content)
        files(tmp_path, True)[which].write_bytes(whole[which][:cut])
        again, _ = run(tmp_path, resume=True)
        lines, table = (file.read_bytes() for file in files(tmp_path, True))
        assert [row['video'] for row in map(json.loads, lines.splitlines())] == read[0]
        assert _videos(table) == read[1]
        if which == 1:
            assert (again.asked, table) == ([], whole[1])  # the lines hold all that the table lacks
        else:
            assert len(again.asked) <= len(NAMES) - whole[0][:cut].count(b'\n')


def _videos(table):
    rows = csv.reader(table.decode().splitlines(keepends=True))
    return [tuple(row[:3]) for row in rows]


def test_scores_of_other_labels_are_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, ends_after=2)
    before = [file.read_bytes() for file in files(tmp_path, True)]
    with pytest.raises(UserError, match=r'scores.jsonl holds scores of other labels \(run "fast", .*\) than a, b, c'):
        run(tmp_path, resume=True, labels=('a', 'b', 'c'))
    assert [file.read_bytes() for file in files(tmp_path, True)] == before


@pytest.mark.parametrize('lines', [True, False])
def test_an_ended_run_is_not_written_over(tmp_path, lines):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, lines, ends_after=2)
    with pytest.raises(
        UserError, match='holds the scores of 2 of these 6 files, of a run that did not end: go on with'
    ):
        run(tmp_path, lines)
    run(tmp_path, lines, resume=True)
    again, _ = run(tmp_path, lines)  # a whole one is, as ever
    assert again.asked == NAMES
    run(tmp_path, lines, names=['z.mp4'])


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('scores.jsonl', '{"a": 1}\n', 'scores.jsonl, line 1, is no result of textxfer predict'),
        ('scores.jsonl', 'hello\n', 'is no result of textxfer predict'),
        ('scores.csv', 'video,label\na,b\n', 'is no table of scores with the columns video, rank, label, score, error'),
        ('scores.json', '{"a": 1}', 'is no list of results'),
        ('scores.json', '[1', 'is no JSON file'),
    ],
)
def test_something_else_is_not_gone_on_with(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_text(content)
    given = (None, file) if name.endswith('csv') else (file, None)
    with pytest.raises(UserError, match=message):
        FilesRun(NAMES, *given, resume=True)
    assert file.read_text() == content


def test_to_go_on_needs_a_file(tmp_path):
    with pytest.raises(UserError, match='--resume goes on with a file of scores: give --json or --csv'):
        FilesRun(NAMES, resume=True)


def test_ranks_do_not_write_one_file(tmp_path, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(UserError, match='2 processes cannot write one file: give --shards FOLDER'):
        FilesRun(NAMES, tmp_path / 'a.jsonl')


class TestShards:
    names = [f'{number}.mp4' for number in range(7)]

    def run(self, folder, rank=0, world_size=1, **options):
        made = ShardsRun(self.names, folder, Place(rank, world_size), size=2)
        recognizer = Scripted(**options)
        list(made.recognise(recognizer))
        return recognizer, made

    def found(self, folder):
        lines = [line for file in sorted(folder.glob('scores-*')) for line in file.read_text().splitlines()]
        return [json.loads(line)['video'] for line in lines]

    def test_ranks_share_them(self, tmp_path):
        first, made = self.run(tmp_path, 0, 3)
        assert (first.asked, made.total) == (['0.mp4', '1.mp4', '6.mp4'], 3)
        assert made.notes() == ['This was process 0 of 3. 2 of 4 shards are there.']
        assert sorted(file.name for file in tmp_path.glob('*')) == [
            *('scores-00000-of-00004.jsonl', 'scores-00003-of-00004.jsonl', 'shards.json')
        ]
        self.run(tmp_path, 1, 3)
        last, _ = self.run(tmp_path)  # one process takes what is left
        assert last.asked == ['4.mp4', '5.mp4']
        assert self.found(tmp_path) == self.names

    def test_an_ended_run_leaves_whole_shards_and_goes_on(self, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            self.run(tmp_path, ends_after=3)
        assert self.found(tmp_path) == ['0.mp4', '1.mp4']
        again, _ = self.run(tmp_path)
        assert again.asked == self.names[2:]
        assert self.found(tmp_path) == self.names

    def test_other_files_and_labels_are_refused(self, tmp_path):
        self.run(tmp_path, 0, 2)
        with pytest.raises(UserError, match='holds shards of other labels'):
            self.run(tmp_path, 1, 2, labels=('a', 'b', 'c'))
        with pytest.raises(UserError, match=r'holds shards of other files \(7 in shards of 2, now 8 of 2\). Did files'):
            ShardsRun([*self.names, 'new.mp4'], tmp_path, Place(), size=2)
        (tmp_path / 'shards.json').write_text('{')
        with pytest.raises(UserError, match='is damaged'):
            ShardsRun(self.names, tmp_path, Place(), size=2)


@pytest.mark.parametrize(
    ('environment', 'place'),
    [
        ({}, Place(0, 1, 0)),
        (dict(RANK='3', WORLD_SIZE='8', LOCAL_RANK='1'), Place(3, 8, 1)),
        (dict(SLURM_PROCID='1', SLURM_NTASKS='2'), Place(1, 2, 0)),
        (dict(SLURM_ARRAY_TASK_ID='5', SLURM_ARRAY_TASK_COUNT='10'), Place(5, 10, 0)),
        (
            dict(
                SLURM_ARRAY_TASK_ID='7',
                SLURM_ARRAY_TASK_COUNT='4',
                SLURM_ARRAY_TASK_MIN='1',
                SLURM_ARRAY_TASK_STEP='2',
                SLURM_PROCID='1',
                SLURM_NTASKS='2',
                SLURM_LOCALID='1',
            ),
            Place(7, 8, 1),
        ),
    ],
)
def test_which_process_this_is(environment, place):
    assert place_of_process(environment) == place


@pytest.mark.parametrize(
    ('environment', 'message'),
    [
        (dict(RANK='2', WORLD_SIZE='2'), 'This is process 2 of 2, counted from 0'),
        (dict(RANK='x', WORLD_SIZE='2'), "variable RANK is 'x', no whole number"),
    ],
)
def test_variables_that_make_no_sense(environment, message):
    with pytest.raises(UserError, match=message):
        place_of_process(environment)
