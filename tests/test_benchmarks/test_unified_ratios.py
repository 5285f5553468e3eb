"""iCLIP's ratio table in the small: words, rows, the page, and a run from end to end at the smallest scale."""

import json
import re
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
from harness.statistics import by_row
from pages.unified_ratios import rates
from pages.unified_ratios.configs import CONTEXT, Scale
from pages.unified_ratios.measures import MEASURES, RECALLS, derived, score
from pages.unified_ratios.page import EXPERIMENT, PAGE
from pages.unified_ratios.rows import SETTINGS, SHARES, row_of
from pages.unified_ratios.words import OBJECTS, TEXTS, VERBS, texts, words_of

from textxfer_mm.datasets.rendered_scenes.words import OBJECTS as DRAWN
from textxfer_mm.datasets.rendered_scenes.words import VERBS as DONE
from textxfer_mm.datasets.scene_datasets import PAIRS
from textxfer_mm.text.clip_encoder import CLIPTextEncoder

TINY = Scale(stills=120, passes=1, batch=60, warmup=1, test=1, unseen=2, captions=20)
DERIVED = {'captions-100-glosses', 'mixtures-names', 'mixtures-glosses'}


def test_every_class_is_named_and_defined_in_each_way():
    assert set(VERBS) == set(DONE)
    assert set(OBJECTS) == set(DRAWN)
    for kind in ('seen', 'unseen'):
        for way in TEXTS:
            named, glossed = texts(way, kind)
            assert len(named) == len(set(named)) == len(PAIRS[kind])
            assert glossed is None or len(set(glossed)) == len(named)
    plain, defined = texts('glosses', 'seen')
    index = plain.index('sitting on a ball') if 'sitting on a ball' in plain else 0
    assert defined[index]
    assert '{' not in ''.join(defined)
    others, explained = texts('other-names-glosses', 'seen')
    assert explained == plain
    shared = words_of(others) & words_of(plain)
    assert shared <= {'a', 'an'}  # no word of a name in other words is one of the captions'


def test_no_definition_is_shortened():
    cfg = EXPERIMENT.config(row_of(50, 'glosses'), 0).model.cls_head.classifier
    assert cfg.encoder.arch.text_cfg.context_length == CONTEXT
    encoder = CLIPTextEncoder(arch=cfg.encoder.arch.to_dict())
    for kind in ('seen', 'unseen'):
        prompts = [f'a video of a person {n}. {g}' for n, g in zip(*texts('glosses', kind), strict=True)]
        assert max(encoder.count_tokens(prompts)) <= CONTEXT


def test_a_row_is_a_run_of_its_own_and_every_row_is_shown():
    keys = {PAGE.work.run(row, seed).key for row in SETTINGS for seed in (0, 1)}
    assert len(keys) == 2 * len(SETTINGS)
    shown = {row.name for table in PAGE.tables for row in table.rows}
    for table in PAGE.tables:
        assert {claim.measure or PAGE.columns[0] for claim in table.claims} <= set(table.columns or PAGE.columns)
    claims = [*(c for t in PAGE.tables for c in t.claims), *(c for f in PAGE.falsifiers for c in f.claims)]
    sides = {name for claim in claims for name in (*claim.left, *claim.right)}
    assert sides <= shown == set(SETTINGS) | DERIVED


@pytest.mark.parametrize('share', SHARES)
def test_every_ratio_has_as_many_stills_and_steps(share):
    cfg = EXPERIMENT.config(row_of(share, 'names'), 3)
    parts = {one.name: one.dataset for one in cfg.train_dataloader.dataset.datasets}
    sampler = cfg.train_dataloader.sampler
    assert sampler.length == Scale().stills
    assert sampler.ratios.get('captioned', 0) == share
    labelled = 0
    if 'labelled' in parts:
        wrapped = parts['labelled'].get('dataset')
        fraction, scenes = (parts['labelled'].fraction, wrapped) if wrapped else (1, parts['labelled'])
        labelled = round(fraction * scenes.per_class) * len(PAIRS['seen'])
    captioned = parts['captioned'].indices if 'captioned' in parts else 0
    assert labelled + captioned == Scale().stills
    assert captioned == Scale().stills * share // 100


def test_rows_take_the_rate_of_their_kind():
    work = replace(EXPERIMENT, scale=Scale(lr=1.0, captions_lr=2.0, labels_lr=3.0))
    found = {row: work.config(row, 0).optim_wrapper.optimizer.lr for row in SETTINGS}
    assert found.pop('captions-100') == 2.0
    assert {found.pop(row_of(0, way)) for way in ('names', 'glosses')} == {3.0}
    assert set(found.values()) == {1.0}


