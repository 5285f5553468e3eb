"""From class folders to a model: candidates against naive references, folds, choice, and the files handed out."""

import copy
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_runs import run_config, write_corrupt, write_video
from typer.testing import CliRunner

from textxfer_mm.apis import load_config, load_recognizer, predict_videos
from textxfer_mm.apis.folder_training import TrainingSettings, folds, run, train_folder, trained
from textxfer_mm.apis.folder_training.building import Building
from textxfer_mm.apis.folder_training.candidates import Fitted, LinearProbe, Samples, nll
from textxfer_mm.apis.folder_training.choosing import Validated, choose, lead, validate
from textxfer_mm.apis.folder_training.encoder import Encoder
from textxfer_mm.apis.folder_training.folds import Fold, inner_folds, plan_validation
from textxfer_mm.apis.folder_training.probe import fit_linear_probe
from textxfer_mm.apis.folder_training.report import _warning
from textxfer_mm.apis.folder_training.starting import starting_point
from textxfer_mm.apis.folder_training.videos import read_videos
from textxfer_mm.apis.model_configs import config_of_checkpoint
from textxfer_mm.apis.timelines import timeline
from textxfer_mm.cli.main import app
from textxfer_mm.engine.runners import build_runner, require_full_checkpoint
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS

NAMES = ('bright', 'dark', 'half dark')


@pytest.fixture(scope='module')
def place(class_folders, tmp_path_factory):
    """Class folders of videos that differ in brightness, one of them broken, and the config of a tiny CLIP."""
    return shutil.copytree(class_folders, tmp_path_factory.mktemp('train') / 'place')


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    """One repeat of two folds and few steps, but where a test asks how many there are."""
    if 'plan_validation' not in request.function.__code__.co_names:
        monkeypatch.setattr(folds, 'REPEATS', 1)
        monkeypatch.setattr(folds, 'FOLDS', 2)
        monkeypatch.setattr(trained, '_STEPS', (0, 5))
        monkeypatch.setattr(trained, '_EPOCHS', (0, 2))


def settings(place, out, source=None, **options):
    return TrainingSettings(source or place / 'clips', out, start=dict(config=place / 'clip.py'), **options)


def measured(out):
    """What tools/test.py measures for the files of a run."""
    cfg = load_config(out / 'config.py')
    cfg.load_from, cfg.work_dir = str(out / 'model.pth'), str(out / 'test')
    cfg.test_dataloader.num_workers = 0
    runner = build_runner(cfg)
    require_full_checkpoint(runner)
    return runner.test()['acc/top1']


@pytest.fixture(scope='module')
def first(place):
    """A run, with what it said."""
    said = []
    report = train_folder(settings(place, place / 'out'), say=said.append)
    return report, said


def test_a_run_names_what_is_broken_and_tells_what_it_will_do(first):
    report, said = first
    text = '\n'.join(said)
    assert '18 of 3 classes: bright (6), dark (6), half dark (6)' in text
    assert 'dark/broken.mp4: corrupt' in text
    assert '5-fold cross-validation, repeated 3 times, since 18 videos in all are fewer than 200' in text
    assert list(report['left_out']) == ['dark/broken.mp4']
    titles = [entry['title'] for entry in report['candidates']]
    assert titles == [
        *('zero-shot by the class names', 'linear probe', 'class prototypes'),
        *('cosine classifier from the text rows', 'temporal module on frame features', 'Tip-Adapter'),
    ]
    assert all(title in text for title in titles)
    by_title = {entry['title']: entry for entry in report['candidates']}
    assert by_title['linear probe']['accuracy'] > 0.9  # brightness is easy
    assert said[-1].startswith('writing ')  # which takes long enough to look like the end
    kept = by_title[report['kept']]
    assert kept['accuracy'] >= by_title['linear probe']['accuracy']


def test_the_report_shows_what_was_found(place, first):
    report, _ = first
    out = place / 'out'
    assert json.loads((out / 'report.json').read_text())['kept'] == report['kept']
    text = (out / 'report.md').read_text()
    assert f'**Kept: {report["kept"]}' in text
    assert np.sum(report['confusion']) == 18  # each video once
    assert (out / 'confusion.png').read_bytes().startswith(b'\x89PNG')
    wrong = sum(map(sum, report['confusion'])) - np.trace(report['confusion'])
    assert len(report['mistakes']) == min(wrong, 12)
    for mistake in report['mistakes']:
        assert (out / mistake['thumbnail']).is_file()
        assert mistake['true'] != mistake['predicted']
    assert 'those that the model was fitted to' in text


