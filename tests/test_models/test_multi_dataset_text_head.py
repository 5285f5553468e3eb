"""MultiDatasetTextHead: several datasets in one text space; own names, the union without synonyms, and zero-shot."""

import copy
import itertools
import logging
import re

import pytest
import torch
from multi_dataset_ranks import BATCH, NAMES, TEXT, build, inputs_of, sample_of
from torch.nn import functional

from textxfer_mm.classifiers.synonyms import pairs_of, synonyms_among
from textxfer_mm.engine.classes import class_names_of, num_classes_of, rows_of
from textxfer_mm.errors import UserError
from textxfer_mm.losses.cross_dataset import blended_target, plain_target

from mmaction.registry import MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip


def head_of(**changes):
    torch.manual_seed(0)
    head = MODELS.build(dict(copy.deepcopy(TEXT), in_channels=32, **changes))
    head.init_weights()
    return head.train()


def features(rows=8):
    return torch.randn(rows, 32, generator=torch.Generator().manual_seed(1))


def samples_of(targets=None):
    samples = [sample_of(i) for i in range(len(BATCH))]
    for sample, target in zip(samples, targets or [], strict=False):
        sample.set_field(target, 'gt_mixture', field_type='metainfo')
    return samples


def cosines(head, x, name):
    rows = head.class_rows.of(name).testing_rows()
    return functional.normalize(x, dim=1) @ functional.normalize(rows, dim=1).T


def test_own_names_with_one_scale():
    head, x = head_of(), features()
    scale = head.cosine.logit_scale.exp()
    wanted = 0
    for i, (name, label) in enumerate(BATCH):
        wanted = wanted + functional.cross_entropy(scale * cosines(head, x[i : i + 1], name), torch.tensor([label]))
    loss = head.loss(x, samples_of())['loss_cls']
    torch.testing.assert_close(loss, wanted / len(BATCH))
    loss.backward()
    assert head.cosine.logit_scale.grad.abs() > 1e-4
    assert [name for name, p in head.named_parameters() if 'class_rows' in name] == []


@pytest.mark.parametrize('eps', [0.0, 0.1])
def test_the_union_without_the_synonyms_of_what_is_there(eps):
    groups = [['walking', 'going on foot']]
    head, x = head_of(compared='union', synonyms=groups, label_smooth_eps=eps), features()
    targets = [plain_target(*pair) for pair in BATCH]
    targets[2] = blended_target(('a.1', 0), ('keys', 0), 0.3, 'both')  # walking and Jumping
    places = [(name, k) for name, listed in NAMES.items() for k in range(len(listed))]
    alike = {('a.1', 0): ('keys', 1), ('keys', 1): ('a.1', 0), ('a.1', 1): ('keys', 0), ('keys', 0): ('a.1', 1)}
    logits = torch.cat([head.cosine.logit_scale.exp() * cosines(head, x, name) for name in NAMES], dim=1)
    wanted = 0
    for i, target in enumerate(targets):
        for name, (weight, ((label, _),)) in target.items():
            kept = [place for place in places if place != alike.get((name, label))]
            log_p = logits[i, [places.index(place) for place in kept]].log_softmax(0)
            own = [log_p[kept.index((name, k))] for k in range(len(NAMES[name]))]
            wanted = wanted - weight * ((1 - eps) * own[label] + eps * torch.stack(own).mean())
    loss = head.loss(x, samples_of(targets))['loss_cls']
    torch.testing.assert_close(loss, wanted / len(BATCH))
    assert loss > head_of(label_smooth_eps=eps).loss(x, samples_of(targets))['loss_cls']


def test_synonyms_are_logged_once(caplog):
    head = head_of(compared='union')
    with caplog.at_level(logging.INFO, 'textxfer_mm'):
        head.loss(features(), samples_of())
        head.loss(features(), samples_of())
    assert [r.getMessage() for r in caplog.records if 'Synonyms' in r.getMessage()] == [
        'Synonyms of different datasets: jumping (a.1) = Jumping (keys).'
    ]


def test_a_threshold_is_chosen_by_the_closest_pair_that_is_beyond_it(caplog):
    head = head_of(compared='union', synonyms=0.9999)
    with caplog.at_level(logging.INFO, 'textxfer_mm'):
        head.loss(features(), samples_of())
    (line,) = (r.getMessage() for r in caplog.records if 'Synonyms' in r.getMessage())
    told = re.fullmatch(r'.*= Jumping \(keys\); the closest that are none: (.+) and (.+), cosine (\d\.\d+)\.', line)
    rows = {name: functional.normalize(each.weight, dim=1) for name, each in head.class_rows.datasets.items()}
    places = {f'{one} ({name})': (name, k) for name, each in NAMES.items() for k, one in enumerate(each)}
    (first, i), (second, j) = (places[pair] for pair in told.groups()[:2])
    best = max(
        (float(rows[a][k] @ rows[b][m]), NAMES[a][k].lower() != NAMES[b][m].lower())[::-1]
        for a, b in itertools.combinations(NAMES, 2)
        for k, m in itertools.product(range(len(NAMES[a])), range(len(NAMES[b])))
    )
    assert float(told[3]) == pytest.approx(best[1], abs=6e-4)
    assert float(rows[first][i] @ rows[second][j]) == pytest.approx(best[1], abs=1e-6)


