"""The evaluator against the stock test loop, and what it says and refuses."""

import copy
import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from evaluated import SEEN, UNSEEN, VIEWS, evaluate_ranks, evaluated_config, scores_of, train
from mmengine.fileio import load
from mmengine.runner import Runner

from textxfer_mm.apis.encoding import label_tensor
from textxfer_mm.apis.evaluation import evaluate
from textxfer_mm.apis.evaluation.banks import banks_of
from textxfer_mm.apis.evaluation.lists import lists_of
from textxfer_mm.apis.evaluation.report import notes_of, to_markdown
from textxfer_mm.apis.evaluation.states import ModelState
from textxfer_mm.apis.scoring import score_videos
from textxfer_mm.engine.classes import set_class_names, source_of
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.calibration import fit_temperature, losing_threshold
from textxfer_mm.evaluation.feature_bank import load_banks
from textxfer_mm.registry import MODELS

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A folder with videos, a config and a checkpoint."""
    folder = tmp_path_factory.mktemp('evaluated')
    cfg = evaluated_config(folder)
    return folder, cfg, train(cfg, folder)


@pytest.fixture(scope='module')
def both(made):
    """A result on seen and unseen classes, and the file of features."""
    folder, cfg, checkpoint = made
    unseen = dict(labels=[UNSEEN], ann_files=[folder / 'videos' / 'unseen.txt'])
    protocols = ['full', 'half', 'mean-class', 'map', 'map-11', 'base-to-novel', 'generalized']
    options = dict(protocols=protocols, features=folder / 'both.safetensors', device='cpu', **unseen)
    return evaluate(cfg, checkpoint, **options), options


def test_loop(cfg, checkpoint, folder):
    """Scores (n, K) and metrics of MMEngine's runner; pytest does not collect it, because it has no fixtures."""
    cfg = copy.deepcopy(cfg)
    cfg.work_dir, cfg.load_from, cfg.experiment_name = str(folder), str(checkpoint), f'test {folder}'
    accuracy = dict(type='AccMetric', metric_options=dict(top_k_accuracy=dict(topk=(1,))))
    cfg.test_evaluator = [accuracy, dict(type='DumpResults', out_file_path=str(folder / 'dump.pkl'))]
    metrics = Runner.from_cfg(cfg).test()
    return np.stack([entry['pred_score'].numpy() for entry in load(folder / 'dump.pkl')]), metrics


test_loop.__test__ = False


def scored(cfg, checkpoint):
    """Scores from a feature bank."""
    (entry,) = lists_of(cfg, (), (), None, own=False)
    state = ModelState('trained', cfg, checkpoint, CPU)
    bank = banks_of([state], [entry])['trained', entry.title]
    return bank, state.view_logits(bank, None, cfg.test_dataloader.batch_size)


@pytest.mark.parametrize('average', ['feature', 'prob', 'score'])
def test_features_give_what_the_test_loop_gives(made, tmp_path, average):
    _, cfg, checkpoint = made
    cfg = copy.deepcopy(cfg)
    cfg.model.cls_head.average_clips = average
    want, metrics = test_loop(cfg, checkpoint, tmp_path)
    bank, logits = scored(cfg, checkpoint)
    assert bank.features.shape == (11, 6, 32)
    assert bank.features.std(1).min() > 0  # the views differ
    np.testing.assert_allclose(logits.scores().values, want, atol=1e-6, rtol=1e-6)
    assert metrics['acc/top1'] == pytest.approx(logits.scores().top(1))
    result = evaluate(cfg, checkpoint, protocols=['full'], device='cpu')
    assert result['results'][0]['trained']['value'] == pytest.approx(metrics['acc/top1'])
    assert (result['average_clips'], result['lists'][0]['views']) == (average, 6)


