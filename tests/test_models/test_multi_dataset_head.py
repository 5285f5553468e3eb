"""MultiDatasetHead: losses and gradients against a naive reference, edge cases, prediction, messages."""

import pytest
import torch
from multi_dataset_ranks import build, inputs_of, sample_of
from torch.nn import functional

from textxfer_mm.errors import UserError
from textxfer_mm.models import MultiDatasetBlending, MultiDatasetHead

from mmaction.registry import MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip

CLASSES = {'a': 4, 'b.v1': 3, 'keys': 5}
D = 6
BATCH = [('a', 1), ('b.v1', 2), ('a', 3), ('keys', 4), ('a', 1)]
DATASETS = {
    'a': dict(num_classes=4),
    'b.v1': dict(num_classes=3, loss='bce', weight=10.0),
    'keys': dict(num_classes=5, weight=0.5),
}


def samples_of(batch=BATCH):
    return [ActionDataSample(metainfo=dict(dataset_name=name)).set_gt_label(label) for name, label in batch]


def head_of(seed=0, **changes):
    torch.manual_seed(seed)
    options = dict(datasets=DATASETS, hidden_channels=8, dropout=0.0, expander_channels=7)
    head = MultiDatasetHead(D, **{**options, **changes})
    for parameter in head.parameters():
        parameter.data.mul_(20)
    return head.train()


def features(rows=5, seed=1):
    return torch.randn(rows, D, generator=torch.Generator().manual_seed(seed))


def naive(head, x, targets, eps, smooth_classes, projection_weight=1.0):
    """The loss of a batch, sample by sample, from the weights alone; targets are (t, m) by dataset."""
    p = dict(head.named_parameters())
    keys = {'a': 'a', 'b.v1': 'b%2Ev1', 'keys': 'keys'}

    def classify(name, x):
        at = f'heads.{keys[name]}'
        hidden = functional.gelu(x @ p[f'{at}.fc1.weight'].T + p[f'{at}.fc1.bias'])
        return hidden @ p[f'{at}.fc2.weight'].T + p[f'{at}.fc2.bias']

    total = 0
    for d, (t, m) in targets.items():
        classes = smooth_classes or CLASSES[d]
        for i in range(len(x)):
            if m[i] == 0:
                continue
            target = (1 - eps) * t[i] + eps / classes
            others = [a for a in CLASSES if a != d]
            logits = [(1.0, classify(d, x[i]))]
            for a in others:
                weight = p[f'training_only.projections.maps.{keys[a]}.{keys[d]}.weight']
                logits.append((projection_weight / len(others), weight @ classify(a, x[i])))
            for factor, z in logits:
                if DATASETS[d].get('loss') == 'bce':
                    loss = functional.binary_cross_entropy_with_logits(z, target)
                else:
                    loss = functional.cross_entropy(z[None], target[None])
                total = total + factor * m[i] * DATASETS[d].get('weight', 1.0) * loss
    hidden = functional.gelu(x @ p['training_only.expander.0.weight'].T + p['training_only.expander.0.bias'])
    e = hidden @ p['training_only.expander.2.weight'].T + p['training_only.expander.2.bias']
    covariance = torch.cov(e.T)
    hinge = torch.relu(1 - (covariance.diagonal() + 1e-4).sqrt()).mean()
    spread = (covariance**2).sum() - (covariance.diagonal() ** 2).sum()
    return total / len(x) + 0.1 * (25 * hinge + spread / D)


def targets_of(parts):
    """(t, m) by dataset of a batch given as [(weight, dataset, {label: share})] by sample."""
    found = {d: (torch.zeros(len(parts), k), torch.zeros(len(parts))) for d, k in CLASSES.items()}
    for i, entries in enumerate(parts):
        for weight, d, shares in entries:
            found[d][1][i] = weight
            for label, share in shares.items():
                found[d][0][i, label] += share
    return found


#: What the flipped batch is to the datasets, with lambda = 0.3; the third sample is its own partner.
POLICIES = {
    'plain': [[(1, d, {y: 1})] for d, y in BATCH],
    'drop': [
        [(1, 'a', {1: 1})],
        [(1, 'b.v1', {2: 0.3})],
        [(1, 'a', {3: 1})],
        [(1, 'keys', {4: 0.3})],
        [(1, 'a', {1: 1})],
    ],
    'both': [
        [(1, 'a', {1: 1})],
        [(0.3, 'b.v1', {2: 1}), (0.7, 'keys', {4: 1})],
        [(1, 'a', {3: 1})],
        [(0.3, 'keys', {4: 1}), (0.7, 'b.v1', {2: 1})],
        [(1, 'a', {1: 1})],
    ],
    'same': [[(1, d, {y: 1})] for d, y in BATCH],
}


