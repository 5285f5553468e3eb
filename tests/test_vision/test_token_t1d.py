"""TokenT1D in a ViT against the authors' block loop with its ``control_point``, re-written here."""

import copy
import logging
import socket

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.optim import build_optim_wrapper
from mmengine.runner.checkpoint import load_state_dict
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT
from token_t1d_ranks import with_token_t1d, worker
from torch import nn

from textxfer_mm.errors import UserError
from textxfer_mm.models.backbones import CLIPBackbone
from textxfer_mm.vision import temporal

N, T = 2, 4
#: Quick GELU and LayerScale, which lie around the place of the second mixing.
LAYER_SCALE_VIT = dict(TINY_VIT, vision_cfg=dict(TINY_VIT['vision_cfg'], ls_init_value=0.5))
#: Blocks of open_clip's other class.
CUSTOM_BLOCK_VIT = dict(TINY_VIT, vision_cfg=dict(TINY_VIT['vision_cfg'], scale_attn=True))

vits = pytest.mark.parametrize(
    'arch', [TINY_VIT, LAYER_SCALE_VIT, CUSTOM_BLOCK_VIT], ids=['plain', 'layer-scale', 'custom-block']
)


def alive(backbone, seed=0):
    """Temporal weights that are neither identity nor shift."""
    torch.manual_seed(seed)
    for module in backbone.temporal.values():
        nn.init.normal_(module.weight)
        module.mixes_untrained = False
    return backbone


def naive_tower(backbone, video):
    """(N, 3, T, H, W) -> (N, T, D): the authors' loop, ``x = control_point(x)`` before attention and before the MLP."""
    tower, num_frames = backbone.visual, video.shape[2]
    frames = video.transpose(1, 2).flatten(0, 1)

    def control_point(x, module):
        conv = nn.Conv1d(x.shape[2], x.shape[2], 3, padding=1, bias=False, groups=x.shape[2])
        del conv.weight
        conv.weight = module.weight
        token = x[:, :1].reshape(-1, num_frames, x.shape[2]).transpose(1, 2)  # (N, C, T)
        token = conv(token).transpose(1, 2).reshape(-1, 1, x.shape[2])
        return torch.cat([token, x[:, 1:]], dim=1)

    def attention(x, attn):
        head_dim = x.shape[2] // attn.num_heads
        q, k, v = nn.functional.linear(x, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
        q, k, v = (t.unflatten(2, (attn.num_heads, head_dim)).transpose(1, 2) for t in (q, k, v))
        mixed = ((q @ k.transpose(2, 3)) / head_dim**0.5).softmax(-1) @ v
        return attn.out_proj(mixed.transpose(1, 2).flatten(2))

    x = tower.conv1(frames).flatten(2).transpose(1, 2)  # (N*T, L, C)
    x = torch.cat([tower.class_embedding.expand(len(x), 1, -1), x], dim=1) + tower.positional_embedding
    x = tower.ln_pre(x)
    for i, block in enumerate(tower.transformer.resblocks):
        module = dict(backbone.temporal.items()).get(f'block{i}')
        x = control_point(x, module) if module else x
        after = getattr(block, 'ln_attn', nn.Identity())
        x = x + block.ls_1(after(attention(block.ln_1(x), block.attn)))
        x = control_point(x, module) if module else x
        h = block.mlp.c_fc(block.ln_2.forward(x))  # past the hook
        x = x + block.ls_2(block.mlp.c_proj(h * torch.sigmoid(1.702 * h)))
    return (tower.ln_post(x[:, 0]) @ tower.proj).unflatten(0, (-1, num_frames))


@vits
@pytest.mark.parametrize('options', [dict(), dict(layers=[1])], ids=['all', 'one'])
@pytest.mark.parametrize('with_cp', [False, True], ids=['', 'checkpointed'])
def test_parity_with_the_authors_loop(arch, options, with_cp):
    torch.manual_seed(0)
    backbone = alive(with_token_t1d(arch, with_cp=with_cp, **options)).train()
    reference = alive(with_token_t1d(arch, **options))
    reference.load_state_dict(backbone.state_dict())
    video, weight = torch.randn(N, 3, T, 32, 32), torch.randn(N, T, 32)

    out = backbone(video)[..., 0, 0].transpose(1, 2)
    expected = naive_tower(reference, video)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)

    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    for name, parameter in reference.named_parameters():
        grad = backbone.get_parameter(name).grad
        torch.testing.assert_close(grad, parameter.grad, atol=2e-5, rtol=1e-4, msg=lambda m, n=name: f'{n}: {m}')
    assert all(module.weight.grad.abs().sum() > 0 for module in backbone.temporal.values())


