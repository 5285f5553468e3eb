"""``textxfer evaluate`` and ``textxfer report``: from the command line to tables, files and messages."""

import json

import pytest
import torch
from evaluated import UNSEEN, evaluated_config, train
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from textxfer_mm.cli.main import app
from textxfer_mm.engine.checkpoint import TRAINED_ON_FOLDER


def run(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args], env=dict(COLUMNS='200'))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A config, two checkpoints and results of both."""
    folder = tmp_path_factory.mktemp('cli')
    cfg = evaluated_config(folder)
    cfg.dump(folder / 'config.py')
    (folder / 'unseen_names.txt').write_text('\n'.join(UNSEEN))
    for seed in (1, 2):
        train(cfg, folder, seed)
        words = ['--protocol', 'full', '--protocol', 'generalized', '--ann-file', folder / 'videos' / 'unseen.txt']
        words += ['--labels', folder / 'unseen_names.txt' if seed == 1 else ','.join(UNSEEN), '--device', 'cpu']
        words += ['--json', folder / f'{seed}.json', '--markdown', folder / f'{seed}.md']
        words += ['--features', folder / f'{seed}.safetensors']
        made = run('evaluate', folder / 'config.py', folder / f'trained{seed}.pth', *words)
        assert made.exit_code == 0, made.output
        (folder / f'{seed}.out').write_text(made.output)
    return folder


def result_of(folder, seed):
    return json.loads((folder / f'{seed}.json').read_text())


def test_a_table_and_files(folder):
    output, page, result = (folder / '1.out').read_text(), (folder / '1.md').read_text(), result_of(folder, 1)
    number = f'{100 * result["results"][0]["trained"]["value"]:.1f}'
    baseline = f'{100 * result["results"][0]["untrained"]["value"]:.1f}'
    assert f'| full-class | list.txt | top-1 | 4 | 11 | 25.0 | {baseline} | {number} |' in page
    table = output[output.index('full-class') :]
    line = next(line for line in table.splitlines() if 'list.txt' in line)
    assert line.split() == ['list.txt', 'top-1', '4', '11', '25.0', baseline, number]
    assert 'all names competing' in output
    assert f'{folder}/videos/unseen.txt: 11 videos of 6 view(s), 0 skipped; 3 classes (zero-shot' in output
    assert 'Wrote' in output
    assert 'INFO' not in output
    assert (folder / '1.safetensors').is_file()


def test_features_that_are_there_are_read(folder):
    words = ['--features', folder / '1.safetensors', '--device', 'cpu']
    made = run('evaluate', folder / 'config.py', folder / 'trained1.pth', *words)
    assert (made.exit_code, 'Wrote' in made.output) == (0, False), made.output


def test_report_is_the_mean_over_seeds(folder, tmp_path):
    made = run(
        'report', folder / '1.json', folder / '2.json', '--json', tmp_path / 'm.json', '--markdown', tmp_path / 'm.md'
    )
    assert made.exit_code == 0, made.output
    values = [result_of(folder, seed)['results'][0]['trained']['value'] for seed in (1, 2)]
    mean, spread = sum(values) / 2, abs(values[0] - values[1]) / 2**0.5
    row = json.loads((tmp_path / 'm.json').read_text())['results'][0]
    assert (row['trained']['value'], row['trained']['std']) == pytest.approx((mean, spread))
    assert row['untrained']['std'] == 0
    assert f'{100 * mean:.1f} ± {100 * spread:.1f}' in (tmp_path / 'm.md').read_text()
    assert 'sample deviation over 2 seeds' in made.output


def edited(folder, tmp_path, change):
    result = result_of(folder, 2)
    change(result)
    (tmp_path / 'other.json').write_text(json.dumps(result))
    return tmp_path / 'other.json'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda r: r['results'].pop(), 'are of different protocols or lists'),
        (lambda r: r['lists'][0].update(glosses=dict(classes=4, digest='ab')), 'have different glosses (none / ab)'),
        (lambda r: r['lists'][0].update(class_digest='x'), 'have different class lists'),
        (lambda r: r['lists'][1].update(views=1), 'have different numbers of views (6 / 1)'),
        (lambda r: r['lists'][0].update(pipeline='x'), 'have different test pipelines'),
        (lambda r: r.update(average_clips='prob'), 'have different averages of views (feature / prob)'),
        (lambda r: r.update(templates=['{}']), 'have different templates'),
        (lambda r: r.update(training=dict(shots=3)), "have different parts of the training videos ({} / {'shots': 3})"),
        (lambda r: r.update(format=0), 'is a result of format 0'),
        (lambda r: r.pop('lists'), 'is no result of `textxfer evaluate --json`'),
    ],
)
def test_what_has_no_mean(folder, tmp_path, change, message):
    made = run('report', folder / '1.json', edited(folder, tmp_path, change))
    assert made.exit_code == 2
    assert message in made.output
    assert len(made.output.strip().splitlines()) == 1


def test_the_same_result_twice(folder):
    made = run('report', folder / '1.json', folder / '1.json')
    assert made.exit_code == 2
    assert 'are of the same model and lists: give each result once' in made.output


def test_published_rows_are_marked_and_keep_their_protocols_apart(folder, tmp_path):
    made = run('report', folder / '1.json', '--compare', 'ucf101', '--markdown', tmp_path / 'm.md')
    assert made.exit_code == 0, made.output
    page = (tmp_path / 'm.md').read_text()
    bike = cells(page, 'Zero-shot', "BIKE ViT-L/14, 8 frames (paper's)")
    assert bike['all classes'] == '80.83'
    assert bike['half of the classes, 10 draws'] == '86.63 ± 3.4'
    assert bike['all classes, 3 splits'] == ''
    few = cells(page, 'Trained on K videos a class', "Text4Vis ViT-B/16, TAP (paper's)")
    assert [few[f'K = {shots}'] for shots in (1, 2, 3, 5)] == ['88.77', '', '92.78', '93.87']
    assert few['source'] == 'Text4Vis, Table 8'
    assert 'No result is of a protocol of ucf101 (101 classes)' in page
    made = run('report', folder / '1.json', '--compare', 'ucf100')
    assert (made.exit_code, 'Did you mean: ucf101' in made.output) == (2, True)
    made = run('report', folder / '1.json', '--json', tmp_path / 'm.md')
    assert (made.exit_code, 'm.md: give a name that ends in .json.' in made.output) == (2, True)


def test_ours_stand_in_the_column_of_their_protocol(folder, tmp_path):
    """Zero-shot lists of 101 and of 50 names, as if they were UCF101's."""

    def as_ucf(result):
        zero_shot = [row for row in result['results'] if row['list'] == result['lists'][1]['title']][:1]
        half = dict(zero_shot[0], protocol='half', classes=50)
        result['results'] = [dict(zero_shot[0], classes=101), half]

    run('report', edited(folder, tmp_path, as_ucf), '--compare', 'ucf101', '--markdown', tmp_path / 'm.md')
    page = (tmp_path / 'm.md').read_text()
    assert filled(page, 'Zero-shot') == ['all classes', 'half of the classes, 10 draws']
    assert page.count('ours, trained') == 1