def test_the_three_averages_differ(made):
    """All from one bank, which keeps the views."""
    _, cfg, checkpoint = made
    bank, logits = scored(cfg, checkpoint)
    found = {}
    for average in ('feature', 'prob', 'score'):
        other = copy.deepcopy(cfg)
        other.model.cls_head.average_clips = average
        found[average] = ModelState('trained', other, checkpoint, CPU).view_logits(bank, None, 3).scores().values
    assert found['feature'].argmax(1).tolist() == logits.scores().values.argmax(1).tolist()
    assert np.abs(found['feature'] - found['prob']).max() > 1e-4
    assert found['score'].sum(1).max() > 1.5  # logits


def test_frames_of_a_2d_recognizer(made, tmp_path):
    """Several clips of several frames: the frames of a clip are averaged, the clips are the views."""
    _, cfg, _ = made
    cfg = copy.deepcopy(cfg)
    pipeline = [dict(step) for step in VIEWS[:3]]
    pipeline += [dict(type='Resize', scale=(32, 32), keep_ratio=False), dict(type='FormatShape', input_format='NCHW')]
    cfg.test_dataloader.dataset.pipeline = [*pipeline, dict(type='PackActionInputs')]
    cfg.model.update(type='Recognizer2D', data_preprocessor=dict(cfg.model.data_preprocessor, format_shape='NCHW'))
    cfg.model.cls_head.update(num_segments=3, average_clips='prob')
    checkpoint = train(cfg, tmp_path)
    want, _ = test_loop(cfg, checkpoint, tmp_path)
    bank, logits = scored(cfg, checkpoint)
    assert bank.features.shape == (11, 2, 32)
    np.testing.assert_allclose(logits.scores().values, want, atol=1e-6)


def test_a_learned_classifier_has_no_baseline(made, tmp_path):
    _, cfg, _ = made
    cfg = copy.deepcopy(cfg)
    cfg.model.cls_head = dict(type='I3DHead', num_classes=4, in_channels=32, average_clips='prob')
    checkpoint = train(cfg, tmp_path)
    want, _ = test_loop(cfg, checkpoint, tmp_path)
    bank, logits = scored(cfg, checkpoint)
    assert bank.features.shape == (11, 6, 4)
    np.testing.assert_allclose(logits.scores().values, want, atol=1e-6)
    result = evaluate(cfg, checkpoint, protocols=['full', 'half'], device='cpu')
    assert result['results'][0]['untrained'] is None
    assert result['lists'][0]['class_names'] == ['0', '1', '2', '3']
    assert 'No untrained baseline: the classifier of I3DHead is learned' in to_markdown(result)
    with pytest.raises(
        UserError, match='nothing to evaluate without a checkpoint: the classifier of I3DHead is learned'
    ):
        evaluate(cfg, device='cpu')
    with pytest.raises(UserError, match='I3DHead cannot average features: give prob or score'):
        evaluate(cfg, checkpoint, average_clips='feature')


def value(result, protocol, metric, state='trained', place=0):
    rows = [row for row in result['results'] if (row['protocol'], row['metric']) == (protocol, metric)]
    return rows[place][state]['value']


def untrained_model(cfg, names=None):
    cfg = copy.deepcopy(cfg)
    if names:
        set_class_names(cfg, names)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def test_the_untrained_model_and_other_names_are_those_of_the_test_loop(made, both, tmp_path):
    folder, cfg, checkpoint = made
    result, _ = both
    own = score_videos(untrained_model(cfg), cfg.test_dataloader)
    assert value(result, 'full', 'top1', 'untrained') == pytest.approx(own.top(1))
    other = copy.deepcopy(cfg)
    other.test_dataloader.dataset.ann_file = str(folder / 'videos' / 'unseen.txt')
    zero_shot = score_videos(untrained_model(cfg, UNSEEN), other.test_dataloader)
    assert value(result, 'full', 'top1', 'untrained', 1) == pytest.approx(zero_shot.top(1))
    set_class_names(other, UNSEEN)
    scores, _ = test_loop(other, checkpoint, tmp_path)
    assert value(result, 'full', 'top1', place=1) == pytest.approx((scores.argmax(1) == zero_shot.labels).mean())
    set_class_names(other, [*SEEN, *UNSEEN])
    scores, _ = test_loop(other, checkpoint, tmp_path / 'all')
    competing = (scores.argmax(1) == zero_shot.labels + len(SEEN)).mean()
    assert value(result, 'generalized', 'novel') == pytest.approx(competing)