@vits
@pytest.mark.parametrize('training', [False, True])
def test_identity_initialisation_changes_no_bit(arch, training):
    plain, mixed = CLIPBackbone(arch).train(training), with_token_t1d(arch, init='identity').train(training)
    mixed.load_state_dict(plain.state_dict(), strict=False)
    video = torch.randn(N, 3, T, 32, 32)
    assert torch.equal(mixed(video), plain(video))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(mixed(video), plain(video))


def test_frames_see_their_neighbours_in_their_own_video():
    torch.manual_seed(0)
    mixed = with_token_t1d(TINY_VIT).eval()
    video = torch.randn(N, 3, T, 32, 32)
    changed = video.clone()
    changed[1, :, 0] += 1  # another frame 0 of the second video
    touched = (mixed(video) != mixed(changed)).flatten(3).any(3).any(1)  # (N, T)
    assert not touched[0].any()
    assert touched[1].all()  # two blocks, two places each: four frames away


def test_the_input_of_a_block_is_left_alone():
    """A block computed again in checkpointing, or a hook that keeps features, finds what the block was given."""
    backbone = alive(with_token_t1d(TINY_VIT)).eval()
    kept = []
    blocks = backbone.visual.transformer.resblocks
    blocks[0].register_forward_hook(lambda block, args, out: kept.append((out, out.clone())))
    backbone(torch.randn(N, 3, T, 32, 32))
    assert torch.equal(*kept[0])


def test_checkpointing_repeats_each_forward_with_its_own_number_of_frames():
    plain, light = alive(with_token_t1d(TINY_VIT)), with_token_t1d(TINY_VIT, with_cp=True)
    light.load_state_dict(plain.state_dict())
    short, long = torch.randn(N, 3, 2, 32, 32), torch.randn(N, 3, 4, 32, 32)
    for backbone in (plain, light):
        backbone.train()
        (backbone(long).square().sum() + backbone(short).square().sum()).backward()  # two forwards, then one backward
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(light.get_parameter(name).grad, parameter.grad, atol=1e-4, rtol=1e-4, msg=name)


