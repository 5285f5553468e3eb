"""The backbone alone: names and numbers as those who load it have them."""

import runpy
import sys
from unittest.mock import patch

import pytest
import timm
import torch
from mmengine.registry import DefaultScope
from tiny_configs import ROOT

import textxfer_mm.register  # noqa: F401
from textxfer_mm.convert.backbone import export_backbone
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS

SWIN = dict(
    type='SwinTransformer',
    arch=dict(embed_dims=96, depths=[2, 1, 1, 1], num_heads=[3, 6, 12, 24]),
    img_size=224,
    drop_path_rate=0.0,
)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A Swin of MMPretrain with weights of all kinds, and a checkpoint of a classifier around it."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(SWIN)
    model.eval()  # which returns nothing
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path_factory.mktemp('swin') / 'epoch_1.pth'
    state = {f'backbone.{name}': value for name, value in model.state_dict().items()}
    torch.save(dict(state_dict={**state, 'head.class_rows.weight': torch.zeros(2, 2)}), path)
    return model, path


def test_as_openmmlab_loads_it(trained, tmp_path):
    model, path = trained
    names = export_backbone(path, tmp_path / 'backbone.pth')
    assert all(name.startswith('backbone.') for name in names)
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'), prefix='backbone.')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        other = MODELS.build(dict(SWIN, init_cfg=init))
    other.init_weights()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, atol=0, rtol=0)


def test_as_the_released_files_of_swin(trained, tmp_path):
    """timm reads these, and then computes what MMPretrain's does."""
    from timm.models.swin_transformer import checkpoint_filter_fn

    model, path = trained
    export_backbone(path, tmp_path / 'swin.pth', layout='swin')
    state = torch.load(tmp_path / 'swin.pth', weights_only=True)
    other = timm.create_model('swin_tiny_patch4_window7_224', depths=(2, 1, 1, 1), num_classes=0).eval()
    missing = other.load_state_dict(checkpoint_filter_fn(state, other), strict=False)
    assert [name for name in (*missing.missing_keys, *missing.unexpected_keys) if 'index' not in name] == []
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        (ours,) = model(images)
        theirs = other.forward_features(images).permute(0, 3, 1, 2)
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)


def test_video_swin_inflates_it(trained, tmp_path):
    model, path = trained
    export_backbone(path, tmp_path / 'swin.pth', layout='swin')
    from mmaction.models import SwinTransformer3D

    arch = dict(embed_dims=96, depths=[2, 1, 1, 1], num_heads=[3, 6, 12, 24])
    video = SwinTransformer3D(arch, pretrained=str(tmp_path / 'swin.pth'), pretrained2d=True, window_size=(8, 7, 7))
    video.init_weights()
    ours, theirs = model.state_dict(), video.state_dict()
    torch.testing.assert_close(theirs['patch_embed.proj.weight'].sum(2), ours['patch_embed.projection.weight'])
    torch.testing.assert_close(
        theirs['layers.2.blocks.0.mlp.fc1.weight'], ours['stages.2.blocks.0.ffn.layers.0.0.weight']
    )
    torch.testing.assert_close(theirs['norm3.weight'], ours['norm3.weight'])
    table = theirs['layers.1.blocks.0.attn.relative_position_bias_table']
    torch.testing.assert_close(table[:169], ours['stages.1.blocks.0.attn.w_msa.relative_position_bias_table'])


def test_mistakes(trained, tmp_path):
    _, path = trained
    with pytest.raises(UserError, match=r"Unknown layout 'mmdet'\."):
        export_backbone(path, tmp_path / 'a.pth', layout='mmdet')
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.zeros(1)}), tmp_path / 'resnet.pth')
    with pytest.raises(UserError, match=r'layout swin is of a SwinTransformer of MMPretrain.*--layout openmmlab'):
        export_backbone(tmp_path / 'resnet.pth', tmp_path / 'a.pth', layout='swin')
    torch.save(dict(state_dict={'head.weight': torch.zeros(1)}), tmp_path / 'head.pth')
    with pytest.raises(UserError, match='has no backbone: none of its 1 entries begins with backbone'):
        export_backbone(tmp_path / 'head.pth', tmp_path / 'a.pth')
    assert not (tmp_path / 'a.pth').exists()


def test_the_tool(trained, tmp_path, capsys):
    tool = str(ROOT.parent / 'tools/model_converters/export_backbone.py')
    words = [tool, str(trained[1]), str(tmp_path / 'a.pth'), '--layout', 'swin']
    with patch.object(sys, 'argv', words), pytest.raises(SystemExit) as stop:
        runpy.run_path(tool, run_name='__main__')
    assert stop.value.code in (0, None)
    assert 'from patch_embed.proj.weight to norm.bias' in capsys.readouterr().out
    assert (tmp_path / 'a.pth').is_file()