def test_a_dataset_that_names_its_classes(made, both, tmp_path):
    """Those of the config's list, which are not those of another."""
    _, cfg, checkpoint = made
    result, options = both
    named = copy.deepcopy(cfg)
    (tmp_path / 'names.txt').write_text('\n'.join(SEEN))
    named.test_dataloader.dataset.metainfo = dict(classes=str(tmp_path / 'names.txt'))
    options = {**options, 'features': None, 'protocols': ['generalized']}
    found = evaluate(named, checkpoint, **options)['results']
    assert found == [row for row in result['results'] if row['protocol'] == 'generalized']
    named.test_dataloader.dataset.metainfo = dict(classes=SEEN[::-1])
    with pytest.raises(UserError, match='the same 4 classes in another order'):
        evaluate(named, checkpoint, device='cpu')


def test_a_result_says_what_was_measured(both):
    result, _ = both
    assert [row['list'].rsplit('/')[-1] for row in result['results'][:2]] == ['list.txt', 'unseen.txt']
    seen, unseen = result['lists']
    assert (seen['classes'], seen['zero_shot'], unseen['classes'], unseen['zero_shot']) == (4, False, 3, True)
    assert seen['class_digest'] != unseen['class_digest']
    assert (seen['videos'], seen['views'], seen['skipped']) == (11, 6, {})
    assert result['templates'] == ['a video of a person {}.']
    assert result['scale'] == 100
    assert set(result['weights']) == {'trained', 'untrained'}
    half = next(row for row in result['results'] if row['protocol'] == 'half')
    assert (len(half['trained']['values']), half['classes'], half['chance']) == (10, 2, 0.5)
    base, novel = (value(result, 'base-to-novel', key) for key in ('base', 'novel'))
    assert (base, novel) == (value(result, 'full', 'top1'), value(result, 'full', 'top1', place=1))
    page = to_markdown(result)
    for words in (
        '| full-class | list.txt | top-1 | 4 | 11 | 25.0 |',
        'not comparable with full-class',
        'digests of weights',
    ):
        assert words in page
    json.dumps(result, allow_nan=False)


def test_labels_as_numpy_has_them():
    assert label_tensor([np.int64(300), np.int64(2)]).tolist() == [300, 2]
    assert label_tensor([torch.tensor([0.0, 1.0])]).tolist() == [[0, 1]]


def test_saved_features_are_only_read(made, both, monkeypatch):
    """Where they are complete, their folder need not be writable, and new ones are refused before the work."""
    _, cfg, checkpoint = made
    result, options = both

    def refuse(path, option):
        raise UserError(f'{option} {path} cannot be written')

    monkeypatch.setattr('textxfer_mm.apis.evaluation.banks.require_writable_file', refuse)
    monkeypatch.setattr('textxfer_mm.apis.evaluation.banks._encode', None)
    assert evaluate(cfg, checkpoint, **options) == result
    with pytest.raises(UserError, match=r'--features .*new\.safetensors cannot be written'):
        evaluate(cfg, checkpoint, **{**options, 'features': 'new.safetensors'})


def test_saved_features_need_no_videos(made, both, tmp_path):
    folder, cfg, checkpoint = made
    result, options = both
    shutil.move(folder / 'videos', folder / 'away')
    try:
        assert evaluate(cfg, checkpoint, **options) == result
        with pytest.raises(UserError, match=r'list\.txt.* does not exist'):
            evaluate(cfg, checkpoint, **{**options, 'features': tmp_path / 'new.safetensors'})
    finally:
        shutil.move(folder / 'away', folder / 'videos')
    assert not (tmp_path / 'new.safetensors').exists()


