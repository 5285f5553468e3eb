"""The classifier that heads of both frameworks are equipped with: the literal Eq. 3, and what its options refuse."""

import pytest
import torch
import torch.nn.functional as F
from tiny import FixedSource

from textxfer_mm.errors import UserError
from textxfer_mm.image import TextEmbeddingClsHead
from textxfer_mm.layers.cosine import cosine_logits
from textxfer_mm.models.heads import CaptionMatchingHead, TextEmbeddingHead, VideoTextMatchingHead

N, D, K = 3, 32, 6

heads = pytest.mark.parametrize('head', [TextEmbeddingHead, TextEmbeddingClsHead])


@heads
def test_eq_3_at_its_word_is_the_plain_product(head):
    made = head(D, FixedSource(embed_dims=D), normalize=False)
    x = (7 * torch.randn(N, D)).requires_grad_()
    rows = FixedSource(embed_dims=D).build().weight
    for mode in (made.train(), made.eval()):
        torch.testing.assert_close(mode(x), x @ rows.t())
    weight = torch.randn(N, K)
    (got,) = torch.autograd.grad((made.train()(x) * weight).sum(), x)
    torch.testing.assert_close(got, weight @ rows)
    assert not [name for name, p in made.named_parameters() if p.requires_grad]


@heads
def test_normalised_logits_do_not_feel_the_length_of_a_feature(head):
    made = head(D, FixedSource(embed_dims=D)).eval()
    x = torch.randn(N, D)
    torch.testing.assert_close(made(x), made(7 * x))
    torch.testing.assert_close(made(x), 100 * F.normalize(x, dim=1) @ FixedSource(embed_dims=D).build().weight.t())


@heads
def test_eq_3_in_bfloat16_leaves_in_float32(head):
    made = head(D, FixedSource(embed_dims=D), normalize=False).eval()
    x = torch.randn(N, D)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = made(x)
    assert out.dtype is torch.float32
    torch.testing.assert_close(out, made(x))


def test_eq_3_of_several_labels_keeps_its_bias():
    made = TextEmbeddingHead(D, FixedSource(embed_dims=D), normalize=False, multi_class=True, init_bias=-2.0).eval()
    x = torch.randn(N, D)
    torch.testing.assert_close(made(x), x @ FixedSource(embed_dims=D).build().weight.t() - 2)


@heads
@pytest.mark.parametrize(
    'option', [dict(init_scale=10.0), dict(max_scale=100.0), dict(learn_scale=False), dict(test_scale=None)]
)
def test_a_scale_without_normalisation_has_no_effect(head, option):
    (name,) = option
    with pytest.raises(UserError, match=rf'{name}=.* has no effect with normalize=False: .* no scale'):
        head(D, FixedSource(embed_dims=D), normalize=False, **option)


@pytest.mark.parametrize('head', [CaptionMatchingHead, VideoTextMatchingHead])
def test_heads_with_a_matching_loss_take_none(head):
    with pytest.raises(UserError, match=f'{head.__name__} takes no normalize: its loss is the matching loss'):
        head(D, FixedSource(embed_dims=D), normalize=False)


def test_the_function_by_itself():
    features, rows = torch.randn(N, D), torch.randn(K, D)
    torch.testing.assert_close(cosine_logits(features, rows, 3.0, 0.5, normalize=False), 3 * features @ rows.t() + 0.5)