def test_synonyms_by_spelling_group_and_cosine():
    names = dict(a=['Riding a bike', 'walking', 'sitting'], b=['riding_a-bike', 'going on foot'])
    rows = dict(a=torch.eye(3), b=torch.tensor([[0.0, 1, 0], [0, 0.9, 0.4]]))
    assert list(pairs_of(synonyms_among(names), names)) == ['Riding a bike (a) = riding_a-bike (b)']
    grouped = synonyms_among(names, groups=[['going on foot', 'Walking', 'sitting']])
    assert len(list(pairs_of(grouped, names))) == 3
    assert not grouped[1, 2]  # of one dataset
    close = synonyms_among(names, rows, threshold=0.9)
    assert list(pairs_of(close, names))[1:] == ['walking (a) = riding_a-bike (b)', 'walking (a) = going on foot (b)']
    assert torch.equal(close, close.T)
    with pytest.raises(UserError, match=r"The synonym 'goin on foot' is a class of none.*going on foot"):
        synonyms_among(names, groups=[['walking', 'goin on foot']])
    with pytest.raises(UserError, match=r"two names or more, got 'walking'"):
        synonyms_among(names, groups=['walking'])


def test_prediction_by_the_names_of_the_dataset():
    for average in ('feature', 'prob'):
        head, x = head_of(average_clips=average).eval(), features(2 * len(BATCH))
        for i, sample in enumerate(head.predict(x, samples_of())):
            views = x[2 * i : 2 * i + 2]
            views = views.mean(0, keepdim=True) if average == 'feature' else views
            wanted = (100 * cosines(head, views, BATCH[i][0])).softmax(1).mean(0)
            torch.testing.assert_close(sample.pred_score, wanted)
    chosen = head_of(predict_as='keys').eval()
    assert len(chosen.predict(features(2), [ActionDataSample()])[0].pred_score) == 3
    assert class_names_of(chosen) == tuple(NAMES['keys'])
    assert chosen(features(2)).shape == (2, 3)


def test_zero_shot_on_names_of_none_of_the_datasets():
    """A checkpoint of the training model, loaded where the classifier has other names: they replace nothing."""
    trained = head_of()
    classifier = dict(TEXT['classifier'], class_names=['running', 'diving'])
    head = MODELS.build(dict(TEXT, in_channels=32, classifier=classifier))
    head.load_state_dict(trained.state_dict())
    head.eval()
    samples = head.predict(features(2), samples_of()[:2])
    assert [len(sample.pred_score) for sample in samples] == [2, 2]
    assert rows_of(head).class_names == ('running', 'diving')
    assert rows_of(head, 'keys').class_names == tuple(NAMES['keys'])
    back = head_of()
    state = trained.state_dict()
    back.load_state_dict(state)
    assert torch.equal(back.class_rows.of('a.1').weight, state['class_rows.datasets.a%2E1.weight'])


def test_what_a_config_says_of_its_classes():
    cfg = dict(model=dict(cls_head=copy.deepcopy(TEXT)))
    assert class_names_of(cfg) is None
    assert num_classes_of(cfg) is None
    cfg['model']['cls_head']['predict_as'] = 'keys'
    assert class_names_of(cfg) == tuple(NAMES['keys'])
    cfg['model']['cls_head']['classifier']['class_names'] = ['running']
    assert class_names_of(cfg) == ('running',)


def test_which_names_must_be_said():
    head = head_of()
    with pytest.raises(UserError, match=r"say by those of which it classifies, predict_as='a.1' or 'keys' or 'absent'"):
        head(features(2))
    with pytest.raises(UserError, match=r"has no class rows of 'key'\. Did you mean: keys"):
        rows_of(head, 'key')
    assert head.num_classes is None


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(compared='unions'), r"Unknown compared='unions' of MultiDatasetTextHead\. Did you mean: union"),
        (dict(synonyms=0.9), r"synonyms=0.9 has no effect with compared='own'"),
        (dict(multi_class=True), r'takes no multi_class: each dataset has its own'),
        (dict(num_classes=3), r'takes no num_classes: the class names of the datasets are counted'),
        (dict(predict_as='b'), r"predict_as='b' is none of its datasets"),
        (dict(datasets=dict(a=dict(num_classes=3))), r"datasets\['a'\] needs class_names, the texts"),
        (dict(datasets=dict(a=dict(class_names=['x'], loss='bce'))), r"has loss='bce'.*MultiDatasetHead has both"),
        (dict(classifier=None), r"needs `classifier` as dict\(type='TextClassifier'"),
        (dict(classifier=dict(type='TextClasifier')), r'Did you mean: TextClassifier'),
    ],
)
def test_wrong_options(changes, message):
    with pytest.raises(UserError, match=message):
        MODELS.build({**copy.deepcopy(TEXT), 'in_channels': 32, **changes})


def test_in_a_stock_recognizer():
    found = build('text').eval()(inputs_of(0)[[0, 5]], [sample_of(0), sample_of(5)], mode='predict')
    assert [len(sample.pred_score) for sample in found] == [4, 3]
