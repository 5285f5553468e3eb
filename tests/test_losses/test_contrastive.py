"""The matching losses against naive references, values and gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from textxfer_mm.errors import UserError
from textxfer_mm.losses.contrastive import (
    ce_matching_loss,
    kl_matching_loss,
    matching_loss,
    matching_targets,
    same_class,
    symmetric_matching_loss,
)

D = 8
LABELS = [4, 1, 4, 0, 4, 1]  # three positives, two, one


def naive_targets(rows, cols, sharpness):
    out = torch.zeros(len(rows), len(cols))
    for i, row in enumerate(rows):
        weights = [math.exp(sharpness * (row == col)) for col in cols]
        for j, weight in enumerate(weights):
            out[i, j] = weight / sum(weights)
    return out


def naive_direction(rows, cols, labels, scale, form):
    """Mean over the rows of KL or cross-entropy, in loops, from features that are not normalised."""
    losses = []
    for i in range(len(labels)):
        cosines = [(rows[i] * col).sum() / (rows[i].pow(2).sum() * col.pow(2).sum()).sqrt() for col in cols]
        terms = [torch.exp(scale * cosine) for cosine in cosines]
        if form == 'kl':
            weights = [math.exp(10.0 * (labels[i] == label)) for label in labels]
        else:
            weights = [float(labels[i] == label) for label in labels]
        loss = 0.0
        for term, weight in zip(terms, weights, strict=True):
            target = weight / sum(weights)
            if target > 0:
                entropy = math.log(target) if form == 'kl' else 0.0
                loss = loss + target * (entropy - torch.log(term / sum(terms)))
        losses.append(loss)
    return sum(losses) / len(losses)


@pytest.fixture
def pairs():
    make = torch.Generator().manual_seed(3)
    videos, texts = (3 * torch.randn(len(LABELS), D, generator=make) for _ in range(2))
    return videos.requires_grad_(), texts.requires_grad_(), torch.tensor(math.log(7.0), requires_grad=True)


@pytest.mark.parametrize('form', ['kl', 'ce'])
def test_symmetric_loss_and_gradients(pairs, form):
    videos, texts, logit_scale = pairs
    loss = symmetric_matching_loss(videos, texts, logit_scale.exp(), torch.tensor(LABELS), form=form)
    grads = torch.autograd.grad(loss, pairs)
    scale = logit_scale.exp()
    naive = (
        naive_direction(videos, texts, LABELS, scale, form) + naive_direction(texts, videos, LABELS, scale, form)
    ) / 2
    torch.testing.assert_close(loss, naive, atol=1e-5, rtol=1e-5)
    for got, want in zip(grads, torch.autograd.grad(naive, pairs), strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('sharpness', [10.0, 2.0])
def test_targets(sharpness):
    cols = [1, 4, 7, 1]
    got = matching_targets(torch.tensor(LABELS), torch.tensor(cols), sharpness)
    torch.testing.assert_close(got, naive_targets(LABELS, cols, sharpness))


def test_targets_of_the_released_code():
    targets = matching_targets(torch.arange(128), torch.arange(128))
    assert targets[5, 5].item() == pytest.approx(0.9943, abs=1e-4)
    assert targets[5, 6].item() == pytest.approx(4.5e-5, abs=1e-6)


def test_kl_is_the_batchmean_of_torch():
    logits, targets = torch.randn(6, 9), torch.randn(6, 9).softmax(1)
    want = F.kl_div(logits.log_softmax(1), targets, reduction='batchmean')
    torch.testing.assert_close(kl_matching_loss(logits, targets), want)
    torch.testing.assert_close(kl_matching_loss(targets.log(), targets), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_ce_with_single_positives_is_info_nce():
    logits = torch.randn(6, 6)
    torch.testing.assert_close(ce_matching_loss(logits, torch.eye(6)), F.cross_entropy(logits, torch.arange(6)))


def test_ce_is_the_limit_of_sharp_targets():
    labels, logits = torch.tensor(LABELS), torch.randn(6, 6)
    targets = matching_targets(labels, labels, sharpness=1000.0)
    entropy = -torch.xlogy(targets, targets).sum(1).mean()
    got = kl_matching_loss(logits, targets) + entropy
    torch.testing.assert_close(got, ce_matching_loss(logits, same_class(labels, labels)))


def test_bfloat16_features_are_matched_in_float32(pairs):
    videos, texts, logit_scale = (x.detach() for x in pairs)
    halves = videos.bfloat16(), texts.bfloat16()
    labels = torch.tensor(LABELS)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = symmetric_matching_loss(*halves, logit_scale.exp(), labels)
    want = symmetric_matching_loss(*(x.float() for x in halves), logit_scale.exp(), labels)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-6)


class TestErrors:
    def test_one_class(self, pairs):
        videos, texts, _ = pairs
        labels = torch.full((6,), 4)
        with pytest.raises(UserError, match=r'All 6 videos of this batch are of class 4.*drop_last=True'):
            symmetric_matching_loss(videos, texts, 1.0, labels)
        with pytest.raises(UserError, match=r'gather=True where several processes train'):
            symmetric_matching_loss(videos, texts, 1.0, labels, gather=False)

    def test_one_video(self, pairs):
        with pytest.raises(UserError, match=r'All 1 videos of this batch are of class 2'):
            symmetric_matching_loss(pairs[0][:1], pairs[1][:1], 1.0, torch.tensor([2]))

    def test_form(self):
        with pytest.raises(UserError, match=r"Unknown form 'kll' of the matching loss.*kl"):
            matching_loss(torch.zeros(2, 2), torch.arange(2), torch.arange(2), 'kll')
