import copy
import logging

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT
from torch import nn

from textxfer_mm.errors import UserError
from textxfer_mm.models.backbones import CLIPBackbone
from textxfer_mm.vision import temporal

N, T = 2, 4

conv_towers = pytest.mark.parametrize('arch', [TINY_RESNET, TINY_TIMM], ids=['resnet', 'timm'])


def alive(backbone):
    """Residual branches count from the start: open_clip zeroes the last BatchNorm of each block of a ResNet."""
    for name, parameter in backbone.named_parameters():
        if name.endswith('bn3.weight'):
            nn.init.constant_(parameter, 0.7)
    return backbone


def with_t1d(arch, **kwargs):
    return alive(CLIPBackbone(arch, temporal=dict(type='T1D', **kwargs.pop('t1d', {})), **kwargs))


@conv_towers
def test_identity_initialisation_changes_no_output(arch):
    plain, mixed = alive(CLIPBackbone(arch)).eval(), with_t1d(arch).eval()
    mixed.load_state_dict(plain.state_dict(), strict=False)
    video = torch.randn(N, 3, T, 32, 32)
    torch.testing.assert_close(mixed(video), plain(video), atol=1e-6, rtol=1e-5)


@conv_towers
def test_frames_see_their_neighbours(arch):
    torch.manual_seed(0)
    plain, mixed = alive(CLIPBackbone(arch)).eval(), with_t1d(arch, t1d=dict(init='shift')).eval()
    mixed.load_state_dict(plain.state_dict(), strict=False)
    video = torch.randn(N, 3, T, 32, 32)
    changed = video.clone()
    changed[1, :, 2] += 1  # another frame 2 of the second video
    touched = (mixed(video) != mixed(changed)).flatten(3).any(3).any(1)  # (N, T)
    assert not touched[0].any()
    assert touched[1, 1:4].all()
    touched = (plain(video) != plain(changed)).flatten(3).any(3).any(1)
    assert touched.tolist() == [[False] * 4, [False, False, True, False]]


def test_parity_with_convolutions_written_into_the_blocks():
    """The last block of a ResNet, run by hand with nn.Conv1d before its first convolution."""
    torch.manual_seed(0)
    backbone = with_t1d(TINY_RESNET, t1d=dict(stages=[4])).eval()
    nn.init.normal_(backbone.temporal['stage4_block0'].weight)
    tower = backbone.visual
    video = torch.randn(N, 3, T, 32, 32)

    x = video.transpose(1, 2).flatten(0, 1)
    x = tower.layer3(tower.layer2(tower.layer1(tower.stem(x))))
    block = tower.layer4[0]
    identity = block.downsample(x)
    conv = nn.Conv1d(x.shape[1], x.shape[1], 3, padding=1, bias=False, groups=x.shape[1])
    conv.weight = backbone.temporal['stage4_block0'].weight
    mixed = x.unflatten(0, (N, T)).permute(0, 3, 4, 2, 1)  # (N, H, W, C, T)
    mixed = conv(mixed.flatten(0, 2)).view(mixed.shape).permute(0, 4, 3, 1, 2).flatten(0, 1)  # (N*T, C, H, W)
    out = nn.functional.conv2d(mixed, block.conv1.weight)
    out = block.act2(block.bn2(block.conv2(block.act1(block.bn1(out)))))
    out = block.act3(block.bn3(block.conv3(block.avgpool(out))) + identity)
    expected = tower.attnpool(out).unflatten(0, (N, T)).transpose(1, 2)
    torch.testing.assert_close(backbone(video)[..., 0, 0], expected, atol=1e-5, rtol=1e-5)


@conv_towers
@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_reach_the_temporal_modules(arch, with_cp):
    backbone = with_t1d(arch, with_cp=with_cp).train()
    backbone(torch.randn(N, 3, T, 32, 32)).square().sum().backward()
    assert len(backbone.temporal) == (2 if arch is TINY_RESNET else 3)
    assert all(module.weight.grad.abs().sum() > 0 for module in backbone.temporal.values())


def test_checkpointing_repeats_each_forward_with_its_own_number_of_frames():
    torch.manual_seed(0)
    plain, light = with_t1d(TINY_RESNET, t1d=dict(init='shift')), with_t1d(TINY_RESNET, with_cp=True)
    light.load_state_dict(plain.state_dict())
    short, long = torch.randn(N, 3, 2, 32, 32), torch.randn(N, 3, 4, 32, 32)
    for backbone in (plain, light):
        backbone.train()
        (backbone(long).square().sum() + backbone(short).square().sum()).backward()  # two forwards, then one backward
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(light.get_parameter(name).grad, parameter.grad, atol=1e-5, rtol=1e-4, msg=name)


@conv_towers
def test_names_of_the_tower_stay(arch):
    names = set(with_t1d(arch).state_dict())
    assert {name for name in names if name.startswith('visual.')} == set(CLIPBackbone(arch).state_dict())
    assert all(name.startswith(('visual.', 'temporal.stage')) for name in names)