def blended_samples(policy, monkeypatch, share=0.3):
    samples = samples_of()
    if policy != 'plain':
        blending = MultiDatasetBlending(policy=policy, cutmix_alpha=0)
        draw = lambda self: torch.tensor(share, dtype=torch.float64)  # noqa: E731
        monkeypatch.setattr(torch.distributions.Beta, 'sample', draw)
        blending(torch.zeros(len(samples), 1, 3, 2, 8, 8), samples)
    return samples


@pytest.mark.parametrize(('eps', 'smooth_classes'), [(0.0, None), (0.1, None), (0.1, 700)])
@pytest.mark.parametrize('policy', POLICIES)
def test_losses_and_gradients_equal_a_naive_reference(policy, eps, smooth_classes, monkeypatch):
    head = head_of(label_smooth_eps=eps, label_smooth_classes=smooth_classes)
    x = features().requires_grad_()
    parts = head.loss(x, blended_samples(policy, monkeypatch))
    loss = sum(value for key, value in parts.items() if 'loss' in key)
    reference = naive(head, x, targets_of(POLICIES[policy]), eps, smooth_classes)
    torch.testing.assert_close(loss, reference, rtol=1e-6, atol=1e-6)
    inputs = [x, *head.parameters()]
    for name, ours, theirs in zip(
        ['x', *dict(head.named_parameters())],
        torch.autograd.grad(loss, inputs),
        torch.autograd.grad(reference, inputs),
        strict=True,
    ):
        scale = max(theirs.abs().max().item(), 1.0)
        assert (ours - theirs).abs().max().item() <= 2e-6 * scale, name
        if name != 'training_only.expander.2.bias':  # no variance depends on it
            assert theirs.abs().max() > 1e-4, name


def test_all_parameters_have_a_gradient_whatever_the_batch_holds():
    for batch in ([('a', 0)], [('keys', 1), ('keys', 1)]):
        head = head_of()
        parts = head.loss(features(len(batch)), samples_of(batch))
        assert all(torch.isfinite(value) for value in parts.values())
        sum(value for key, value in parts.items() if 'loss' in key).backward()
        for name, parameter in head.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
        maps = head.training_only['projections'].maps
        assert not maps['a']['b.v1'].weight.grad.any()  # nothing is of b.v1
        assert maps['b.v1'][batch[0][0]].weight.grad.any()
        assert head.heads['b.v1'].fc1.weight.grad.any()  # by its projection


def test_a_single_dataset_has_no_pairs_and_a_single_sample_no_variance():
    head = head_of(datasets=dict(a=dict(num_classes=4)))
    parts = head.loss(features(1), samples_of([('a', 2)]))
    assert set(parts) == {'loss_cls', 'loss_informative', 'a/top1_acc', 'a/top5_acc'}
    assert parts['loss_informative'].item() == pytest.approx(2.475)
    assert torch.isfinite(parts['loss_cls'])
    assert head(features(3)).shape == (3, 4)


def test_the_informative_loss_is_float32_within_bf16_training():
    head, x = head_of(), features()
    exact = head.loss(x, samples_of())
    with torch.autocast('cpu', torch.bfloat16):
        rounded = head.loss(x, samples_of())
    assert torch.equal(rounded['loss_informative'], exact['loss_informative'])
    assert all(rounded[key].dtype == torch.float32 for key in rounded)
    assert not torch.equal(rounded['loss_cls'], exact['loss_cls'])
    torch.testing.assert_close(rounded['loss_cls'], exact['loss_cls'], rtol=0.05, atol=0.05)


def test_switches_leave_parts_out():
    head = head_of(projection_weight=0, informative_weight=0)
    assert not list(head.training_only.parameters())
    assert {key for key in head.loss(features(), samples_of()) if 'loss' in key} == {'loss_cls'}
    bare = head_of(expander_channels=None)
    spread = 50 * features()
    assert (
        bare.loss(spread, samples_of())['loss_informative']
        > head_of().loss(0 * spread, samples_of())['loss_informative']
    )
    assert set(dict(bare.training_only.named_children())) == {'projections', 'expander'}
    assert not list(bare.training_only['expander'].parameters())


