"""Predictions as tasks of Label Studio: their order, their addresses, and what is refused."""

import json
import math
import xml.etree.ElementTree as ElementTree

import pytest
from typer.testing import CliRunner

from textxfer_mm.apis.label_studio import label_studio_tasks
from textxfer_mm.apis.predictions import VideoFailure, VideoPrediction
from textxfer_mm.apis.score_records import line_of
from textxfer_mm.cli.main import app
from textxfer_mm.errors import UserError

NAMES = ('waving', 'clapping & "hands"', 'bowing')


def results(suffix='.mp4'):
    """Three files; margin, entropy and confidence each put another one first."""
    scores = dict(lead=(0.49, 0.48, 0.03), spread=(0.4, 0.3, 0.3), sure=(0.9, 0.1, 0.0))
    made = [VideoPrediction(f'clips/{name}{suffix}', NAMES, value) for name, value in scores.items()]
    return [*made, VideoFailure('clips/bad.mp4', 'no frames')]


def order(tasks, kind='video'):
    return [task['data'][kind].split('/')[-1].split('.')[0] for task in tasks]


@pytest.mark.parametrize(
    ('uncertainty', 'first', 'value'),
    [
        ('margin', 'lead', 1 - 0.01),
        ('entropy', 'spread', -(0.4 * math.log(0.4) + 0.6 * math.log(0.3))),
        ('confidence', 'spread', 0.6),
    ],
)
def test_the_most_uncertain_come_first(uncertainty, first, value):
    made = label_studio_tasks(results(), uncertainty=uncertainty)
    assert order(made.tasks)[0] == first
    assert order(made.tasks)[2] == 'sure'
    assert made.tasks[0]['data']['uncertainty'] == pytest.approx(value, abs=1e-6)
    assert [failure.video for failure in made.failures] == ['clips/bad.mp4']
    assert order(label_studio_tasks(results(), uncertainty=uncertainty, number=1).tasks) == [first]


def test_predictions_fit_the_labelling_config():
    made = label_studio_tasks(results('.png'), model_version='v1')
    view = ElementTree.fromstring(made.config)
    (medium, choices) = view
    (prediction,) = made.tasks[-1]['predictions']
    (choice,) = prediction['result']
    assert (medium.tag, medium.get('value')) == ('Image', '$image')
    assert choice['from_name'] == choices.get('name')
    assert choice['to_name'] == choices.get('toName') == medium.get('name')
    assert [part.get('value') for part in choices] == sorted(NAMES)
    assert (choice['value'], prediction['score'], prediction['model_version']) == (dict(choices=['waving']), 0.9, 'v1')


def test_images_among_videos_are_left_out():
    made = label_studio_tasks(results() + results('.png'))
    assert order(made.tasks) == order(label_studio_tasks(results()).tasks)
    assert made.images == ['clips/lead.png', 'clips/spread.png', 'clips/sure.png']


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = [VideoPrediction('clips/a b.mp4', NAMES, (1.0, 0.0, 0.0))]

    def address(**options):
        return label_studio_tasks(named, **options).tasks[0]['data']['video']

    assert address() == '/data/local-files/?d=clips/a%20b.mp4'
    assert address(root='clips') == '/data/local-files/?d=a%20b.mp4'
    assert address(root='.', prefix='s3://bucket/') == 's3://bucket/clips/a b.mp4'


@pytest.mark.parametrize(
    ('made', 'options', 'message'),
    [
        (results()[3:], {}, 'There are no scores to make tasks of.'),
        (results(), dict(uncertainty='margni'), "Unknown uncertainty 'margni'. Did you mean: margin"),
        (results() + [VideoPrediction('z.mp4', ('a',), (1.0,))], {}, r'z.mp4 has scores of other classes \(a\) than'),
        (results(), dict(root='elsewhere'), 'clips/lead.mp4 is not inside'),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, made, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        label_studio_tasks(made, **options)


def run(*args):
    return CliRunner().invoke(app, ['data', 'label-studio', *map(str, args)], env=dict(COLUMNS='200'))


@pytest.mark.parametrize('form', ['lines', 'LINES', 'array', 'shards'])
def test_the_command_reads_what_predict_writes(tmp_path, form):
    lines = [line_of(result) for result in results()]
    path = tmp_path / dict(lines='s.jsonl', LINES='S.JSONL', array='s.json', shards='shards')[form]
    if form == 'shards':
        path.mkdir()
        for shard in range(2):
            (path / f'scores-{shard:05d}-of-00002.jsonl').write_bytes(b''.join(lines[2 * shard : 2 * shard + 2]))
    else:
        path.write_bytes(b'[' + b','.join(lines) + b']' if form == 'array' else b''.join(lines))
    found = run(path, tmp_path / 'tasks.json')
    assert found.exit_code == 0, found.output
    assert order(json.loads((tmp_path / 'tasks.json').read_text())) == ['lead', 'spread', 'sure']
    assert ElementTree.parse(tmp_path / 'tasks.xml').getroot().tag == 'View'
    assert 'tasks.json, 3 tasks, and' in found.output
    assert 'Left out, without scores: 1' in found.output


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('missing.jsonl', 'tasks.json'), 'missing.jsonl'),
        (('.', 'tasks.json'), 'holds no shard of `textxfer predict --shards`'),
        (('names.txt', 'tasks.json'), 'is no JSON file'),
        (('names.txt', 'tasks.csv'), 'TASKS tasks.csv: give a name that ends in .json.'),
        (('names.txt', '.'), 'TASKS . is a folder; give the path of a file.'),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'names.txt').write_text('waving\n')
    found = run(*words)
    assert (found.exit_code, message in found.output) == (2, True), found.output
    assert len(found.output.strip().splitlines()) == 1
    assert not (tmp_path / 'tasks.json').exists()
