"""The evaluator on models of several datasets: by the names or the classifier of one, and zero-shot on others."""

import copy

import pytest
import torch
from evaluated import SEEN, UNSEEN, evaluated_config, train
from typer.testing import CliRunner

from textxfer_mm.apis import Recognizer
from textxfer_mm.apis.evaluation import evaluate
from textxfer_mm.apis.evaluation.states import ModelState
from textxfer_mm.cli.main import app
from textxfer_mm.engine.publishing import publish
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.feature_bank import FeatureBank

OTHERS = ('high', 'low', 'wide')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A folder with videos, the config of a text head of two datasets, a published checkpoint, and the plain config."""
    folder = tmp_path_factory.mktemp('evaluated')
    plain = evaluated_config(folder)
    cfg = copy.deepcopy(plain)
    head = cfg.model.cls_head
    head.type = 'MultiDatasetTextHead'
    del head.classifier['class_names']
    head.datasets = {'seen.1': dict(class_names=list(SEEN)), 'others': dict(class_names=list(OTHERS))}
    return folder, plain, cfg, publish(train(cfg, folder), folder / 'published.pth').path


def shown(result):
    return [(row['protocol'], row['metric'], row['classes'], row['trained']['value']) for row in result['results']]


def test_by_the_names_of_one_of_its_datasets_as_a_head_of_that_dataset(made):
    folder, plain, cfg, checkpoint = made
    single = train(plain, folder)  # the same weights of the backbone
    want = evaluate(plain, single, protocols=['full', 'mean-class'], device='cpu')
    cfg = copy.deepcopy(cfg)
    cfg.model.cls_head.predict_as = 'seen.1'
    found = evaluate(cfg, checkpoint, protocols=['full', 'mean-class'], device='cpu')
    assert shown(found) == shown(want)
    assert found['lists'][0]['class_names'] == list(SEEN)


@pytest.mark.parametrize('predict_as', [None, 'others'])
def test_zero_shot_on_a_dataset_that_it_was_never_trained_on(made, predict_as):
    folder, plain, cfg, checkpoint = made
    asked = dict(labels=[UNSEEN], ann_files=[folder / 'videos' / 'unseen.txt'], device='cpu')
    want = evaluate(plain, train(plain, folder), **asked)
    cfg = copy.deepcopy(cfg)
    cfg.model.cls_head.predict_as = predict_as
    found = evaluate(cfg, checkpoint, **asked)
    assert shown(found) == shown(want)
    assert found['lists'][0]['zero_shot']
    assert found['lists'][0]['class_names'] == list(UNSEEN)


def test_it_must_be_said_which_names_are_meant(made):
    _, _, cfg, checkpoint = made
    with pytest.raises(UserError, match=r"say which of them the list is of, predict_as='seen.1' or 'others'"):
        evaluate(cfg, checkpoint, device='cpu')


def test_a_learned_classifier_of_one_dataset(made, tmp_path):
    cfg = copy.deepcopy(made[2])
    datasets = dict(seen=dict(class_names=list(SEEN)), others=dict(num_classes=3))
    cfg.model.cls_head = dict(
        type='MultiDatasetHead', in_channels=32, datasets=datasets, hidden_channels=8, predict_as='seen'
    )
    checkpoint = train(cfg, tmp_path)
    found = evaluate(cfg, checkpoint, protocols=['full'], device='cpu')
    assert found['lists'][0]['class_names'] == list(SEEN)
    assert 'learned' in found['untrained']['reason']
    assert not ModelState('trained', cfg, checkpoint, torch.device('cpu')).head.multi_class
    cfg.model.cls_head.datasets.seen.loss = 'bce'
    state = ModelState('trained', cfg, checkpoint, torch.device('cpu'))
    features = torch.randn(2, 3, 4)
    bank = FeatureBank(features, torch.tensor([0, 1]), ('a', 'b'), 'w', 'p')
    wanted = features.sigmoid().mean(1)  # each class on its own, as the head predicts
    torch.testing.assert_close(torch.as_tensor(state.view_logits(bank, None, 2).scores().values), wanted)
    cfg.model.cls_head.predict_as = None
    with pytest.raises(UserError, match="predict_as='seen' or 'others' of its head"):
        evaluate(cfg, checkpoint, protocols=['full'], device='cpu')
    assert torch.load(checkpoint, weights_only=True)['state_dict']['cls_head.heads.seen.fc2.weight'].shape == (4, 8)


def test_files_are_predicted_by_the_classes_of_the_dataset_that_is_named(made, tmp_path):
    folder, _, cfg, checkpoint = made
    (video, *_) = sorted(folder.rglob('*.mp4'))
    given = dict(checkpoint=checkpoint, device='cpu')
    found = Recognizer(copy.deepcopy(cfg), **given, dataset='others')(video)
    assert found.class_names == OTHERS
    cfg.model.cls_head.predict_as = 'others'
    assert Recognizer(copy.deepcopy(cfg), **given)(video) == found
    cfg.dump(tmp_path / 'config.py')
    words = ['predict', video, '--config', tmp_path / 'config.py', '--checkpoint', checkpoint, '--device', 'cpu']
    said = CliRunner().invoke(app, [*map(str, words), '--dataset', 'seen.1'], env=dict(COLUMNS='200'))
    assert (said.exit_code, SEEN[0] in said.output) == (0, True), said.output
    with pytest.raises(UserError, match=r"The model knows no dataset 'other'\. Did you mean: others"):
        Recognizer(copy.deepcopy(cfg), **given, dataset='other')


def test_a_model_of_one_dataset_has_none_to_choose(made):
    with pytest.raises(UserError, match='was not trained on several datasets'):
        Recognizer(copy.deepcopy(made[1]), dataset='others', device='cpu')
