"""``textxfer search``: from the command line to a table, files and messages."""

import csv
import json

import pytest
import torch
from PIL import Image
from tiny import CLIP_NAME, TINY_VIT
from tiny_runs import write_corrupt, write_video
from typer.testing import CliRunner

from textxfer_mm.apis import clip_zero_shot_config
from textxfer_mm.apis.search import query_vectors
from textxfer_mm.cli.main import app


def run(*args):
    result = CliRunner().invoke(app, ['search', *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def clip(weights):
    """The options of a tiny CLIP."""
    return ('--model', CLIP_NAME, '--pretrained', weights)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / 'videos'
    made.mkdir()
    for seed, name in enumerate(('a', 'b')):
        write_video(made / f'{name}.mp4', seed, frames=40, seed=seed)
    return made


def test_a_text_and_a_folder_give_moments(clip, folder, tmp_path):
    write_corrupt(folder / 'broken.mp4', 'truncated')
    (folder / 'notes.txt').write_text('not a video')
    files = dict(json=tmp_path / 'out' / 'a.json', csv=tmp_path / 'out' / 'a.csv', sheet=tmp_path / 'out' / 'a.png')
    outputs = [word for option, file in files.items() for word in (f'--{option}', file)]
    result = run('a person waves', folder, *clip, '--topk', 3, *outputs)
    assert result.exit_code == 0, result.output
    assert '8 moments of 2 files (3 new); the index is ' in result.output
    assert '1 file is left out: broken.mp4 (' in result.output
    assert '1 file is neither a video nor an image: notes.txt.' in result.output
    assert 'All 8 scores: half are below ' in result.output
    data = json.loads(files['json'].read_text())
    assert data['query'] == 'a person waves'
    rows = list(csv.DictReader(files['csv'].open()))
    assert [row['file'] for row in rows] == [hit['file'] for hit in data['hits']]
    assert len(rows) == 3
    assert all(f'{float(row["score"]):.3f}' in result.output for row in rows)
    assert all(row['file'].startswith(str(folder)) for row in rows)
    assert Image.open(files['sheet']).size[0] > 800
    again = run('somebody claps', folder, *clip, '--per-file', 1)
    assert '8 moments of 2 files; the index is ' in again.output  # nothing is new


def test_a_video_searches_an_index_as_it_is(clip, folder, tmp_path):
    assert run('waving', folder, *clip, '--index', tmp_path / 'index').exit_code == 0
    write_video(folder / 'c.mp4', seed=3)
    (folder / 'b.mp4').unlink()
    result = run(folder / 'a.mp4', '--index', tmp_path / 'index', *clip, '--sheet', tmp_path / 'a.png')
    assert result.exit_code == 0, result.output
    assert '8 moments of 2 files; the index is' in result.output
    assert 'The query is one of the files of the index: it is left out.' in result.output
    assert 'Gone since it was indexed: b.mp4. Give the paths to update it.' in result.output
    result = run('waving', folder, *clip, '--index', tmp_path / 'index')
    assert '5 moments of 2 files (1 new, 1 gone); the index is' in result.output


@pytest.mark.parametrize(
    ('query', 'message'),
    [('a ' * 100, 'reads at most'), ('kicking', 'Texts are embedded 8 wide and videos 32')],
)
def test_a_text_that_cannot_be_searched_for_is_refused_before_it_indexes(
    clip, folder, tmp_path, monkeypatch, query, message
):
    if query == 'kicking':
        monkeypatch.setattr(query_vectors, 'embed_prompts', lambda encode, templates, texts: torch.ones(1, 1, 8))
    result = run(query, folder, *clip, '--index', tmp_path / 'index')
    assert result.exit_code == 2
    assert message in result.output
    assert not list((tmp_path / 'index').glob('*'))


def test_a_model_without_words_is_refused_before_it_encodes(folder, tmp_path):
    arch = dict(TINY_VIT, preprocess_cfg=dict(mean=[0.5] * 3, std=[0.5] * 3))
    cfg = clip_zero_shot_config(arch, None, ['a', 'b'], templates='{}', num_frames=4)
    cfg.model.cls_head = dict(type='I3DHead', num_classes=2, in_channels=32, average_clips='prob')
    cfg.dump(tmp_path / 'stock.py')
    result = run('waving', folder, '--config', tmp_path / 'stock.py', '--index', tmp_path / 'index')
    assert result.exit_code == 2
    assert 'Search by text needs a text encoder, and the head I3DHead' in result.output
    assert not list((tmp_path / 'index').glob('*'))


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('', 'videos'), 'The query is empty: give a text'),
        (('z.mp4', 'videos'), 'The query z.mp4 does not exist.'),
        (('waving', 'vidios'), 'vidios does not exist.'),
        (('waving', 'empty'), 'The folder empty holds no video and no image'),
        (('waving',), 'Give the videos to search in: a folder, files, a pattern or a list; or --index of an index.'),
        (('waving', '--index', 'i', '--rebuild'), 'Give the videos to search in'),
        (('waving', 'videos', '--threshold', '1.5'), '--threshold 1.5 is no score: scores are cosines, from -1 to 1.'),
        (('waving', 'videos', '--window', '0'), '--window 0 is no length of time: give seconds above 0.'),
        (('waving', 'videos', '--template', 'no place'), "'no place' is neither a set of templates nor a template"),
        (('waving', 'videos', '--sheet', 'a.jpg'), '--sheet a.jpg: figures are PNG files'),
        (('waving', 'videos', '--sheet', 'videos/a.png'), '--sheet videos/a.png lies in videos, which is searched'),
        (('waving', 'videos', '--json', '.'), '--json . is a folder; give the path of a file.'),
        (('waving', 'videos', '--json', 'a.csv'), '--json a.csv: give a name that ends in .json.'),
        (('waving', 'videos', '--csv', 'a.json'), '--csv a.json: give a name that ends in .csv.'),
        (('waving', 'videos', '--index', 'videos/a.mp4'), '--index videos/a.mp4 is no folder that can be written to'),
        (('waving', 'videos', '--pretrained', 'openai'), '--pretrained are the weights of a CLIP model: say which'),
        (('waving', 'videos', '--checkpoint', 'a.pth'), 'checkpoint a.pth does not exist.'),
    ],
)
def test_mistakes_end_in_one_line_before_anything_is_loaded(folder, monkeypatch, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('textxfer_mm.cli.model_options.ChosenModel.load', None)
    (tmp_path / 'empty').mkdir()
    result = run(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith(f'error: {message}'), result.stderr
    assert result.stderr.count('\n') == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ['empty', 'videos']


def test_what_is_not_there_ends_in_one_line(clip, folder, tmp_path):
    index = ('--index', tmp_path / 'index')
    assert run('waving', folder, *clip, *index).exit_code == 0
    for words, message in (
        (('waving', *index, '--threshold', 1), "No moment of 2 files reaches 1 for 'waving'; the best is "),
        (('waving', '--index', tmp_path / 'none'), f'{tmp_path / "none"} holds no index: give paths of videos as well'),
        (
            ('waving', folder, *index, '--stride', 0.5),
            f'The index {tmp_path / "index"} was made with other settings of',
        ),
    ):
        result = run(*words, *clip)
        assert result.exit_code == 2
        assert result.stderr.startswith(f'error: {message}'), result.stderr
        assert result.stderr.count('\n') == 1