@pytest.mark.parametrize('drop_logits', [True, False])
def test_dropout_on_hidden_units_and_as_released_on_the_logits(drop_logits):
    torch.manual_seed(0)
    head = MultiDatasetHead(D, dict(a=dict(num_classes=400)), drop_logits=drop_logits, informative_weight=0)
    assert head.heads['a'].fc1.weight.shape == (2048, D)
    share = (head.train()(features(20)) == 0).float().mean()
    assert share == (0 if not drop_logits else pytest.approx(0.5, abs=0.03))
    assert (head.eval()(features(20)) != 0).all()


def test_initialisation():
    torch.manual_seed(0)
    head = MultiDatasetHead(64, dict(a=dict(num_classes=50), b=dict(num_classes=40)))
    assert head.training_only['projections'].maps['a']['b'].weight.shape == (40, 50)
    assert head.training_only['expander'][0].weight.shape == (4096, 64)
    for name, parameter in head.named_parameters():
        if name.endswith('bias'):
            assert not parameter.any(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


def test_accuracies_are_of_plain_samples_of_the_dataset(monkeypatch):
    head = head_of()
    scores = {name: one(features()).detach() for name, one in head.heads.items()}
    found = head.loss(features(), samples_of())
    hits = [float(scores['a'][i].argmax() == BATCH[i][1]) for i in (0, 2, 4)]
    assert found['a/top1_acc'].item() == pytest.approx(sum(hits) / 3)
    assert found['keys/top5_acc'] == 1  # five classes
    assert set(head.loss(features(), blended_samples('both', monkeypatch))) >= {'a/top1_acc'}  # its own partner
    assert 'keys/top1_acc' not in head.loss(features(), blended_samples('both', monkeypatch))
    assert 'keys/top1_acc' not in head.loss(features(), blended_samples('drop', monkeypatch))


def test_a_dataset_called_loss_adds_nothing_to_the_loss():
    datasets = {'my loss': dict(num_classes=3), 'b': dict(num_classes=2)}
    head = head_of(datasets=datasets, informative_weight=0)
    parts = head.loss(features(2), samples_of([('my loss', 0), ('b', 1)]))
    assert {key for key in parts if 'loss' in key} == {'loss_cls', 'loss_projection'}
    assert len(parts) == 6


def test_several_labels():
    head = head_of()
    several = ActionDataSample(metainfo=dict(dataset_name='b.v1')).set_gt_label(torch.tensor([1.0, 0, 1]))
    one = samples_of([('b.v1', 2)])[0]
    x = features(2)
    z = head.heads['b.v1'](x)
    wanted = torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    reference = 10 * functional.binary_cross_entropy_with_logits(z, wanted)
    torch.testing.assert_close(head.loss(x, [several, one])['loss_cls'], reference)


def test_rows_of_a_video_are_averaged_before_the_classifier():
    head = head_of()
    x = features(2 * len(BATCH))
    pairs = x.view(len(BATCH), 2, D)
    torch.testing.assert_close(
        head.loss(x, samples_of())['loss_cls'], head.loss(pairs.mean(1), samples_of())['loss_cls']
    )


# Prediction


def test_each_sample_is_predicted_by_the_classifier_of_its_dataset():
    head, x = head_of().eval(), features(2 * len(BATCH))
    found = head.predict(x, samples_of())
    for i, sample in enumerate(found):
        z = head.heads[BATCH[i][0]](x[2 * i : 2 * i + 2])
        wanted = (z.sigmoid() if BATCH[i][0] == 'b.v1' else z.softmax(1)).mean(0)
        torch.testing.assert_close(sample.pred_score, wanted)
        assert sample.pred_label.item() == wanted.argmax()
        assert sample.gt_label.item() == BATCH[i][1]


def test_all_samples_by_one_classifier():
    head, x = head_of(predict_as='keys', average_clips='score').eval(), features(4)
    found = head.predict(x, [ActionDataSample(), *samples_of([('unheard of', 0)])])
    torch.testing.assert_close(torch.stack([s.pred_score for s in found]), head.heads['keys'](x).view(2, 2, 5).mean(1))
    assert head(x).shape == (4, 5)
    assert {name: z.shape for name, z in head_of()(x).items()} == {'a': (4, 4), 'b.v1': (4, 3), 'keys': (4, 5)}
    assert head_of(average_clips=None).predict(x, samples_of(BATCH[:1]))[0].pred_score.shape == (4, 4)


def test_in_a_stock_recognizer():
    model = build('mlp').eval()
    samples = [sample_of(0), sample_of(5)]
    inputs = inputs_of(0)[[0, 5]]
    found = model(inputs, samples, mode='predict')
    assert [len(sample.pred_score) for sample in found] == [4, 3]
    feature_maps = [torch.randn(2, D, 2, 3, 3), (torch.randn(2, D),), torch.randn(2, D, 1, 1)]
    for feats in feature_maps:
        assert len(head_of().predict(feats, samples_of(BATCH[:2]))) == 2


def test_frames_of_a_2d_recognizer_are_averaged():
    head, x = head_of().eval(), features(6)
    found = head.predict(x, samples_of([('a', 0), ('a', 1)]), num_segs=3)
    wanted = head.heads['a'](x.view(2, 3, D).mean(1)).softmax(1)
    torch.testing.assert_close(torch.stack([sample.pred_score for sample in found]), wanted)


# Messages


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(datasets={}), r'needs `datasets`, as dict\(k400=dict'),
        (dict(datasets=dict(a=4)), r"datasets\['a'\] is given as dict\(num_classes=.*got 4"),
        (dict(datasets=dict(a=dict())), r"datasets\['a'\] needs num_classes or class_names"),
        (dict(datasets=dict(a=dict(num_class=3))), r"takes no 'num_class'\. Did you mean: num_classes"),
        (dict(datasets=dict(a=dict(num_classes=0))), r'whole number from 1, got 0'),
        (dict(datasets=dict(a=dict(num_classes=2, class_names=['x']))), r'num_classes=2, but there are 1 class names'),
        (dict(datasets=dict(a=dict(num_classes=2, loss='bse'))), r"unknown loss 'bse'\. Did you mean: bce"),
        (dict(datasets=dict(a=dict(num_classes=2, weight=-1))), r'weight is a number from 0, got -1'),
        (dict(predict_as='c'), r"predict_as='c' is none of its datasets: 'a', 'b.v1', 'keys'"),
        (dict(average_clips='feature'), r"Unknown average_clips='feature' of MultiDatasetHead"),
        (dict(feature='patches'), r"Unknown feature='patches' of MultiDatasetHead\. Did you mean: patch"),
    ],
)
def test_wrong_options(changes, message):
    with pytest.raises(UserError, match=message):
        head_of(**changes)


