"""Tables 10 and 11 with the small CLIP: keys of runs, what is claimed, and runs at the smallest scale."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

from harness.report import write_page
from mmengine.registry import DefaultScope
from pages.small_clip.page import PAGE as VIDEOS
from pages.small_clip.rows import RATES
from pages.small_clip_images.page import EXPERIMENT, PAGE
from pages.small_clip_images.rates import LR, OWN, SEED, best, rates_page
from pages.small_clip_images.rows import RATED

from textxfer_mm.engine.config_parts import check_model_and_datasets
from textxfer_mm.registry import MODELS

TRAINED = [row for row in PAGE.work.rows() if not row.startswith('tower')]


def test_rows_are_runs_of_their_own():
    keys = [PAGE.work.run(row, seed).key for row in TRAINED for seed in (0, 1) if not row.endswith('-own')]
    assert len(set(keys)) == len(keys)


def test_every_row_of_a_table_and_a_claim_is_run():
    shown = {row.name for table in PAGE.tables for row in table.rows}
    claims = [*(c for t in PAGE.tables for c in t.claims), *(c for f in PAGE.falsifiers for c in f.claims)]
    claimed = {name.removeprefix('-') for claim in claims for name in (*claim.left, *claim.right)}
    assert shown | claimed <= set(PAGE.work.rows())
    assert set(TRAINED) == shown


def test_the_tower_is_that_of_the_page_of_videos():
    tower = PAGE.work.run('tower-main', 0)
    assert tower.key == VIDEOS.work.run('tower-main', 0).key
    assert PAGE.folder == VIDEOS.name
    assert rates_page(EXPERIMENT).folder == VIDEOS.name


@pytest.mark.parametrize('row', TRAINED)
def test_every_row_can_be_built(row):
    cfg = PAGE.work.config(row, 0)
    cfg.model.backbone.pretrained = None
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        check_model_and_datasets(cfg)
        if 'classifier' in cfg.model.head:
            cfg.model.head.classifier.encoder.pretrained = None
        model = MODELS.build(cfg.model)
        assert model(torch.randn(2, 3, 64, 64)).shape == (2, 60)
    assert ('normalize' in cfg.model.head) == row.startswith('literal')


def test_a_seed_has_stills_of_its_own():
    stills = [
        [EXPERIMENT.config('text', seed)[f'{split}_dataloader'].dataset.seed for split in ('train', 'val', 'test')]
        for seed in (0, 1)
    ]
    assert stills == [[0] * 3, [1] * 3]


def test_few_shots_take_as_many_steps_as_all_stills():
    for count in (1, 3, 5):
        dataset = PAGE.work.config(f'text-{count}', 0).train_dataloader.dataset
        assert 19 <= dataset.times * round(dataset.dataset.fraction * PAGE.work.scale.train) <= 21


def test_the_chosen_rates_are_among_the_tried():
    assert set(OWN) in (set(), set(RATED))
    assert {LR, *OWN.values()} <= set(RATES)
    assert OWN.get('vision', LR) == LR
    tried = {f'{row}@{rate:g}': {SEED: dict(seen=0.1 + (rate == 1e-4))} for row in RATED for rate in RATES}
    assert best(tried) == dict.fromkeys(RATED, 1e-4)


def test_runs_from_end_to_end(tmp_path):
    """A tower and four rows at the smallest scale, and the page of what they gave."""
    scale = ('captions=256', 'passes=1', 'validation=1', 'train=2', 'test=1', 'unseen=1')
    rows = ('untrained', 'vision-1', 'text', 'literal')
    done = subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS / 'small_clip_images.py'), '--folder', str(tmp_path / 'work')),
            *('--results', str(tmp_path / 'results.jsonl'), '--docs', str(tmp_path), '--seeds', '0', '--jobs', '1'),
            *('--scale', *scale, '--only', *rows),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = {one['row']: one for one in map(json.loads, (tmp_path / 'results.jsonl').read_text().splitlines())}
    assert set(rows) <= set(found)
    assert found['vision-1']['unseen'] is None
    assert len(found['text']['losses']) == 15  # 60 classes x 2 stills, 8 a step
    assert all(0 <= found[row]['seen'] <= 1 for row in rows)
    assert 0 <= found['literal']['unseen'] <= 1
    text = write_page(PAGE, tmp_path, list(found.values())).read_text()
    assert 'Eq. 3 at its word' in text
    assert 'Table 11' in text