def test_base_and_novel_of_other_numbers_of_classes_are_not_beside(folder, tmp_path):
    """A base-to-novel result counts for a dataset that is halved into as many names."""

    def halved(result, base, novel):
        row = result['results'][0]
        both = dict(row, protocol='base-to-novel', list='both', metric='harmonic_mean', classes=base + novel)
        parts = (('base', base), ('novel', novel))
        parts = [dict(both, list=result['lists'][0]['title'], metric=key, classes=classes) for key, classes in parts]
        result['results'] = [*parts, both]

    for numbers, found in (((51, 50), ['base', 'novel', 'harmonic mean']), ((4, 3), [])):
        made = edited(folder, tmp_path, lambda result, numbers=numbers: halved(result, *numbers))
        run('report', made, '--compare', 'ucf101', '--markdown', tmp_path / 'm.md')
        page = (tmp_path / 'm.md').read_text()
        assert ('ours, trained' in page) == bool(found)
        if found:
            assert filled(page, 'Base to novel') == found


def test_few_shots_are_not_beside_all_videos(folder, tmp_path):
    """A model of three videos a class, as if its four classes were UCF101's."""

    def of_three_shots(result):
        own = [row for row in result['results'] if row['list'] == result['lists'][0]['title']][:1]
        result.update(training=dict(shots=3), results=[dict(own[0], classes=101)])

    made = edited(folder, tmp_path, of_three_shots)
    run('report', made, '--compare', 'ucf101', '--markdown', tmp_path / 'm.md')
    page = (tmp_path / 'm.md').read_text()
    assert filled(page, 'Trained on K videos a class') == ['K = 3']
    assert page.count('ours, trained') == 1


def cells(page, title, method):
    """A row of a table under a heading, by column."""
    lines = page.split(f'## {title}\n')[1].split('\n## ')[0].splitlines()
    header, row = (next(line for line in lines if line.startswith(f'| {start}')) for start in ('method', method))
    return dict(zip(*([cell.strip() for cell in line.strip('|').split('|')] for line in (header, row)), strict=True))