def test_stages():
    backbone = with_t1d(TINY_RESNET, t1d=dict(stages=[1, 4]))
    assert list(backbone.temporal) == ['stage1_block0', 'stage4_block0']
    assert list(with_t1d(TINY_RESNET).temporal) == ['stage3_block0', 'stage4_block0']
    lite0 = dict(
        embed_dim=1280, vision_cfg=dict(timm_model_name='efficientnet_lite0', timm_pool='avg', timm_proj='none')
    )
    assert {name.split('_')[0] for name in with_t1d(lite0).temporal} == {'stage4', 'stage5', 'stage6', 'stage7'}


def test_copies_use_their_own_modules():
    backbone = with_t1d(TINY_RESNET).eval()
    clone = copy.deepcopy(backbone)
    video = torch.randn(1, 3, T, 32, 32)
    before = backbone(video)
    for module in clone.temporal.values():
        nn.init.normal_(module.weight)
    torch.testing.assert_close(backbone(video), before, atol=0, rtol=0)
    assert not torch.allclose(clone(video), before)


def test_frozen_stages_leave_temporal_modules_trainable():
    backbone = with_t1d(TINY_RESNET, frozen_stages=4)
    assert all(parameter.requires_grad for parameter in backbone.temporal.parameters())
    assert not any(parameter.requires_grad for parameter in backbone.visual.layer4.parameters())
    frozen = with_t1d(TINY_RESNET, frozen=True)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_checkpoints_with_other_temporal_modules_are_refused():
    state = with_t1d(TINY_RESNET).state_dict()
    with pytest.raises(UserError, match=r'checkpoint has temporal modules stage3_block0, stage4_block0, .* with none'):
        CLIPBackbone(TINY_RESNET).load_state_dict(state)
    with_t1d(TINY_RESNET, t1d=dict(init='shift')).load_state_dict(state)


def test_temporal_modules_that_no_checkpoint_has_are_named_in_testing(monkeypatch):
    lines = []
    monkeypatch.setattr(temporal, 'print_log', lambda line, logger, level: lines.append((level, line)))

    def said(backbone, *, training=False):
        lines.clear()
        backbone.train(training)
        for _ in range(2):
            backbone(torch.zeros(1, 3, T, 32, 32))
        return [line for level, line in lines if level == logging.WARNING]

    plain = CLIPBackbone(TINY_RESNET).state_dict()

    def loaded(state, init='shift'):
        backbone = with_t1d(TINY_RESNET, t1d=dict(init=init))
        load_state_dict(backbone, state)
        return backbone

    (message,) = said(loaded(plain))
    assert "stage3_block0, stage4_block0 are as init='shift' made them" in message
    assert said(loaded(plain, init='identity')) == []  # the network is the plain one
    assert said(loaded(with_t1d(TINY_RESNET).state_dict())) == []
    trained = loaded(plain)
    assert said(trained, training=True) == []  # training starts from plain weights
    assert said(trained) == []
    assert len(said(copy.deepcopy(loaded(plain)))) == 1


@pytest.mark.parametrize(
    ('arch', 'cfg', 'message'),
    [
        (TINY_VIT, dict(type='T1D'), r'T1D needs a convolutional tower .* is none\. A ViT takes TokenT1D'),
        (TINY_RESNET, dict(type='T2D'), "Unknown temporal module 'T2D'. Did you mean: T1D"),
        (TINY_RESNET, dict(type='T1D', stage=[3]), "takes no argument 'stage'. Did you mean: stages"),
        (TINY_RESNET, dict(type='T1D', stages=[5]), 'has stages 1 to 4, not 5'),
        (TINY_RESNET, dict(type='T1D', stages=[4, 4]), r'stages=\[4, 4\] names a stage twice'),
        (TINY_RESNET, dict(type='T1D', stages=[]), r'stages=\[\] inserts nothing'),
        (TINY_RESNET, dict(type='T1D', stages=4), r'stages=4 is no list of whole numbers, such as \[3, 4\]'),
        (TINY_RESNET, dict(type='T1D', stages='34'), "stages='34' is no list of whole numbers"),
        (TINY_RESNET, dict(type='T1D', stages=[3.0]), r'stages=\[3.0\] is no list of whole numbers'),
        (TINY_RESNET, dict(type='T1D', init='zero'), "unknown init='zero'"),
    ],
)
def test_errors(arch, cfg, message):
    with pytest.raises(UserError, match=message):
        CLIPBackbone(arch, temporal=cfg)


def test_frames_without_videos_are_refused():
    with pytest.raises(UserError, match=r'takes videos \(N, 3, T, H, W\).*Recognizer3D'):
        with_t1d(TINY_RESNET)(torch.zeros(4, 3, 32, 32))
