"""The tables with the small CLIP: keys of runs, the page, what was chosen, and runs from end to end."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

from harness.report import write_page
from harness.runs import ResultsFile
from pages.small_clip import configs
from pages.small_clip.configs import Scale
from pages.small_clip.page import EXPERIMENT, PAGE
from pages.small_clip.rates import OWN, RATES, SEED, best, rates_page
from pages.small_clip.rows import ALPHAS, ONE_SHOT, ROWS

from textxfer_mm.registry import MODELS

ROWS_RUN = [row for row in PAGE.work.rows() if not row.endswith('-own')]


def result(row, seed, seen, **more):
    return dict(
        key=f'{row}-{seed}',
        row=row,
        seed=seed,
        seen=seen,
        losses=[2.0, 1.0, 0.5, 0.25],
        curve=[[0, 0.0], [4, seen]],
        tower='a1b2',
        seconds=36.0,
        cpu_seconds=30.0,
        at_once=2,
        cpu_count=2,
        versions=dict(python='3', torch='2'),
        **more,
    )


def test_rows_are_runs_of_their_own():
    """But for rows at their own rate, which may be the common one."""
    keys = [PAGE.work.run(row, seed).key for row in ROWS_RUN for seed in (0, 1) if not row.startswith('tower')]
    assert len(set(keys)) == len(keys)


def test_every_row_of_a_table_is_run():
    shown = {row.name for table in PAGE.tables for row in table.rows}
    claimed = {
        name.removeprefix('-')
        for claims in (*(t.claims for t in PAGE.tables), *(f.claims for f in PAGE.falsifiers))
        for claim in claims
        for name in (*claim.left, *claim.right)
    }
    made = set(PAGE.derive({}))
    assert shown | claimed <= set(PAGE.work.rows()) | made
    assert made <= shown
    not_shown = {'tower-twin', 'tower-iclip', 'between'}  # without a validation; and that of which rows are made
    assert set(PAGE.work.rows()) - shown == not_shown


@pytest.mark.parametrize('row', [row for row in ROWS_RUN if not row.startswith('tower')])
def test_every_row_is_a_model_of_the_architecture_of_its_tower(row):
    cfg = PAGE.work.config(row, 0)
    cfg.model.backbone.update(pretrained=None, init_cfg=None)
    visual = MODELS.build(cfg.model.backbone).visual
    assert type(visual).__name__ == ('VisionTransformer' if row.endswith('-vit') else 'ModifiedResNet')
    if 'encoder' in cfg.model.cls_head.get('classifier', {}) and not row.startswith('sentences'):
        encoder = cfg.model.cls_head.classifier.encoder
        assert encoder.arch == cfg.model.backbone.arch
        assert encoder.pretrained == PAGE.work.config(row, 0).model.backbone.pretrained or row == 'text-scratch'


def test_what_is_prepared_has_the_scale_of_the_runs(tmp_path, monkeypatch):
    rendered = []
    monkeypatch.setattr(configs.DATASETS, 'build', lambda cfg: rendered.append(cfg) or [None])
    PAGE.work.data(tmp_path, 0, Scale(train=2, test=1, unseen=3), lambda text: None)
    assert sorted(cfg.per_class for cfg in rendered) == [1, 2, 3]


@pytest.mark.parametrize('row', ['text', 'text-own', 'vision-1-own'])
def test_another_factor_of_the_rates_reaches_every_row(row):
    work = replace(PAGE.work, scale=Scale(new=20.0))
    wrapper = work.config(row, 0).optim_wrapper
    assert wrapper.paramwise_cfg.custom_keys['backbone.visual'].lr_mult == 1 / 20
    assert wrapper.optimizer.lr == pytest.approx(20 * OWN.get(row.removesuffix('-own'), 0) if 'own' in row else 6e-3)


def test_few_shots_take_as_many_steps_as_all_clips():
    steps = {}
    for row in ('text', 'text-1', 'text-3', 'text-5', 'text-10'):
        dataset = PAGE.work.config(row, 0).train_dataloader.dataset
        share = dataset.dataset.fraction if row != 'text' else 1
        steps[row] = dataset.get('times', 1) * max(1, round(share * Scale.train))
    assert set(steps.values()) <= {20, 21}


def test_the_rates_are_the_best_of_the_published_choice():
    results = ResultsFile(BENCHMARKS / 'results' / 'small_clip_rates.jsonl')
    page = rates_page(EXPERIMENT)
    runs = page.work.runs([SEED])
    assert len(results.of(runs)) == len(runs)
    by_row = {one['row']: {SEED: one} for one in results.of(runs)}
    assert best(by_row) == OWN
    assert set(OWN) == {*ROWS, *ONE_SHOT}
    assert OWN['vision'] == Scale.lr in RATES


def test_the_published_page_is_that_of_the_published_results(tmp_path):
    for page in (PAGE, rates_page(EXPERIMENT)):
        results = ResultsFile(BENCHMARKS / 'results' / f'{page.name}.jsonl')
        written = write_page(page, tmp_path, results.of(page.work.runs(page.seeds)))
        assert written.read_text() == (ROOT / 'docs' / written.name).read_text()


def test_a_page_says_first_what_would_falsify_it(tmp_path):
    values = dict(text=0.5, random=0.2, orthogonal=0.2, vision=0.4, rotated=0.3)
    found = [
        result(row, seed, value + 0.01 * seed + 0.001 * (row == 'text') * seed)
        for row, value in values.items()
        for seed in range(3)
    ]
    text = write_page(PAGE, tmp_path, found).read_text()
    begin = text.index('What would falsify it')
    assert begin < text.index('What holds and what does not') < text.index('## Table 1')
    lines = text[begin:].splitlines()
    told = next(line for line in lines if line.startswith('| text rows are not above random'))
    assert 'not falsified' in told
    assert 'not run' in next(line for line in lines if 'one shot' in line and line.startswith('|'))


@pytest.mark.parametrize(
    ('seen', 'word'), [(0.3, 'as it should be'), (0.05, 'NOT as it should be'), (0.9, 'NOT as it should be')]
)
def test_sanity_is_told(tmp_path, seen, word):
    text = ' '.join(write_page(PAGE, tmp_path, [result('untrained', 0, seen)]).read_text().split())
    assert f'it should be five times chance to 80 %: {word}.' in text


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """Rows of each kind at tiny scale, by the command."""
    folder = tmp_path_factory.mktemp('page')
    scale = ['captions=256', 'passes=1', 'validation=1', 'train=2', 'test=1', 'unseen=1']
    rows = ['between', 'vision', 'rotated']
    command = [sys.executable, BENCHMARKS / 'small_clip.py', '--results', folder / 'results.jsonl', '--seeds', '0']
    command += ['--folder', folder / 'work', '--docs', folder, '--jobs', '1', '--only', *rows, '--scale', *scale]
    env = dict(OMP_NUM_THREADS='1')
    import os

    done = subprocess.run(
        list(map(str, command)), cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (folder / 'results.jsonl').read_text().splitlines()
    return {one['row']: one for one in map(json.loads, lines)}


def test_runs(done):
    assert {'between', 'vision', 'rotated'} == set(done)
    assert all(0 <= one[name] <= 1 for one in done.values() for name in ('seen', 'captioned', 'new', 'motion'))
    assert done['between']['unseen'] is not None
    assert done['vision']['unseen'] is None
    assert all(np.isfinite(one['losses']).all() for one in done.values())
    assert [step for step, _ in done['vision']['curve']] == [0, 16, 18]
    assert 'curve' not in done['rotated']


def test_models_on_the_way(done):
    points = done['between']['between']
    assert [point['alpha'] for point in points] == list(ALPHAS)
    assert points[-1]['unseen'] == done['between']['unseen']
    made = PAGE.derive(dict(between={0: done['between']}))
    assert made['between@0.2'][0]['harmonic_mean'] == points[1]['harmonic_mean']
    assert made['between@0.2'][0]['key'] == done['between']['key']  # what it cost is counted once


def test_rotation_keeps_the_correlations(done):
    assert done['between']['row_cosine'] == pytest.approx(done['rotated']['row_cosine'], abs=1e-5)
    assert done['between']['losses'] != done['rotated']['losses']


def test_towers_tell_their_weights(done):
    assert len({one['tower'] for one in done.values()}) == 1
    assert 'vision-scratch' not in EXPERIMENT.started_from()