def test_bf16_agrees_with_fp32():
    backbone = with_token_t1d(TINY_VIT).eval()
    video = torch.randn(N, 3, T, 32, 32)
    expected = backbone(video)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = backbone(video).float()
    scale = expected.abs().max()
    torch.testing.assert_close(out / scale, expected / scale, atol=1e-2, rtol=0)
    assert backbone.bfloat16()(video.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize('with_cp', [False, True])
def test_names_of_the_tower_stay(with_cp):
    names = set(with_token_t1d(TINY_VIT, with_cp=with_cp).state_dict())
    assert {name for name in names if name.startswith('visual.')} == set(CLIPBackbone(TINY_VIT).state_dict())
    assert names - set(CLIPBackbone(TINY_VIT).state_dict()) == {'temporal.block0.weight', 'temporal.block1.weight'}


def test_copies_use_their_own_modules():
    backbone = with_token_t1d(TINY_VIT).eval()
    clone = copy.deepcopy(backbone)
    video = torch.randn(1, 3, T, 32, 32)
    before = backbone(video)
    assert torch.equal(clone(video), before)
    alive(clone)
    assert torch.equal(backbone(video), before)
    assert not torch.allclose(clone(video), before)


def test_frozen_stages_leave_temporal_modules_trainable():
    backbone = with_token_t1d(TINY_VIT, frozen_stages=2).train()
    backbone(torch.randn(N, 3, T, 32, 32)).square().sum().backward()
    assert all(module.weight.grad.abs().sum() > 0 for module in backbone.temporal.values())
    assert all(parameter.grad is None for parameter in backbone.visual.transformer.parameters())
    assert not any(parameter.requires_grad for parameter in with_token_t1d(TINY_VIT, frozen=True).parameters())


def test_they_learn_at_the_full_rate():
    from mmengine.config import Config
    from tiny_configs import ROOT

    cfg = Config.fromfile(ROOT / '_base_' / 'schedules' / 'text4vis_30e.py')
    model = nn.ModuleDict(dict(backbone=with_token_t1d(TINY_VIT)))
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rates = {id(parameter): group['lr'] for group in groups for parameter in group['params']}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (5e-5 if '.temporal.' in name else 5e-6), name


def test_two_processes_equal_one(tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    mp.spawn(worker, args=(port, tmp_path / 'two.pt'), nprocs=2)
    two = torch.load(tmp_path / 'two.pt', weights_only=True)
    backbone = with_token_t1d(TINY_VIT, with_cp=True, seed=0).train()
    videos = torch.randn(4, 3, T, 32, 32, generator=torch.Generator().manual_seed(1))
    backbone(videos).square().mean().backward()
    for name, parameter in backbone.named_parameters():
        scale = max(parameter.grad.abs().max().item(), 1.0)
        assert (two[name] - parameter.grad).abs().max().item() <= 1e-6 * scale, name


def test_checkpoints_with_other_temporal_modules_are_refused():
    state = with_token_t1d(TINY_VIT).state_dict()
    with pytest.raises(UserError, match=r'checkpoint has temporal modules block0, block1, .* with none'):
        CLIPBackbone(TINY_VIT).load_state_dict(state)
    with pytest.raises(UserError, match=r'checkpoint has temporal modules block0, block1, .* with block1;'):
        with_token_t1d(TINY_VIT, layers=[1]).load_state_dict(state)


def test_temporal_modules_that_no_checkpoint_has_are_named_in_testing(monkeypatch):
    lines = []
    monkeypatch.setattr(temporal, 'print_log', lambda line, logger, level: lines.append((level, line)))

    def said(backbone, *, training=False):
        lines.clear()
        backbone.train(training)
        backbone(torch.zeros(1, 3, T, 32, 32))
        return [line for level, line in lines if level == logging.WARNING]

    plain = CLIPBackbone(TINY_VIT).state_dict()

    def loaded(state, init='shift'):
        backbone = with_token_t1d(TINY_VIT, init=init)
        load_state_dict(backbone, state)
        return backbone

    (message,) = said(loaded(plain))
    assert "block0, block1 are as init='shift' made them" in message
    assert said(loaded(plain, init='identity')) == []
    assert said(loaded(with_token_t1d(TINY_VIT).state_dict())) == []
    assert said(loaded(plain), training=True) == []


@pytest.mark.parametrize(
    ('arch', 'cfg', 'message'),
    [
        (TINY_RESNET, dict(), r'TokenT1D needs a ViT of open_clip, .* is none; T1D is for convolutional towers'),
        (TINY_TIMM, dict(), r'TokenT1D needs a ViT of open_clip, .* is none; T1D is for convolutional towers'),
        (
            dict(embed_dim=32, vision_cfg=dict(timm_model_name='test_vit', timm_pool='', timm_proj='linear')),
            dict(),
            r'TokenT1D needs a ViT of open_clip, .* is none; timm towers have none here',
        ),
        (TINY_VIT, dict(layer=[0]), "temporal module 'TokenT1D' takes no argument 'layer'. Did you mean: layers"),
        (TINY_VIT, dict(layers=[2]), 'has layers 0 to 1, not 2'),
        (TINY_VIT, dict(layers=[-1]), 'has layers 0 to 1, not -1'),
        (TINY_VIT, dict(layers=[1, 1]), r'layers=\[1, 1\] names a layer twice'),
        (TINY_VIT, dict(layers=[]), r'TokenT1D: layers=\[\] inserts nothing'),
        (TINY_VIT, dict(layers=2), r'layers=2 is no list of whole numbers, such as \[0, 1\]'),
        (TINY_VIT, dict(init='zero'), "TokenT1D: unknown init='zero'"),
        (TINY_VIT, dict(type='TokenTD1'), "Unknown temporal module 'TokenTD1'. Did you mean: TokenT1D"),
        (TINY_VIT, dict(type='T1D'), r'T1D needs a convolutional tower .* is none\. A ViT takes TokenT1D\.$'),
    ],
)
def test_errors(arch, cfg, message):
    with pytest.raises(UserError, match=message):
        CLIPBackbone(arch, temporal=dict(dict(type='TokenT1D'), **cfg))


def test_frames_without_videos_are_refused():
    with pytest.raises(UserError, match=r'takes videos \(N, 3, T, H, W\).*Recognizer3D'):
        with_token_t1d(TINY_VIT)(torch.zeros(4, 3, 32, 32))
