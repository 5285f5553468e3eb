"""What is fetched from outside is fetched once, and not at all where a checkpoint holds all of it."""

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from safetensors.torch import save_file
from tiny import TINY_RESNET, TINY_VIT, FixedSource

from textxfer_mm.errors import UserError
from textxfer_mm.models import CLIPBackbone
from textxfer_mm.parts import ConSEProjection


def model(**parts):
    return torch.nn.ModuleDict(parts)


def test_a_backbone_is_filled_by_a_checkpoint_of_all_its_weights(tmp_path):
    absent = tmp_path / 'gone.pt'
    source = model(backbone=CLIPBackbone(TINY_RESNET))
    other = model(backbone=CLIPBackbone(TINY_RESNET, absent))
    load_state_dict(other, source.state_dict())
    frames = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(other.eval()['backbone'](frames), source.eval()['backbone'](frames))


def test_a_checkpoint_without_the_backbone_leaves_it_to_be_fetched(tmp_path):
    other = model(backbone=CLIPBackbone(TINY_VIT, tmp_path / 'gone.pt'))
    load_state_dict(other, {'cls_head.fc_cls.weight': torch.randn(2, 2)})
    with pytest.raises(UserError, match=r'gone\.pt'):
        other['backbone'](torch.randn(2, 3, 32, 32))


def test_a_checkpoint_of_another_backbone_is_an_error():
    other = model(backbone=CLIPBackbone(TINY_VIT))
    with pytest.raises(UserError, match=r'another backbone \(backbone\.conv1\.weight, \.\.\.\), not the vision tower'):
        load_state_dict(other, {'backbone.conv1.weight': torch.randn(2, 2)})


@pytest.fixture
def image_classifier(tmp_path):
    path = tmp_path / 'fc.safetensors'
    save_file(dict(weight=torch.randn(6, 8), bias=torch.randn(6)), path)
    return path


def conse(source, file, **options):
    return ConSEProjection(8, 4, concepts=source, image_classifier=str(file), num_concepts=6, top_k=3, **options)


def test_conse_fetches_its_two_parts(image_classifier):
    source = FixedSource(embed_dims=4)
    projection = conse(source, image_classifier)
    x = torch.randn(2, 8)
    out = projection(x)
    torch.testing.assert_close(projection.concepts, source.build().weight)
    prob, index = projection.fc(x).topk(3)
    naive = torch.stack([prob[n].softmax(0) @ projection.concepts[index[n]] for n in range(2)])
    torch.testing.assert_close(out, naive)
    projection(x)
    assert source.builds == 2  # one by the projection, one by this test


def test_conse_of_a_checkpoint_needs_neither(image_classifier, tmp_path):
    first = conse(FixedSource(embed_dims=4), image_classifier, residual=True)
    first.init_weights()
    source = FixedSource(embed_dims=4)
    other = conse(source, tmp_path / 'gone.safetensors', residual=True)
    load_state_dict(other, first.state_dict(), strict=True)
    x = torch.randn(2, 8)
    torch.testing.assert_close(other(x), first(x))
    assert source.builds == 0


def test_a_part_of_conse_is_not_all_of_it(image_classifier):
    source = FixedSource(embed_dims=4)
    other = conse(source, image_classifier, residual=True)
    load_state_dict(other, {'residual.weight': torch.ones(4, 8)})
    other(torch.randn(2, 8))
    assert source.builds == 1
    assert (other.residual.weight == 1).all()


@pytest.mark.parametrize('missing', ['concepts', 'fc.bias'])
def test_a_checkpoint_that_lacks_one_of_the_fetched_parts_is_incomplete(image_classifier, missing):
    first = conse(FixedSource(embed_dims=4), image_classifier)
    first.init_weights()
    partial = {name: weight for name, weight in first.state_dict().items() if name != missing}
    other = conse(FixedSource(embed_dims=4), image_classifier)
    load_state_dict(other, partial)
    x = torch.randn(2, 8)
    torch.testing.assert_close(other(x), first(x))


@pytest.mark.parametrize(
    ('width', 'file', 'message'),
    [
        (5, 'fc.safetensors', r'concepts of shape \(6, 4\), got \(6, 8\) .* and \(6, 5\) from fixed/0'),
        (4, 'gone.safetensors', 'is neither "packaged" nor an existing file'),
        (4, 'text.safetensors', 'is no safetensors file with the tensors `weight` and `bias`'),
    ],
)
def test_conse_parts_that_do_not_fit(image_classifier, tmp_path, width, file, message):
    (tmp_path / 'text.safetensors').write_text('no tensors here')
    with pytest.raises(UserError, match=message):
        conse(FixedSource(embed_dims=width), tmp_path / file).init_weights()