def filled(page, title):
    """The columns in which our trained model has a number."""
    row = cells(page, title, 'ours, trained')
    return [column for column, cell in row.items() if cell[:1].isdigit() and column != 'views']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--protocol', 'ful'], "Unknown protocol 'ful'. Did you mean: full"),
        (['--labels', 'nowhere'], '--labels: Unknown dataset'),
        (['--labels', 'nowhere'], 'Several names are given with commas'),
        (['--labels', 'gone.txt', '--ann-file', 'unseen.txt'], 'annotation file unseen.txt does not exist'),
        (['--features', 'f.pt'], 'features are kept in a .safetensors file'),
        (
            ['--features', 'f.safetensors', '--calibrate', 'gone.safetensors'],
            '--calibrate gone.safetensors does not exist',
        ),
        (['--json', '.'], '--json . is a folder'),
        (['--json', 'a.md'], '--json a.md: give a name that ends in .json.'),
        (['--device', 'gpu'], '--device gpu is no device'),
        (['--launcher', 'ray'], '--launcher is none, pytorch, slurm or mpi'),
        (['--cfg-options', 'model'], '--cfg-options takes key=value'),
        (['--cfg-options', 'test_dataloader.dataset.ann_fil=a'], 'ann_fil'),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    made = run('evaluate', folder / 'config.py', folder / 'trained1.pth', *words)
    assert made.exit_code == 2
    assert message in made.output
    assert len(made.output.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_options_of_the_config(folder, tmp_path):
    words = ['--cfg-options', 'model.cls_head.average_clips=score', '--json', tmp_path / 'o.json']
    made = run('evaluate', folder / 'config.py', '--features', folder / '1.safetensors', *words, '--device', 'cpu')
    assert made.exit_code == 0, made.output
    assert json.loads((tmp_path / 'o.json').read_text())['average_clips'] == 'score'


def test_a_model_card_tells_what_was_measured(folder, tmp_path):
    words = ['card', folder / 'trained1.pth', '--config', folder / 'config.py', '--out', tmp_path / 'card.md']
    words += ['--license', 'apache-2.0']
    made = run(*words, '--results', folder / '1.json', '--name', 'four')
    assert made.exit_code == 0, made.output
    card = ModelCard.load(tmp_path / 'card.md')
    full = next(row for row in result_of(folder, 1)['results'] if row['protocol'] == 'full')
    listed = {entry.dataset_name: entry.metric_value for entry in card.data.eval_results}
    assert listed['list.txt, full-class'] == pytest.approx(full['trained']['value'], abs=1e-4)
    assert (card.data.license, card.data.pipeline_tag) == ('apache-2.0', 'video-classification')
    assert '| full-class | list.txt | top-1 | 4 | 11 | 25.0 |' in card.text
    assert '4 classes: ' in card.text
    assert 'textxfer predict VIDEO --checkpoint trained1.pth --config config.py\n' in card.text
    assert "recognizer = Recognizer('config.py', checkpoint='trained1.pth')" in card.text
    assert '## To be written by its author' in card.text
    again = run(*words)
    assert (again.exit_code, 'card.md is there already' in again.output) == (2, True)
    assert ModelCard.load(tmp_path / 'card.md').text == card.text


def test_a_model_card_names_no_folder(folder, tmp_path):
    """It is published: who reads it has other folders, and may know whose they are."""
    result = result_of(folder, 1)
    other = result['lists'][1]['title']
    assert str(folder) in other
    words = ['--config', folder / 'config.py', '--out', tmp_path / 'card.md', '--results', folder / '1.json']
    assert run('card', folder / 'trained1.pth', *words).exit_code == 0
    text = (tmp_path / 'card.md').read_text()
    assert str(folder) not in text
    assert 'unseen.txt' in text


def test_a_model_card_says_what_textxfer_train_fitted(folder, tmp_path):
    saved = torch.load(folder / 'trained1.pth', weights_only=False)
    saved['meta'] = {TRAINED_ON_FOLDER: dict(candidate='linear probe', videos=11, fitted_to_all=True)}
    torch.save(saved, tmp_path / 'model.pth')
    words = ['--config', folder / 'config.py', '--out', tmp_path / 'card.md', '--results', folder / '1.json']
    assert run('card', tmp_path / 'model.pth', *words).exit_code == 0
    text = (tmp_path / 'card.md').read_text()
    assert 'kept this of its candidates: linear probe. 11 videos' in text
    assert 'optimizer' not in text
    assert 'says nothing about new ones' in text[text.index('## Measured') :]


def test_a_model_card_calls_map_what_hubs_call_it(folder, tmp_path):
    """A row of mean average precision, as evaluation of several labels writes it, is no accuracy."""
    result = result_of(folder, 1)
    result['results'] = [dict(row, metric='map') if row['metric'] == 'top1' else row for row in result['results']]
    (tmp_path / 'map.json').write_text(json.dumps(result))
    words = ['--config', folder / 'config.py', '--out', tmp_path / 'card.md', '--results', tmp_path / 'map.json']
    made = run('card', folder / 'trained1.pth', *words)
    assert made.exit_code == 0, made.output
    card = ModelCard.load(tmp_path / 'card.md')
    types = {entry.metric_name: entry.metric_type for entry in card.data.eval_results}
    assert types['mAP'] == 'mean_average_precision'
    assert set(types.values()) <= {'accuracy', 'mean_average_precision'}
    assert '| full-class | list.txt | mAP | 4 | 11 |' in card.text


def test_a_model_card_takes_no_results_of_other_weights(folder, tmp_path):
    words = ['--config', folder / 'config.py', '--out', tmp_path / 'card.md', '--results', folder / '2.json']
    made = run('card', folder / 'trained1.pth', *words)
    assert made.exit_code == 2
    assert 'A result was measured with trained2.pth and other weights than those of' in made.output
    assert not (tmp_path / 'card.md').exists()