def test_features_of_something_else_are_refused(made, both, tmp_path):
    folder, cfg, checkpoint = made
    _, options = both
    with pytest.raises(UserError, match=r'made by another model \(digest \w{12}, here \w{12}; .*trained1\.pth\)'):
        evaluate(cfg, train(cfg, tmp_path, seed=2), **options)
    other = copy.deepcopy(cfg)
    other.test_dataloader.dataset.pipeline[1].num_clips = 1
    with pytest.raises(UserError, match='made by another pipeline'):
        evaluate(other, checkpoint, **options)
    other = copy.deepcopy(cfg)
    other.model.backbone.arch.quick_gelu = False  # no weight tells it
    with pytest.raises(UserError, match='made by another pipeline'):
        evaluate(other, checkpoint, **options)
    shutil.copy(folder / 'both.safetensors', tmp_path / 'mixed.safetensors')
    other = dict(ann_files=[folder / 'videos' / 'val.txt'], features=tmp_path / 'mixed.safetensors', device='cpu')
    with pytest.raises(UserError, match='made by another model'):  # not put beside them either
        evaluate(cfg, tmp_path / 'trained2.pth', **other)
    for content, message in ((b'no', 'or it is damaged'), (None, 'none of the features of every view')):
        if content is None:
            from safetensors.torch import save_file

            save_file(dict(features=torch.zeros(1, 2)), tmp_path / 'x.safetensors')
        else:
            (tmp_path / 'x.safetensors').write_bytes(content)
        with pytest.raises(UserError, match=message):
            evaluate(cfg, checkpoint, **{**options, 'features': tmp_path / 'x.safetensors'})


def test_a_list_that_has_changed_is_refused(made, tmp_path):
    folder, cfg, checkpoint = made
    file = tmp_path / 'own.txt'
    lines = (folder / 'videos' / 'list.txt').read_text().splitlines()[:4]
    file.write_text('\n'.join(lines))
    options = dict(ann_files=[file], features=tmp_path / 'f.safetensors', device='cpu')
    first = evaluate(cfg, checkpoint, **options)
    assert set(load_banks(tmp_path / 'f.safetensors')) == {f'trained: {file}', f'untrained: {file}'}
    assert evaluate(cfg, checkpoint, **options) == first
    for changed in ([*lines[:3], 'good3.mp4 0'], lines[:3], [lines[1], lines[0], *lines[2:]]):
        file.write_text('\n'.join(changed))
        with pytest.raises(UserError, match=r'another state of the list .*own\.txt: its videos or labels have changed'):
            evaluate(cfg, checkpoint, **options)


def test_corrupt_videos_are_left_out_counted_and_named(tmp_path):
    cfg = evaluated_config(tmp_path, good=6, corrupt=['empty', 'text'])
    result = evaluate(cfg, protocols=['full'], device='cpu')
    entry = result['lists'][0]
    assert (entry['videos'], result['results'][0]['videos'], len(entry['skipped'])) == (6, 6, 2)
    assert [Path(name).name for name in entry['skipped']] == ['empty0.mp4', 'text1.mp4']
    assert 'could not be decoded' in ' '.join(notes_of(result))
    assert 'empty0.mp4 (empty file)' in to_markdown(result)
    assert result['results'][0]['trained'] is None


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (dict(classifier=dict(type='RandomClassifier', class_names=list(SEEN), embed_dims=32)), 'rows are drawn'),
        (dict(projection='linear'), 'projection that is not trained yet'),
    ],
)
def test_why_there_is_no_baseline(made, tmp_path, change, reason):
    _, cfg, _ = made
    cfg = copy.deepcopy(cfg)
    if 'classifier' in change:
        cfg.model.cls_head.classifier = change['classifier']
    else:
        cfg.model.cls_head.update(change, embed_dims=32)
    result = evaluate(cfg, train(cfg, tmp_path), device='cpu')
    assert reason in result['untrained']['reason']
    assert result['results'][0]['untrained'] is None


