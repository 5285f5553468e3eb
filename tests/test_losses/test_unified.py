"""iCLIP's two losses and UniCL's against naive references, values and gradients, in one process and in two."""

import math
import socket

import pytest
import torch
import torch.multiprocessing as mp
from unified_batch import CAPTIONS, LABELS, SPLITS, WHOLE, Towers, Unicl, step, worker

from textxfer_mm.losses.contrastive import symmetric_matching_loss
from textxfer_mm.losses.unified import classification_loss, contrastive_loss


def cosine(x, y):
    return (x * y).sum() / (x.pow(2).sum() * y.pow(2).sum()).sqrt()


def naive_classification(images, rows, labels, scale):
    """-1/B sum_i log exp(s cos(v_i, w_c)) / sum_j exp(s cos(v_i, w_j))"""
    total = 0.0
    for image, label in zip(images, labels.tolist(), strict=True):
        terms = [torch.exp(scale * cosine(image, row)) for row in rows]
        total = total - torch.log(terms[label] / sum(terms))
    return total / len(images)


def naive_bidirectional(images, texts, labels, scale):
    """Equal labels are positives of each other, each direction averaged over them and over the batch."""
    total = 0.0
    for queries, keys in ((images, texts), (texts, images)):
        for i, label in enumerate(labels):
            terms = [torch.exp(scale * cosine(queries[i], key)) for key in keys]
            positives = [j for j, other in enumerate(labels) if other == label]
            total = total - sum(torch.log(terms[j] / sum(terms)) for j in positives) / len(positives)
    return total / (2 * len(labels))


def gradients(loss, model):
    return torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True)


def compare(model, got, want):
    torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-5)
    for one, other in zip(gradients(got, model), gradients(want, model), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        assert other.abs().max() > 1e-3


class TestOneProcess:
    def test_unified_losses(self):
        model = Towers()
        images, rows, others, texts = model.embed(*WHOLE)
        scale = model.logit_scale.exp()
        found = model(*WHOLE)
        want = (
            naive_classification(images, rows, LABELS, scale),
            naive_bidirectional(others, texts, CAPTIONS.tolist(), scale),
        )
        for one, other in zip(found, want, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
        compare(model, sum(model(*WHOLE)), sum(want))

    def test_unicl(self):
        model = Towers()
        images, rows, others, texts = model.embed(*WHOLE)
        texts = torch.cat([rows[LABELS], texts])
        labels = [*LABELS.tolist(), *(-1 - CAPTIONS).tolist()]
        want = naive_bidirectional(torch.cat([images, others]), texts, labels, model.logit_scale.exp())
        compare(model, model.unicl(*WHOLE), want)

    def test_different_captions_make_it_the_loss_of_clip(self):
        images, texts = torch.randn(4, 3), torch.randn(4, 3)
        logits = torch.nn.functional.normalize(images) @ torch.nn.functional.normalize(texts).t() / 0.07
        own = torch.arange(4)
        want = (torch.nn.functional.cross_entropy(logits, own) + torch.nn.functional.cross_entropy(logits.t(), own)) / 2
        torch.testing.assert_close(contrastive_loss(images, texts, own, 1 / 0.07), want)

    def test_no_bias_and_one_temperature(self):
        """Uniform rows give log K at any temperature; a lone right row at cosine 1 against -1 gives its softplus."""
        images, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
        loss = classification_loss(images, torch.ones(7, 2), labels, 13.0)
        assert loss.item() == pytest.approx(math.log(7))
        rows = torch.tensor([[5.0, 0.0], [-0.1, 0.0]])
        assert classification_loss(images, rows, labels, 2.0).item() == pytest.approx(
            math.log1p(math.exp(-4)), rel=1e-5
        )

    @pytest.mark.parametrize('captions', [[], [3]])
    def test_without_a_pair_to_tell_apart_the_loss_is_0_and_so_is_each_gradient(self, captions):
        model = Towers()
        losses, grads = step(model, WHOLE[0], captions)
        assert losses[0] > 0
        assert losses[1] == 0
        assert torch.isfinite(torch.cat([grad.flatten() for grad in grads.values()])).all()
        assert grads['caption'].abs().max() == 0
        assert grads['classes'].abs().max() > 0.01

    def test_without_a_label_the_loss_is_0_and_so_is_each_gradient(self):
        losses, grads = step(Towers(), [], WHOLE[1])
        assert losses[0] == 0
        assert losses[1] > 0
        assert grads['classes'].abs().max() == 0
        assert grads['caption'].abs().max() > 0.01

    def test_an_empty_batch(self):
        losses, grads = step(Towers(), [], [])
        assert losses.tolist() == [0, 0]
        assert [grad.abs().max().item() for grad in grads.values()] == [0, 0, 0, 0]

    def test_the_matching_head_still_refuses_a_single_pair(self):
        with pytest.raises(Exception, match='there is nothing to match against'):
            symmetric_matching_loss(torch.randn(1, 3), torch.randn(1, 3), 1.0, torch.tensor([0]))

    def test_bfloat16_features_are_compared_in_float32(self):
        images, rows = torch.randn(4, 8).bfloat16(), torch.randn(5, 8).bfloat16()
        labels = torch.tensor([0, 1, 4, 2])
        with torch.autocast('cpu', dtype=torch.bfloat16):
            losses = classification_loss(images, rows, labels, 50.0), contrastive_loss(images, rows[:4], labels, 50.0)
        want = (
            classification_loss(images.float(), rows.float(), labels, 50.0),
            contrastive_loss(images.float(), rows[:4].float(), labels, 50.0),
        )
        assert losses == want


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """What two ranks saw."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    path = tmp_path_factory.mktemp('two') / 'two.pt'
    mp.spawn(worker, args=(port, path), nprocs=2)
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize('kind', ['iclip', 'unicl'])
@pytest.mark.parametrize('case', [*SPLITS, 'pure classes', 'pure captions'])
def test_two_processes_equal_one(two, kind, case):
    whole = [[] if case == 'pure captions' else WHOLE[0], [] if case == 'pure classes' else WHOLE[1]]
    losses, grads = step(Towers() if kind == 'iclip' else Unicl(), *whole)
    seen = two[f'{kind} {case}']
    for rank in range(2):  # both know the loss of the joint batch
        torch.testing.assert_close(seen['losses'][rank], losses, atol=1e-6, rtol=0)
    assert grads.keys() == seen['grads'].keys()
    assert sum(grad.abs().max() > 1e-2 for grad in grads.values()) >= 3
    for name, grad in grads.items():
        torch.testing.assert_close(seen['grads'][name], grad, atol=1e-6, rtol=1e-6, msg=name)