TITLES = (
    *('zero-shot by the class names', 'linear probe', 'class prototypes'),
    *('cosine classifier from the text rows', 'temporal module on frame features', 'Tip-Adapter'),
)


@pytest.mark.parametrize('title', TITLES)
def test_whoever_wins_is_one_checkpoint_whose_number_is_that_of_the_report(place, first, tmp_path, monkeypatch, title):
    monkeypatch.setattr(run, 'choose', lambda found: next(one for one in found if one.candidate.title == title))
    out = place / 'sound_out'
    shards = {file: file.stat().st_mtime_ns for file in out.rglob('*-of-*.safetensors')}
    report = train_folder(settings(place, out, check=False, source=place / 'sound'))
    assert report['kept'] == title
    assert {file: file.stat().st_mtime_ns for file in shards} == shards  # nothing was encoded twice
    assert measured(out) == pytest.approx(report['tested']['accuracy'], abs=1e-6)
    alone = tmp_path / 'elsewhere' / 'model.pth'
    alone.parent.mkdir()
    shutil.move(out / 'model.pth', alone)
    for file in out.glob('*.safetensors'):  # as on another machine
        file.unlink()
    model = load_recognizer(config_of_checkpoint(alone), alone, device='cpu')
    videos = read_videos(place / 'sound')
    found = list(predict_videos(model, videos.files))
    assert found[0].class_names == NAMES
    right = [video.top(1)[0][0] == NAMES[label] for video, label in zip(found, videos.labels, strict=True)]
    assert np.mean(right) == pytest.approx(report['tested']['accuracy'])
    assert all(abs(sum(video.scores) - 1) < 1e-5 for video in found)
    line = timeline(model, videos.files[0], window=1.0)
    assert line.class_names == NAMES
    np.testing.assert_allclose(line.scores.sum(1), 1, atol=1e-5)


def test_given_videos_validate_and_are_not_learned_from(place, tmp_path):
    lines = [f'{path} {label}' for path, label in zip(*pick(place, lambda n: n % 3 == 0), strict=True)]
    (place / 'clips' / 'val.txt').write_text('\n'.join(lines))
    inside = [f'{path} {label}' for path, label in zip(*pick(place, lambda n: n % 3), strict=True)]
    (place / 'clips' / 'train.txt').write_text('\n'.join(inside))
    (place / 'clips' / 'classes.txt').write_text('\n'.join(NAMES))
    given = TrainingSettings(
        place / 'clips' / 'train.txt',
        tmp_path / 'out',
        val=place / 'clips' / 'val.txt',
        check=False,
        start=dict(config=place / 'clip.py'),
    )
    report = train_folder(given)
    kept = next(entry for entry in report['candidates'] if entry['title'] == report['kept'])
    assert report['tested']['accuracy'] == pytest.approx(kept['accuracy'])
    assert (report['tested']['videos'], report['tested']['were_fitted_to']) == (6, False)
    assert measured(tmp_path / 'out') == pytest.approx(kept['accuracy'], abs=1e-6)
    with pytest.raises(UserError, match=r'6 videos are in .* and in '):
        read_videos(place / 'clips', val=place / 'clips' / 'val.txt')


def pick(place, wanted):
    """Paths and labels of some of the sound videos."""
    videos = read_videos(place / 'clips').without({str(place / 'clips' / 'dark' / 'broken.mp4'): ''})
    pairs = zip(videos.paths, videos.labels, strict=True)
    return zip(*[pair for n, pair in enumerate(pairs) if wanted(n)], strict=True)


def test_a_video_that_has_changed_is_encoded_anew_and_another_list_too(place, tmp_path, monkeypatch):
    """By relative paths, and beside a video that is broken though nothing was checked."""
    monkeypatch.chdir(tmp_path)
    folder = Path('clips')
    shutil.copytree(place / 'sound', folder)
    write_corrupt(folder / 'dark' / 'broken.mp4', 'truncated')
    given = settings(place, Path('out'), check=False, source=folder)
    said = []
    assert train_folder(given, say=said.append)['videos'] == [6, 6, 6]
    assert sum(line.startswith('left out: ') and 'clips/dark/broken.mp4: truncated' in line for line in said) == 1
    file = tmp_path / 'out' / 'features' / 'train' / '00000-of-00001.safetensors'
    before = file.read_bytes()
    write_video(folder / 'dark' / 'dark_0.mp4', 0, seed=99)
    train_folder(given)
    changed = file.read_bytes()
    assert changed != before
    (folder / 'dark' / 'dark_1.mp4').unlink()
    assert train_folder(given)['videos'] == [6, 5, 6]