def test_random_weights_are_no_baseline_and_a_random_neck_is_left_out(made, tmp_path, monkeypatch):
    folder, cfg, _ = made
    random = copy.deepcopy(cfg)
    random.model.backbone.pretrained = None
    result = evaluate(random, train(random, tmp_path), device='cpu')
    assert result['untrained']['reason'] == 'the backbone CLIPBackbone starts from random weights'
    necked = copy.deepcopy(cfg)
    necked.model.neck = dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=2)
    others = dict(labels=[UNSEEN], ann_files=[folder / 'videos' / 'unseen.txt'], protocols=['full', 'base-to-novel'])
    result = evaluate(necked, train(necked, tmp_path, seed=4), **others, device='cpu')
    plain = evaluate(cfg, device='cpu')
    note = 'without its TemporalTransformer, which starts from random weights: frames are averaged'
    assert result['untrained']['note'] == note
    inserted = copy.deepcopy(cfg)
    inserted.model.backbone.temporal = dict(type='TokenT1D')
    warned = []
    monkeypatch.setattr('textxfer_mm.vision.temporal.print_log', lambda message, **_: warned.append(message))
    found = evaluate(inserted, **others, device='cpu')
    assert found['untrained']['note'] == 'with the temporal modules of its backbone as they start'  # said once
    assert not warned  # the backbone's warning is for other runs
    assert result['results'][0]['untrained'] == plain['results'][0]['untrained']


def test_the_mean_over_lists(made, tmp_path):
    folder, cfg, checkpoint = made
    lines = (folder / 'videos' / 'list.txt').read_text().splitlines()
    files = [tmp_path / f'split{number}.txt' for number in range(3)]
    for number, file in enumerate(files):
        file.write_text('\n'.join(lines[number : number + 6]))
    result = evaluate(cfg, checkpoint, protocols=['full', 'splits'], ann_files=files, device='cpu')
    each = [value(result, 'full', 'top1', place=place) for place in range(3)]
    found = next(row for row in result['results'] if row['protocol'] == 'splits')
    assert found['trained']['values'] == each
    assert found['trained']['value'] == pytest.approx(np.mean(each))
    assert found['trained']['std'] == pytest.approx(np.std(each))
    with pytest.raises(UserError, match='give --ann-file two times or more'):
        evaluate(cfg, checkpoint, protocols=['splits'], ann_files=files[:1], device='cpu')


def test_several_labels_a_video(made, tmp_path):
    _, cfg, _ = made
    cfg = copy.deepcopy(cfg)
    file = tmp_path / 'multi.txt'
    file.write_text('good0.mp4 0 1\ngood1.mp4 1\ngood2.mp4 2 3\ngood3.mp4 0 3\n')
    cfg.model.cls_head.update(multi_class=True, average_clips='prob')
    cfg.test_dataloader.dataset.update(ann_file=str(file), multi_class=True, num_classes=4)
    checkpoint = train(cfg, tmp_path)
    metric = dict(type='AccMetric', metric_list='mean_average_precision')
    tested = copy.deepcopy(cfg)
    tested.update(work_dir=str(tmp_path), load_from=str(checkpoint), experiment_name='multi', test_evaluator=metric)
    want = Runner.from_cfg(tested).test()['acc/mean_average_precision']
    result = evaluate(cfg, checkpoint, device='cpu', features=tmp_path / 'f.safetensors')
    assert [row['protocol'] for row in result['results']] == ['map']
    assert value(result, 'map', 'map') == pytest.approx(want, abs=1e-9)
    assert evaluate(cfg, checkpoint, device='cpu', features=tmp_path / 'f.safetensors') == result
    with pytest.raises(UserError, match='ask for mAP'):
        evaluate(cfg, checkpoint, protocols=['full'], device='cpu', features=tmp_path / 'f.safetensors')