@pytest.mark.parametrize(
    ('sample', 'message'),
    [
        (
            ActionDataSample(metainfo=dict(filename='v.mp4')).set_gt_label(0),
            r'The sample v.mp4 has no dataset_name: wrap',
        ),
        (ActionDataSample(metainfo=dict(dataset_name=3)).set_gt_label(0), r'dataset_name=3, which is no name'),
        (samples_of([('key', 0)])[0], r"is of the dataset 'key', which has no head\. Did you mean: keys"),
        (ActionDataSample(metainfo=dict(dataset_name='a')), r'has no gt_label'),
        (samples_of([('a', 4)])[0], r"has the label 4, but 'a' has the classes 0 to 3"),
        (samples_of([('a', -1)])[0], r'has the label -1'),
        (samples_of([('a', torch.rand(4))])[0], r'not from MixupBlending or CutmixBlending'),
        (samples_of([('b.v1', torch.rand(4))])[0], r"shape \(4,\), but 'b.v1' has 3 classes"),
    ],
)
def test_wrong_samples(sample, message):
    with pytest.raises(UserError, match=message):
        head_of().loss(features(1), [sample])


def test_predicting_what_is_of_no_dataset():
    with pytest.raises(UserError, match=r"has no dataset_name.*predict_as='a' or 'b.v1' or 'keys'"):
        head_of().predict(features(1), [ActionDataSample()])
    with pytest.raises(UserError, match=r"'b', which has no head.*predict_as="):
        head_of().predict(features(1), samples_of([('b', 0)]))


def test_wrong_features():
    with pytest.raises(UserError, match=r'takes features 6 wide \(in_channels\).*2 videos, and got 3 of them, 6 wide'):
        head_of().loss(features(3), samples_of(BATCH[:2]))
    with pytest.raises(UserError, match=r'got 2 of them, 5 wide'):
        head_of().predict(torch.randn(2, 5), samples_of(BATCH[:2]))


def test_it_is_built_from_a_config():
    names = dict(class_names='kinetics400')
    head = MODELS.build(dict(type='MultiDatasetHead', in_channels=D, datasets=dict(k400=names), hidden_channels=4))
    assert head.num_classes == dict(k400=400)