def test_a_stock_recognizer_knows_no_names_and_gets_a_linear_classifier(place, tmp_path):
    cfg = Config(run_config(tmp_path / 'list.txt', tmp_path / 'run'))
    cfg.test_pipeline = cfg.test_dataloader.dataset.pipeline
    for split in ('train', 'val', 'test'):
        cfg.pop(f'{split}_dataloader')
    cfg.dump(tmp_path / 'tsn.py')
    torch.save(dict(state_dict=MODELS.build(copy.deepcopy(cfg.model)).state_dict()), tmp_path / 'tsn.pth')
    start = dict(config=tmp_path / 'tsn.py', checkpoint=tmp_path / 'tsn.pth')
    said = []
    report = train_folder(
        TrainingSettings(place / 'sound', tmp_path / 'out', start=start, check=False), say=said.append
    )
    assert [entry['title'] for entry in report['candidates']] == ['linear probe', 'class prototypes']
    assert 'none by class names: its head is TSNHead' in '\n'.join(said)
    assert measured(tmp_path / 'out') == pytest.approx(report['tested']['accuracy'], abs=1e-6)


def blobs(classes=3, each=7, width=40, seed=0):
    """Features that are wider than there are videos, of classes that overlap."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    means = rng.normal(size=(classes, width))
    features = (0.5 * means[labels] + rng.normal(size=(len(labels), width))) * rng.uniform(0.1, 5, width) + 3
    return features.astype(np.float32), labels


@pytest.mark.parametrize(('classes', 'width'), [(2, 40), (3, 40), (3, 5)])
def test_the_linear_probe_is_the_one_of_scikit_learn(classes, width):
    features, labels = blobs(classes, width=width)
    groups = np.arange(len(labels)).astype(str)
    probe = fit_linear_probe(features, labels, groups, 0)
    naive = make_pipeline(StandardScaler(), LogisticRegression(C=probe.c, max_iter=10000, tol=1e-8))
    wanted = naive.fit(features.astype(float), labels).predict_proba(features.astype(float))
    logits = torch.from_numpy(features @ probe.weight.T + probe.bias)
    np.testing.assert_allclose(logits.softmax(-1).numpy(), wanted, atol=2e-3)
    losses = {}
    for c in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0):
        naive = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=10000, tol=1e-8))
        parts = []
        for fold in inner_folds(labels, groups, 0):
            scores = naive.fit(features[fold.train], labels[fold.train]).predict_proba(features[fold.val])
            parts += (-np.log(scores[np.arange(len(fold.val)), labels[fold.val]])).tolist()
        losses[c] = np.mean(parts)
    assert probe.c == min(losses, key=losses.get)


def candidates_of(place, tmp_path):
    videos = read_videos(place / 'clips')
    encoder = Encoder(starting_point(videos.class_names, config=place / 'clip.py'), videos, tmp_path)
    return Building(encoder, videos).candidates(32, 32)


def samples_of(features, labels):
    """One view a video; its four frames differ about their mean, the features given."""
    rows, labels = torch.from_numpy(features)[:, None], torch.from_numpy(labels)
    frames = rows[..., None] + 0.3 * torch.tensor([1.0, -2.0, 0.5, 0.5]) * rows[:, :, torch.randperm(32), None]
    return Samples(rows, labels, np.arange(len(labels)).astype(str), frames)


def test_candidates_against_naive_references(place, tmp_path):
    features, labels = blobs(width=32)
    samples = samples_of(features, labels)
    found = {one.title: one for one in candidates_of(place, tmp_path)}
    text = found['zero-shot by the class names'].fit(samples, 0).scores(samples)
    head = found['zero-shot by the class names'].fit(samples, 0).parts['cls_head']
    normal = F.normalize(samples.means, dim=-1)
    torch.testing.assert_close(text, (head.cosine.scale(False) * normal @ head.class_rows.weight.T).softmax(-1))
    prototypes = found['class prototypes'].fit(samples, 0)
    means = torch.stack([normal[labels == label].mean(0) for label in range(3)])
    wanted = (prototypes.settings['scale'] * normal @ F.normalize(means, dim=-1).T).softmax(-1)
    torch.testing.assert_close(prototypes.scores(samples), wanted, atol=1e-5, rtol=1e-4)
    tip = found['Tip-Adapter'].fit(samples, 0)
    alpha, beta = tip.settings['alpha'], tip.settings['beta']
    for n in range(21):
        logits = text[n].log().clone()
        for m in range(21):
            logits[labels[m]] += alpha * torch.exp(-beta * (1 - normal[n] @ normal[m]))
        torch.testing.assert_close(tip.scores(samples.at([n]))[0], logits.softmax(-1), atol=1e-5, rtol=1e-4)
    assert tip.files['model.cls_head.cache'].class_names == tuple(NAMES[label] for label in labels)
    cosine = found['cosine classifier from the text rows'].fit(samples, 0)
    assert nll(cosine.scores(samples), samples.labels) <= nll(text, samples.labels)
    assert (
        found['zero-shot by the class names']
        .fit(samples, 0)
        .parts['cls_head']
        .class_rows.weight.equal(head.class_rows.weight)
    )


def test_the_temporal_module_starts_at_the_class_names_and_learns(place, tmp_path, monkeypatch):
    features, labels = blobs(width=32)
    samples = samples_of(features, labels)
    found = {one.title: one for one in candidates_of(place, tmp_path)}
    zero_shot, temporal = found['zero-shot by the class names'], found['temporal module on frame features']
    text = zero_shot.fit(samples, 0).scores(samples)
    monkeypatch.setattr(trained, '_EPOCHS', (0,))
    fitted = temporal.fit(samples, 0)
    assert fitted.settings == dict(epochs=0)
    torch.testing.assert_close(fitted.scores(samples), text, atol=1e-4, rtol=1e-3)
    monkeypatch.setattr(trained, '_EPOCHS', (10,))
    monkeypatch.setattr(trained, '_TEMPORAL_RATE', 1e-2)
    fitted = temporal.fit(samples, 0)
    assert nll(fitted.scores(samples), samples.labels) < nll(text, samples.labels)
    assert any(weight.abs().sum() > 0 for weight in fitted.parts['neck'].layers.up.parameters())
    still = replace(samples, frames=samples.frames.mean(-1, keepdim=True).expand_as(samples.frames))
    assert not torch.allclose(fitted.scores(samples), fitted.scores(still), atol=1e-3)  # more than the average counts


def test_epochs_end_where_validation_gets_worse(place, tmp_path, monkeypatch):
    samples = samples_of(*blobs(width=32))
    temporal = {one.title: one for one in candidates_of(place, tmp_path)}['temporal module on frame features']
    losses, asked = iter([3.0, 1.0, 2.0, 2.5, 0.0]), []
    monkeypatch.setattr(trained, '_EPOCHS', (0, 1, 2, 3, 4))
    monkeypatch.setattr(trained, 'nll', lambda *_: asked.append(1) or next(losses))
    assert temporal.fit(samples, 0).settings == dict(epochs=1)
    assert len(asked) == 4


def test_fitting_leaves_the_candidate_as_it_was(place, tmp_path):
    features, labels = blobs(width=32)
    samples = samples_of(features, labels)
    for candidate in candidates_of(place, tmp_path):
        once, again = (candidate.fit(samples, 0).scores(samples) for _ in range(2))
        assert once.equal(again), candidate.title


def test_groups_stay_together_and_classes_are_on_both_sides():
    labels = [n % 2 for n in range(40)]
    groups = [f'g{n // 4}' for n in range(40)]
    plan = plan_validation(labels, groups, (), ('a', 'b'), 0)
    assert (len(plan.folds), plan.repeats, len(plan.first_repeat)) == (15, 3, 5)
    for fold in plan.folds:
        assert not {groups[n] for n in fold.train} & {groups[n] for n in fold.val}
        assert {labels[n] for n in fold.train} == {0, 1}
    assert sorted(np.concatenate([fold.val for fold in plan.first_repeat]).tolist()) == list(range(40))
    other = plan_validation(labels, groups, (), ('a', 'b'), 1)
    assert any(not np.array_equal(a.val, b.val) for a, b in zip(plan.folds, other.folds, strict=True))


def test_many_videos_are_split_once():
    labels = [n % 2 for n in range(400)]
    groups = [f'g{n // 4}' for n in range(400)]
    plan = plan_validation(labels, groups, (), ('a', 'b'), 0)
    ((fold,),) = (plan.folds,)
    assert len(fold.val) == 80
    assert not {groups[n] for n in fold.train} & {groups[n] for n in fold.val}
    few = plan_validation([0] * 350 + [1] * 50, list(map(str, range(400))), (), ('a', 'b'), 0)
    assert 'a class would have 10 videos to validate with, fewer than 20' in few.about


def test_a_class_of_one_group_cannot_be_tested():
    with pytest.raises(UserError, match="All videos of 'b' are in one group"):
        plan_validation([0, 0, 1, 1], ['x', 'y', 'z', 'z'], (), ('a', 'b'), 0)


class Fixed:
    """A candidate of known scores."""

    def __init__(self, title):
        self.title = title


def outcome(candidate, *rights, size=10):
    """A candidate that names so many of the videos of each fold right."""
    labels = np.zeros(size, dtype=int)
    scores = [np.stack([(np.arange(size) < right), (np.arange(size) >= right)], 1).astype(float) for right in rights]
    folds = tuple(Fold(np.arange(40), np.arange(size)) for _ in rights)
    return Validated(candidate, folds, tuple(scores), (labels,) * len(rights), ({},) * len(rights), 0.0)


def probe(*rights):
    return outcome(LinearProbe(None, {}), *rights)


def test_nothing_is_kept_that_the_linear_probe_beats():
    rival = outcome(Fixed('rival'), 7, 7)
    assert choose([rival, probe(8, 7)]).candidate.title == 'linear probe'
    assert choose([rival, probe(6, 7)]) is rival
    assert choose([rival, probe(7, 7)]) is rival  # as good, and simpler
    assert choose([probe(7, 7), rival]).candidate.title == 'linear probe'
    costly = outcome(Fixed('on one fold'), 9)  # compared on the fold in common alone
    assert choose([probe(9, 2), costly]).candidate.title == 'linear probe'
    assert choose([probe(8, 9), costly]) is costly


def test_what_beats_the_best_is_not_kept_where_the_linear_probe_beats_it_beyond_the_spread():
    """The costly one is better than the best on the folds in common, on which that is far below the linear probe."""
    best, costly, linear = outcome(Fixed('best'), 4, 4, 10, 10), outcome(Fixed('costly'), 5, 5), probe(8, 8, 3, 3)
    assert lead(best, linear).mean > 0
    assert lead(costly, best).mean > 0
    assert lead(linear, costly).is_beyond_spread
    assert choose([linear, best, costly]) is best
    assert choose([linear, costly]) is linear


def test_the_lead_is_paired_and_its_error_knows_that_folds_share_videos():
    one, other = outcome(Fixed('one'), 8, 9, 6), probe(7, 6, 6)
    found = lead(one, other)
    differences = np.array([0.1, 0.3, 0.0])
    assert found.mean == pytest.approx(differences.mean())
    assert found.spread == pytest.approx(np.sqrt((1 / 3 + 10 / 40) * differences.var(ddof=1)))
    single = lead(outcome(Fixed('one'), 8), probe(6))
    assert single.spread == pytest.approx(np.sqrt(np.var([1.0] * 2 + [0.0] * 8, ddof=1) / 10))
    assert outcome(Fixed('one'), 8).spread == pytest.approx(np.sqrt(0.8 * 0.2 / 10))


def test_each_fold_is_scored_by_what_did_not_see_it():
    features, labels = blobs(2, each=10)
    samples = Samples(torch.from_numpy(features)[:, None], torch.from_numpy(labels), np.arange(20).astype(str))
    seen = []

    class Spy:
        title = 'spy'

        def fit(self, samples, seed):
            seen.append(set(samples.groups))
            return Fitted(lambda given: torch.eye(2)[torch.zeros(len(given.labels), dtype=int)], {}, {})

    plan = plan_validation(labels.tolist(), list(samples.groups), (), ('a', 'b'), 0)
    found = validate(Spy(), samples, plan.folds, 0)
    assert found.accuracy == pytest.approx(0.5)
    for fold, known in zip(plan.folds, seen, strict=True):
        assert known == {str(n) for n in fold.train}


def cli(*args):
    return CliRunner().invoke(app, ['train', *map(str, args)], env=dict(COLUMNS='200'))


@pytest.mark.parametrize(('right', 'is_told'), [(5, True), (7, True), (10, False)])
def test_a_model_that_may_be_guessing_is_handed_out_with_a_warning(right, is_told):
    """Seven of ten, give or take 14 points, are not more than the 60 % of the largest class."""
    told = _warning(outcome(Fixed('one'), right), 0.6)
    assert bool(told) == is_told
    assert not told or 'that of always answering the largest class (60.0 %): it may only be guessing' in told


def test_from_the_command_line(place, first, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place / 'out' / 'features', Path('work_dirs/train/clips/features'))
    done = cli(place / 'clips', '--config', place / 'clip.py')
    assert done.exit_code == 0, done.output
    for words in ('18 of 3 classes', 'linear probe', 'top-1, %', 'kept ', 'chance is 33.3 %', 'left out'):
        assert words in done.output
    assert 'textxfer predict VIDEO --checkpoint work_dirs/train/clips/model.pth' in done.output
    assert Path('work_dirs/train/clips/report.md').is_file()
    assert 'mmengine - INFO' not in done.output


def of_one_class(folder):
    (folder / 'waving').mkdir()
    write_video(folder / 'waving' / 'a.mp4')


def with_a_class_of_one(folder):
    of_one_class(folder)
    (folder / 'clapping').mkdir()
    for name in 'ab':
        write_video(folder / 'clapping' / f'{name}.mp4')


def undecodable(folder):
    for name in ('waving', 'clapping'):
        (folder / name).mkdir()
        for number in range(2):
            write_corrupt(folder / name / f'{number}.mp4', 'text')


def of_one_group(folder):
    for name in ('waving', 'clapping'):
        (folder / name).mkdir()
        for number in range(2):
            write_video(folder / name / f'{name}_{number}.mp4')


@pytest.mark.parametrize(
    ('prepare', 'options', 'message'),
    [
        (lambda folder: None, (), 'holds no folder: one for each class, with its videos, is expected'),
        (lambda folder: (folder / 'waving').mkdir(), (), '1 of 1 class folders of .* hold no video: waving'),
        (of_one_class, (), "There is one class only, 'waving'"),
        (with_a_class_of_one, (), "1 of 2 classes have too few video\\(s\\): 'waving' has 1"),
        (undecodable, (), 'No video can be decoded, such as clapping/0.mp4: corrupt'),
        (of_one_group, ('--groups', 'prefix'), "All videos of 'clapping', 'waving' are in one group"),
        (of_one_group, ('--labels-from', 'kinetics400'), '2 class folders .* but 400 class names were given'),
        (of_one_group, ('--model', 'ViT-B-33'), 'Unknown CLIP architecture'),
        (of_one_group, ('--pretrained', 'openai'), '--pretrained are the weights of a CLIP model'),
        (lambda folder: folder.rmdir(), (), 'does not exist: give a folder that holds one folder'),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, monkeypatch, prepare, options, message):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'clips'
    folder.mkdir()
    prepare(folder)
    done = cli(folder, *options)
    assert done.exit_code == 2, done.output
    (line,) = [line for line in done.output.splitlines() if line.startswith('error: ')]
    assert re.search(message, line), line
    assert 'Traceback' not in done.output


def test_a_list_needs_names_that_fit(tmp_path):
    (tmp_path / 'list.txt').write_text('a.mp4 0\nb.mp4 1\n')
    with pytest.raises(UserError, match='has labels, but no names'):
        read_videos(tmp_path / 'list.txt')
    (tmp_path / 'classes.txt').write_text('only one\n')
    with pytest.raises(UserError, match='line 2 has label 1, but there are 1 class names'):
        read_videos(tmp_path / 'list.txt')
    (tmp_path / 'list.txt').write_text('a.mp4 0\na.mp4 0\n')
    with pytest.raises(UserError, match='lists 1 videos twice'):
        read_videos(tmp_path / 'list.txt')
    (tmp_path / 'list.txt').write_text('a.mp4 0 1\nb.mp4 1\n')
    with pytest.raises(UserError, match='line 1 has several labels'):
        read_videos(tmp_path / 'list.txt', names=['a', 'b'])