def test_calibration(made, both, tmp_path):
    _, cfg, checkpoint = made
    _, options = both
    validation = tmp_path / 'val.txt'
    bank, logits = scored(cfg, checkpoint)
    labels = logits.logits().argmax(1)
    labels[8:] = (labels[8:] + 1) % 4  # 8 of 11 are right
    names = [Path(name).name for name in bank.names]
    validation.write_text(''.join(f'{name} {label}\n' for name, label in zip(names, labels.tolist(), strict=True)))
    result = evaluate(cfg, checkpoint, **options, calibrate=validation)
    found, logits = result['calibration'], replace(logits, labels=labels)
    temperature = fit_temperature(logits.logits(), logits.labels)
    assert found['temperature'] == pytest.approx(temperature)
    confidences = (logits.logits() / temperature).softmax(1).max(1).values.numpy()
    assert found['threshold'] == pytest.approx(losing_threshold(confidences))
    seen = found['lists'][0]
    assert seen['rejected'] == 0  # 5 % of 11 videos are none
    assert seen['error'][1] != seen['error'][0]
    assert found['validation']['tested_too'] == 22
    stack = found['stacking']
    assert stack['without']['base'] == pytest.approx(value(result, 'generalized', 'base'))
    assert stack['without']['novel'] == pytest.approx(value(result, 'generalized', 'novel'))
    assert stack['best']['harmonic_mean'] >= stack['validation']['harmonic_mean']
    for words in ('temperature', 'none of these', 'the numbers below flatter', 'an upper bound'):
        assert words in to_markdown(result)
    assert 'trained on that list' not in to_markdown(result)
    trained = copy.deepcopy(cfg)
    trained.train_dataloader.dataset.ann_file = str(validation)
    found_again = evaluate(trained, checkpoint, **options, calibrate=validation)
    assert 'The model was trained on that list, and is surer of its videos' in to_markdown(found_again)
    saved = tmp_path / 'val.safetensors'
    evaluate(cfg, checkpoint, ann_files=[validation], features=saved, device='cpu')
    assert evaluate(cfg, checkpoint, **options, calibrate=saved)['calibration'] == found
    with pytest.raises(UserError, match='made by another model'):
        evaluate(cfg, train(cfg, tmp_path, seed=5), protocols=['full'], calibrate=saved, device='cpu')


def test_two_processes_give_what_one_gives(made, tmp_path):
    _, cfg, checkpoint = made
    cfg.dump(tmp_path / 'config.py')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    mp.spawn(evaluate_ranks, args=(port, str(tmp_path), str(checkpoint)), nprocs=2)
    one = evaluate(cfg, checkpoint, protocols=['full', 'map'], device='cpu', features=tmp_path / 'one.safetensors')
    scores = scores_of(cfg)
    for rank in range(2):
        two = json.loads((tmp_path / f'{rank}.json').read_text())
        assert [row['trained'] for row in two['results']] == [row['trained'] for row in one['results']]
        assert [entry['videos'] for entry in two['lists']] == [11]
        np.testing.assert_allclose(two['scores'], scores.values, atol=1e-6)
    banks = [load_banks(tmp_path / f'{name}.safetensors') for name in ('one', 'two')]
    for key, bank in banks[0].items():
        assert bank.names == banks[1][key].names
        torch.testing.assert_close(banks[1][key].features, bank.features, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(protocols=['fulll']), r"Unknown protocol 'fulll'\. Did you mean: full"),
        (dict(average_clips='mean'), r"Unknown average_clips 'mean'\. Known: feature, prob, score"),
        (dict(protocols=['generalized']), r'one --ann-file with its --labels \(here: 1 own and 0 other\)'),
        (dict(protocols=['base-to-novel'], labels=[UNSEEN]), r'\(here: 0 own and 1 other\)'),
        (
            dict(labels=[UNSEEN, SEEN], ann_files=['a.txt']),
            r'2 lists of class names \(--labels\) and 1 lists',
        ),
        (dict(ann_files=['a.txt', 'a.txt']), 'The list a.txt is given twice'),
        (dict(data_root='x'), '--data-root says where the paths of an annotation list begin'),
        (dict(ann_files=['gone.txt']), r'annotation file gone\.txt of test_dataloader does not exist'),
        (dict(labels=[('a', 'b')]), r'label 2 is out of range: the head has 2 classes'),
        (dict(labels=[('a', 'A')]), r'Duplicate class names'),
    ],
)
def test_mistakes(made, options, message):
    _, cfg, checkpoint = made
    with pytest.raises(UserError, match=message):
        evaluate(cfg, checkpoint, device='cpu', **options)