def test_the_rates_are_the_best_that_were_tried(tmp_path):
    page = rates.rates_page(EXPERIMENT)
    assert page.work.config('captions-0@0.0006', 100).optim_wrapper.optimizer.lr == 6e-4
    other = rates.rates_page(replace(EXPERIMENT, scale=Scale(lr=0.5)))
    assert other.work.run('captions-50@0.0006', 100).key == page.work.run('captions-50@0.0006', 100).key
    by_seed = {100: 0.9, 101: 0.02, 102: 0.02}  # the best of one seed fails with the others
    tried = [
        made_up(row, seed, by_seed[seed] if row.endswith('@0.0006') else 0.5)
        for row in rates.TRIED
        for seed in rates.SEEDS
        if (row, seed) != ('captions-0@0.00015', 102)
    ]
    assert rates.best(by_row(tried)) == dict(lr=3e-4, captions_lr=1.5e-4)
    text = ' '.join(write_page(page, tmp_path, tried).read_text().split())
    same, best, worse = '50.0 (50.0, 50.0, 50.0)', '**50.0** (50.0, 50.0, 50.0)', '31.3 (90.0, 2.0, 2.0)'
    assert f'| captions alone | {best} | {same} | {worse} |' in text
    assert f'| half and half | {same} | {best} | {worse} | | a tenth captioned | | {best} | {worse} |' in text
    assert f'| labels alone | open (50.0, 50.0) | {same} | {worse} |' in text
    results = ResultsFile(BENCHMARKS / 'results' / 'unified_ratios_rates.jsonl')
    for entry, rate in rates.best(by_row(results.of(page.work.runs(page.seeds)))).items():
        assert getattr(Scale(), entry) == rate


def made_up(row, seed, value=0.4, other=0.2):
    """A result whose numbers are all alike, but for those by other texts."""
    one = dict(row=row, seed=seed, key=f'{row}{seed}', seconds=60.0, cpu_seconds=60.0, at_once=1, cpu_count=2)
    parts = {
        f'{kind}_{role}': dict.fromkeys(('all', 'captioned', 'new'), number)
        for kind in ('seen', 'unseen')
        for role, number in (('own', value), ('other', other))
    }
    return dict(one, versions=dict(torch='2'), **parts, **dict.fromkeys(RECALLS, value))


def test_the_page_says_what_the_results_say(tmp_path):
    values = dict.fromkeys(SETTINGS, 0.4) | {'captions-100': 0.3, 'captions-50-glosses': 0.5}
    results = [made_up(row, seed, value + seed / 100) for row, value in values.items() for seed in (0, 1, 2)]
    text = write_page(PAGE, tmp_path, results).read_text()
    assert '| 100 % + 0 %, captions alone (CLIP) | - | 31.0 ± 1.0 | 31.0 ± 1.0 | 31.0 ± 1.0 |' in text
    assert '| 100 % + 0 %, captions alone (CLIP) | 30.1; IR 12.5, TR 21.2 | 20.0 ± 0.0 | 20.0 ± 0.0 | 31.0' in text
    assert '| 50 % + 50 % | 45.9; IR 15.5, TR 27.2 | 51.0 ± 1.0 |' in text
    assert '| mixtures, with definitions | - | 43.0 ± 1.0 |' in text
    claim = r'\| 10 % of labels help on labelled classes, with definitions \| 40.9 against 30.1 \| \+10\.0 points, .*'
    assert re.search(claim + r'\*\*holds\*\*', text)
    assert 'half and half is not above labels alone on unseen classes | captions-50-glosses over' in text
    assert 'not run' not in text
    assert re.search(r'at most \d+\.\d % \(TR\) and \d+\.\d % \(IR\) can be right at 1', ' '.join(text.split()))
    assert f'{3 * len(SETTINGS)} runs and pre-trainings took' in text
    assert score(results[0]) == pytest.approx(30)


def test_the_page_says_what_was_not_run(tmp_path):
    nothing = write_page(PAGE, tmp_path, []).read_text()
    assert set(re.findall(r'\*\*([^*]+)\*\* \(\d', nothing)) == {'Not run'}
    assert set(derived({})) == set()
    some = by_row([made_up(row, seed) for row in SETTINGS for seed in (0, 1) if (row, seed) != ('captions-75', 1)])
    assert set(derived(some)['mixtures-names']) == {0}
    assert set(derived(some)['mixtures-glosses']) == {0, 1}
    clip = derived(some)['captions-100-glosses'][0]
    assert MEASURES['seen'].of(clip) == pytest.approx(20)
    assert MEASURES['other_seen'].of(clip) == pytest.approx(40)


def test_the_published_page_is_that_of_the_published_results(tmp_path):
    for page in (PAGE, rates.rates_page(EXPERIMENT)):
        results = ResultsFile(BENCHMARKS / 'results' / f'{page.name}.jsonl')
        written = write_page(page, tmp_path, results.of(page.work.runs(page.seeds)))
        assert written.read_text() == (ROOT / 'docs' / written.name).read_text()


def test_one_run_from_end_to_end(tmp_path):
    work = replace(PAGE.work, scale=TINY)
    run = work.run('captions-75-glosses', 5)
    work.prepare([run], tmp_path, lambda line: None)
    (folder,) = (tmp_path / 'data').iterdir()
    assert len(list(folder.glob('*.npy'))) == 5
    result = work.do(run, tmp_path)
    assert len(list(folder.glob('*.npy'))) == 5  # nothing is rendered by a run
    assert json.loads(json.dumps(result)) == result
    assert len(result['losses']) == 2
    assert all(np.isfinite(result['losses']))
    for name in ('seen_own', 'seen_other', 'unseen_own', 'unseen_other'):
        found = result[name]
        assert found['all'] == pytest.approx((found['captioned'] + found['new']) / 2)
    assert all(0 <= result[name] <= 1 for name in RECALLS)
