"""Targets and losses over several datasets against naive references, sample by sample."""

import pytest
import torch
from torch.nn import functional

from textxfer_mm.errors import UserError
from textxfer_mm.losses.cross_dataset import (
    POLICIES,
    blended_target,
    cross_dataset_losses,
    dense_targets,
    plain_target,
    smooth_targets,
)

CLASSES = {'a': 4, 'b.1': 3, 'keys': 5}
DATASETS = ['a', 'b.1', 'a', 'keys', 'a']
LABELS = [1, 2, 3, 4, 1]
SHARE = 0.3


def naive_targets(policy, partners):
    """Targets and weights of each dataset, by the formulas of the three policies."""
    found = {}
    for name, classes in CLASSES.items():
        t, m = torch.zeros(len(LABELS), classes), torch.zeros(len(LABELS))
        for i, j in enumerate(partners):
            own, other = DATASETS[i] == name, DATASETS[j] == name
            if policy == 'same' and DATASETS[i] != DATASETS[j]:
                j, other = i, own
            if own:
                t[i, LABELS[i]] += SHARE
            if other:
                t[i, LABELS[j]] += 1 - SHARE
            if policy == 'both':
                m[i] = SHARE * own + (1 - SHARE) * other
                if m[i] > 0:
                    t[i] /= m[i]
            else:
                m[i] = float(own)
                t[i] *= m[i]
        found[name] = (t, m)
    return found


def blended(policy, partners):
    parts = list(zip(DATASETS, LABELS, strict=True))
    return [blended_target(parts[i], parts[j], SHARE, policy) for i, j in enumerate(partners)]


@pytest.mark.parametrize('partners', [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize('policy', POLICIES)
def test_targets_of_the_policies(policy, partners):
    for name, (scores, weights) in dense_targets(blended(policy, partners), CLASSES).items():
        t, m = naive_targets(policy, partners)[name]
        torch.testing.assert_close(weights, m, msg=name)
        torch.testing.assert_close(scores, t, msg=name)


def test_masses_of_the_policies():
    """The released policy loses a foreign partner's mass, and with 1/700 for all the target sums to about 0.33."""
    foreign = ('k400', 7), ('mit', 9)
    dropped = dense_targets([blended_target(*foreign, SHARE, 'drop')], dict(k400=400, mit=305))
    assert dropped['k400'].scores.sum() == pytest.approx(SHARE)
    assert dropped['mit'].weights.tolist() == [0]
    released = smooth_targets(dropped['k400'].scores, 0.1, 700)
    assert released.sum().item() == pytest.approx(SHARE * 0.9 + 400 * 0.1 / 700, abs=1e-6)
    both = dense_targets([blended_target(*foreign, SHARE, 'both')], dict(k400=400, mit=305))
    assert [both[name].weights.item() for name in both] == pytest.approx([SHARE, 1 - SHARE])
    assert [both[name].scores.sum().item() for name in both] == pytest.approx([1, 1])
    with pytest.raises(UserError, match=r"Unknown policy 'bth' for blending.*both"):
        blended_target(*foreign, SHARE, 'bth')


@pytest.mark.parametrize(('classes', 'total'), [(400, 0.957), (305, 0.944), (174, 0.925)])
def test_released_smoothing_does_not_sum_to_one(classes, total):
    one_hot = torch.eye(classes)[:1]
    smooth = smooth_targets(one_hot, 0.1, 700)
    assert smooth.sum().item() == pytest.approx(total, abs=5e-4)
    assert smooth[0, 0].item() == pytest.approx(0.9 + 0.1 / 700)
    assert smooth_targets(one_hot, 0.1).sum().item() == pytest.approx(1, abs=1e-6)
    assert torch.equal(smooth_targets(one_hot, 0.0), one_hot)


def test_labels_of_several_classes():
    several = torch.tensor([1, 0, 1])  # integers, as mmaction's format_label makes them
    target = blended_target(('a', several), ('a', 1), 0.25, 'both')
    scores, weights = dense_targets([target], dict(a=3))['a']
    torch.testing.assert_close(scores, torch.tensor([[0.25, 0.75, 0.25]]))
    assert weights.tolist() == [1]


KINDS = {'a': 'ce', 'b.1': 'bce', 'keys': 'ce'}
WEIGHTS = {'a': 1.0, 'b.1': 10.0, 'keys': 0.5}


def naive_loss(heads, maps, x, targets, projection_weight):
    """One sample and one dataset after the other."""
    total = 0
    for name, (t, m) in targets.items():
        for i in range(len(x)):
            sources = [(heads[name] @ x[i], 1.0)]
            others = [a for a in heads if a != name]
            sources += [(maps[a, name] @ (heads[a] @ x[i]), projection_weight / len(others)) for a in others]
            for logits, factor in sources:
                if KINDS[name] == 'ce':
                    loss = -(t[i] * functional.log_softmax(logits, 0)).sum()
                else:
                    p = torch.sigmoid(logits)
                    loss = -(t[i] * p.log() + (1 - t[i]) * (1 - p).log()).mean()
                total = total + WEIGHTS[name] * m[i] * factor * loss
    return total / len(x)


@pytest.mark.parametrize('policy', POLICIES)
def test_losses_and_gradients_of_heads_and_projections(policy):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(LABELS), 6, generator=generator, dtype=torch.float64, requires_grad=True)

    def matrix(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    heads = {name: matrix(k, 6) for name, k in CLASSES.items()}
    maps = {(a, d): matrix(CLASSES[d], CLASSES[a]) for a in CLASSES for d in CLASSES if a != d}
    parameters = [x, *heads.values(), *maps.values()]
    partners = [2, 0, 4, 1, 3]
    targets = dense_targets(blended(policy, partners), CLASSES)
    targets = {name: each._replace(scores=smooth_targets(each.scores, 0.1)) for name, each in targets.items()}

    logits = {name: x @ head.T for name, head in heads.items()}
    projected = {(a, d): logits[a] @ each.T for (a, d), each in maps.items()}
    losses = cross_dataset_losses(
        logits, targets, projected, kinds=KINDS, weights=WEIGHTS, projection_weight=0.7
    ).values()
    loss = sum(each.head + each.projection for each in losses)
    exact = {name: (t.double(), m.double()) for name, (t, m) in targets.items()}
    reference = naive_loss(heads, maps, x, exact, 0.7)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-9)
    for ours, theirs in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(reference, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-6)
        assert ours.abs().max() > 1e-4


def test_absent_and_single_datasets_are_finite_and_have_gradients():
    x = torch.randn(2, 3, requires_grad=True)
    other = torch.randn(2, 4, requires_grad=True)
    targets = dense_targets([plain_target('a', 1)] * 2, dict(a=3, b=4))
    losses = cross_dataset_losses(dict(a=x, b=other), targets)
    assert losses['b'] == (0, 0)
    assert losses['a'].projection == 0
    sum(each.head + each.projection for each in losses.values()).backward()
    assert torch.equal(other.grad, torch.zeros_like(other))
    assert x.grad.abs().max() > 0


def test_half_precision_logits_are_compared_in_float32():
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    targets = dense_targets([plain_target('a', 1)] * 2, dict(a=3))
    for kind in ('ce', 'bce'):
        with torch.autocast('cpu', torch.bfloat16):
            loss = cross_dataset_losses(dict(a=logits), targets, kinds=dict(a=kind))['a'].head
        exact = cross_dataset_losses(dict(a=logits.float()), targets, kinds=dict(a=kind))['a'].head
        assert loss.dtype == torch.float32
        assert torch.equal(loss, exact)