def test_base_and_novel_classes_that_share_a_name(made):
    folder, cfg, checkpoint = made
    unseen = dict(labels=[(*UNSEEN[:2], SEEN[0])], ann_files=[folder / 'videos' / 'unseen.txt'])
    with pytest.raises(UserError, match=r"Duplicate class names: 'dark' \(class 0\) and 'dark' \(class 6\)"):
        evaluate(cfg, checkpoint, protocols=['generalized'], device='cpu', **unseen)


def test_a_list_without_labels(made, tmp_path):
    _, cfg, checkpoint = made
    (tmp_path / 'bare.txt').write_text('good0.mp4\ngood1.mp4\n')
    with pytest.raises(UserError, match=r'bare\.txt has no labels, so there is nothing to compare predictions with'):
        evaluate(cfg, checkpoint, ann_files=[tmp_path / 'bare.txt'], device='cpu')


GLOSSES = {'dark': 'without light', 'bright': 'full of light', 'grey': 'of no color', 'pale': 'of little color'}
OF_UNSEEN = {'left': 'west when facing north', 'right': 'east when facing north', 'up': 'towards the sky'}


class TestGlosses:
    def test_those_of_the_call_are_those_of_the_config(self, made, tmp_path):
        folder, cfg, checkpoint = made
        for number, given in enumerate((GLOSSES, OF_UNSEEN)):
            (tmp_path / f'{number}.json').write_text(json.dumps(given))
        files = [tmp_path / '0.json', tmp_path / '1.json']
        unseen = dict(labels=[UNSEEN], ann_files=[folder / 'videos' / 'unseen.txt'])
        common = dict(
            features=folder / 'glosses.safetensors', device='cpu', protocols=['generalized', 'full'], **unseen
        )
        bare = evaluate(cfg, checkpoint, **common)
        got = evaluate(cfg, checkpoint, glosses=files, **common)
        changed = copy.deepcopy(cfg)
        changed.model.cls_head.classifier.glosses = {**GLOSSES, **OF_UNSEEN}
        want = evaluate(changed, checkpoint, **common)
        assert got['results'] == want['results']
        assert [entry['glosses'] for entry in got['lists']] == [entry['glosses'] for entry in want['lists']]
        assert [entry['glosses']['classes'] for entry in got['lists']] == [4, 3]
        assert not any('glosses' in entry for entry in bare['lists'])
        assert '4 classes, 4 of them with glosses (digest' in to_markdown(got)
        assert evaluate(changed, checkpoint, glosses=['none'], **common)['results'] == bare['results']

    def test_those_of_the_config_are_left_out_for_other_classes(self, made, caplog):
        _, cfg, _ = made
        changed = copy.deepcopy(cfg)
        changed.model.cls_head.classifier.glosses = {**GLOSSES, 'left': 'west'}
        with caplog.at_level('WARNING'):
            set_class_names(changed, list(UNSEEN))
        assert 'glosses' not in changed.model.cls_head.classifier
        assert "The config's glosses are left out: they are of other classes than left, right, up." in caplog.text

    def test_those_of_the_config_that_know_all_names_stay(self, made):
        _, cfg, _ = made
        changed = copy.deepcopy(cfg)
        changed.model.cls_head.classifier.glosses = GLOSSES
        set_class_names(changed, ['pale', 'dark'])
        assert source_of(changed).glosses == (('of little color',), ('without light',))
