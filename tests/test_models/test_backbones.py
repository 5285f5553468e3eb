import copy
import logging
import os
import pickle
from functools import partial

import open_clip
import pytest
import torch
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import weights_to_cpu
from safetensors.torch import save_file
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from textxfer_mm.errors import UserError
from textxfer_mm.models.backbones import CLIPBackbone
from textxfer_mm.registry import MODELS

TOWERS = {'vit': TINY_VIT, 'resnet': TINY_RESNET, 'timm': TINY_TIMM}
#: A timm tower of patch tokens.
TINY_TIMM_VIT = dict(
    embed_dim=32, vision_cfg=dict(timm_model_name='test_vit', timm_pool='', timm_proj='linear', image_size=160)
)
N, T, D = 2, 3, 32

towers = pytest.mark.parametrize('arch', TOWERS.values(), ids=TOWERS)
conv_towers = pytest.mark.parametrize('arch', [TINY_RESNET, TINY_TIMM], ids=['resnet', 'timm'])


def clip_model(arch, seed=0):
    """A whole CLIP model of open_clip, with running statistics and weights unlike the initial ones."""
    torch.manual_seed(seed)
    config = copy.deepcopy(arch)
    custom = 'timm_model_name' in config['vision_cfg']
    model = (open_clip.model.CustomTextCLIP if custom else open_clip.CLIP)(**config)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)  # some start at zero
    return model.eval()


def save_clip(arch, path, seed=0):
    model = clip_model(arch, seed)
    torch.save(model.state_dict(), path)
    return model


@pytest.fixture
def backbone_of(tmp_path):
    """Backbone and CLIP model with the same weights."""

    def make(arch, **kwargs):
        model = save_clip(arch, tmp_path / 'clip.pt')
        backbone = CLIPBackbone(arch, str(tmp_path / 'clip.pt'), **kwargs)
        backbone.init_weights()
        return backbone, model

    return make


# ---------------------------------------------------------------------------------------------------------- forward


@towers
def test_parity_with_open_clip(arch, backbone_of):
    backbone, model = backbone_of(arch)
    backbone.eval()
    video = torch.randn(N, 3, T, 32, 32)
    out = backbone(video)
    assert out.shape == (N, D, T, 1, 1)
    for t in range(T):  # a loop over frames through open_clip's own interface
        expected = model.encode_image(video[:, :, t])
        torch.testing.assert_close(out[:, :, t, 0, 0], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(backbone(video[:, :, t])[..., 0, 0], expected, atol=1e-5, rtol=1e-5)


@towers
def test_gradients_agree_with_open_clip(arch, backbone_of):
    backbone, model = backbone_of(arch)
    backbone.eval()  # per-frame loops and batches agree only with fixed statistics
    video, weight = torch.randn(N, 3, T, 32, 32), torch.randn(N, D, T)
    (backbone(video)[..., 0, 0] * weight).sum().backward()
    sum((model.encode_image(video[:, :, t]) * weight[:, :, t]).sum() for t in range(T)).backward()
    for name, parameter in model.visual.named_parameters():
        if name.endswith('k_proj.bias'):
            continue  # a softmax does not feel it: its gradient is rounding
        scale = parameter.grad.abs().max()
        grad = backbone.visual.get_parameter(name).grad
        torch.testing.assert_close(grad / scale, parameter.grad / scale, atol=1e-4, rtol=0, msg=name)


@towers
def test_bf16_agrees_with_fp32(arch, backbone_of):
    backbone, _ = backbone_of(arch)
    backbone.eval()
    video = torch.randn(N, 3, T, 32, 32)
    with torch.no_grad():
        expected = nn.functional.normalize(backbone(video).flatten(1), dim=1)
        with torch.autocast('cpu', torch.bfloat16):
            out = nn.functional.normalize(backbone(video).float().flatten(1), dim=1)
    torch.testing.assert_close(out, expected, atol=1e-2, rtol=0)


@towers
def test_protocol_of_a_backbone(arch):
    backbone = MODELS.build(dict(type='CLIPBackbone', arch=arch))
    assert backbone.embed_dims == backbone.out_channels == D
    assert {name.split('.')[0] for name in backbone.state_dict()} == {'visual'}
    out = backbone(torch.randn(N, 3, 32, 32))
    assert out.shape == (N, D, 1, 1)
    clone = copy.deepcopy(backbone).eval()
    torch.testing.assert_close(clone(torch.ones(1, 3, 32, 32)), backbone.eval()(torch.ones(1, 3, 32, 32)))


def test_only_the_vision_tower_is_built():
    backbone = CLIPBackbone(dict(embed_dim=TINY_VIT['embed_dim'], vision_cfg=TINY_VIT['vision_cfg']))
    assert not any(isinstance(module, nn.Embedding) for module in backbone.modules())
    assert sum(1 for _ in backbone.children()) == 2


def test_towers_that_return_tokens_too_give_pooled_features():
    arch = {**TINY_VIT, 'vision_cfg': {**TINY_VIT['vision_cfg'], 'output_tokens': True}}
    backbone, plain = CLIPBackbone(arch), CLIPBackbone(TINY_VIT)
    plain.load_state_dict(backbone.state_dict())
    frames = torch.randn(N, 3, 32, 32)
    torch.testing.assert_close(backbone(frames), plain(frames))


# ---------------------------------------------------------------------------------------------------------- weights


def torchscript(state, path):
    """As OpenAI's archives: fp16, with the meta entries as buffers beside the weights."""

    class Holder(nn.Module):
        def forward(self, x):
            return x

    root = Holder()
    for name, value in state.items():
        *parents, leaf = name.split('.')
        module = root
        for parent in parents:
            if not hasattr(module, parent):
                module.add_module(parent, Holder())
            module = getattr(module, parent)
        module.register_buffer(leaf, value.half() if value.is_floating_point() else value)
    for name in ('input_resolution', 'context_length', 'vocab_size'):
        root.register_buffer(name, torch.tensor(32))
    torch.jit.script(root).save(str(path))


FORMATS = {
    'torchscript': torchscript,
    'plain': torch.save,
    'half': lambda state, path: torch.save({k: v.half() for k, v in state.items()}, path),
    'nested': lambda state, path: torch.save(
        {'epoch': 1, 'state_dict': {f'module.{k}': v for k, v in state.items()}}, path
    ),
    'safetensors': lambda state, path: save_file({k: v.contiguous() for k, v in state.items()}, path),
    'half safetensors': lambda state, path: save_file({k: v.half().contiguous() for k, v in state.items()}, path),
}


@pytest.mark.parametrize('write', FORMATS.values(), ids=FORMATS)
def test_every_file_format(write, tmp_path):
    model = clip_model(TINY_VIT)
    write(model.state_dict(), str(tmp_path / 'weights'))
    backbone = CLIPBackbone(TINY_VIT, tmp_path / 'weights')
    frames = torch.randn(N, 3, 32, 32)
    torch.testing.assert_close(backbone(frames)[..., 0, 0], model.encode_image(frames), atol=2e-2, rtol=2e-2)
    assert all(parameter.dtype == torch.float32 for parameter in backbone.parameters())


def test_nothing_is_read_before_it_is_needed(tmp_path):
    backbone = CLIPBackbone(TINY_VIT, tmp_path / 'absent.pt')
    with pytest.raises(UserError, match=r'absent.pt is not a file'):
        backbone(torch.randn(1, 3, 32, 32))
    with pytest.raises(UserError, match=r'absent.pt is not a file'):
        backbone.init_weights()


@towers
def test_checkpoints_are_self_contained(arch, backbone_of, tmp_path):
    trained, _ = backbone_of(arch)
    state = {f'backbone.{name}': value for name, value in trained.state_dict().items()}
    recognizer = nn.Module()
    recognizer.backbone = CLIPBackbone(arch, tmp_path / 'absent.pt')
    recognizer.load_state_dict(state)
    frames = torch.randn(N, 3, 32, 32)
    torch.testing.assert_close(recognizer.backbone.eval()(frames), trained.eval()(frames))


def test_checkpoint_of_another_arch_is_an_error():
    wide = {**TINY_VIT, 'vision_cfg': {**TINY_VIT['vision_cfg'], 'width': 96, 'head_width': 32}}
    with pytest.raises(UserError, match=r'of the checkpoint do not fit .*class_embedding is \(96,\), not \(64,\)'):
        CLIPBackbone(TINY_VIT).load_state_dict(CLIPBackbone(wide).state_dict())
    with pytest.raises(UserError, match=r'of the checkpoint do not fit .*is missing'):
        CLIPBackbone(TINY_VIT).load_state_dict(CLIPBackbone(TINY_RESNET).state_dict())


def test_mmengine_does_not_half_load_another_arch(tmp_path):
    torch.save({'state_dict': CLIPBackbone(TINY_RESNET).state_dict()}, tmp_path / 'epoch_1.pth')
    with pytest.raises(UserError, match='do not fit'):
        load_checkpoint(CLIPBackbone(TINY_VIT), str(tmp_path / 'epoch_1.pth'), map_location='cpu')


def test_checkpoint_without_this_backbone_leaves_it_to_be_fetched(tmp_path):
    model = save_clip(TINY_VIT, tmp_path / 'clip.pt')
    recognizer = nn.Module()
    recognizer.backbone = CLIPBackbone(TINY_VIT, tmp_path / 'clip.pt')
    recognizer.load_state_dict({'cls_head.weight': torch.ones(1)}, strict=False)
    frames = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(recognizer.backbone(frames)[..., 0, 0], model.encode_image(frames), atol=1e-5, rtol=1e-5)


def test_weights_of_another_arch_are_an_error(tmp_path):
    save_clip(TINY_RESNET, tmp_path / 'clip.pt')
    with pytest.raises(UserError, match=r'clip.pt do not fit the architecture custom-.*is missing'):
        CLIPBackbone(TINY_VIT, tmp_path / 'clip.pt').init_weights()


def test_weights_without_vision_tower_are_an_error(tmp_path):
    torch.save({'conv.weight': torch.ones(1)}, tmp_path / 'other.pt')
    with pytest.raises(UserError, match='no CLIP vision tower'):
        CLIPBackbone(TINY_VIT, tmp_path / 'other.pt').init_weights()


def test_hostile_pickles_are_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / 'pwned'),))

    (tmp_path / 'hostile.pt').write_bytes(pickle.dumps({'visual.proj': Hostile()}))
    with pytest.raises(UserError, match='refused'):
        CLIPBackbone(TINY_VIT, tmp_path / 'hostile.pt').init_weights()
    assert not (tmp_path / 'pwned').exists()


def test_quick_gelu_mismatch_is_told(tmp_path, caplog):
    without = {**TINY_VIT, 'quick_gelu': False}
    torchscript(clip_model(TINY_VIT).state_dict(), tmp_path / 'openai.pt')  # OpenAI's files were trained with it
    with caplog.at_level(logging.WARNING):
        CLIPBackbone(without, tmp_path / 'openai.pt').init_weights()
    assert 'quick GELU' in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        CLIPBackbone(TINY_VIT, tmp_path / 'openai.pt').init_weights()
    assert 'quick GELU' not in caplog.text


# ------------------------------------------------------------------------------------------------------- input size


@pytest.mark.parametrize(
    ('arch', 'size'),
    [
        (TINY_VIT, 64),
        (TINY_VIT, (32, 64)),
        (TINY_RESNET, 64),
        (TINY_TIMM_VIT, 96),
        (TINY_TIMM_VIT, (96, 160)),
    ],
    ids=['vit', 'vit-wide', 'resnet', 'timm', 'timm-wide'],
)
@pytest.mark.parametrize('half', [False, True], ids=['fp32', 'fp16'])
def test_positions_are_resized(arch, size, half, tmp_path):
    small = CLIPBackbone(arch)
    names = [
        name for name, _ in small.visual.named_parameters() if name.endswith(('positional_embedding', 'pos_embed'))
    ]
    with torch.no_grad():
        small.visual.get_parameter(names[0]).fill_(0.25)  # a constant grid must stay constant
    state = {f'visual.{name}': value for name, value in small.visual.state_dict().items()}
    torch.save({k: v.half() if half else v for k, v in state.items()}, tmp_path / 'clip.pt')

    backbone = CLIPBackbone(arch, tmp_path / 'clip.pt', image_size=size)
    height, width = (size, size) if isinstance(size, int) else size
    assert backbone(torch.randn(1, 3, 2, height, width)).shape == (1, D, 2, 1, 1)
    positions = backbone.visual.get_parameter(names[0])
    assert positions.numel() != small.visual.get_parameter(names[0]).numel()
    torch.testing.assert_close(positions, torch.full_like(positions, 0.25))


def test_resized_positions_are_open_clips(tmp_path):
    """Parity with open_clip's own resizing through ``force_image_size``."""
    state = {f'visual.{name}': value for name, value in CLIPBackbone(TINY_VIT).visual.state_dict().items()}
    torch.save(state, tmp_path / 'clip.pt')
    backbone = CLIPBackbone(TINY_VIT, tmp_path / 'clip.pt', image_size=80)
    backbone.init_weights()
    reference = nn.Module()
    reference.visual = CLIPBackbone(TINY_VIT, image_size=80).visual
    open_clip.model.resize_pos_embed(state, reference)
    torch.testing.assert_close(backbone.visual.positional_embedding, state['visual.positional_embedding'])


def test_checkpoints_of_another_input_size_load():
    backbone = CLIPBackbone(TINY_VIT, image_size=64)
    state = CLIPBackbone(TINY_VIT).state_dict()
    backbone.load_state_dict(copy.deepcopy(state))
    assert backbone(torch.randn(1, 3, 64, 64)).shape == (1, D, 1, 1)
    for name, weight in backbone.state_dict().items():
        if name != 'visual.positional_embedding':
            torch.testing.assert_close(weight, state[name], atol=0, rtol=0)


def on_grid(size, prefix=1):
    """A ViT whose positions are random, and those as a map (1, D, rows, columns)."""
    backbone = CLIPBackbone(TINY_VIT, image_size=size)
    with torch.no_grad():
        nn.init.normal_(backbone.visual.positional_embedding)
    grid = backbone.visual.grid_size
    return backbone, backbone.visual.positional_embedding[prefix:].detach().unflatten(0, grid).permute(2, 0, 1)[None]


WIDE, TALL, SQUARE = (32, 128), (128, 32), (64, 64)  # 16 positions each


@pytest.mark.parametrize(('source', 'target'), [(WIDE, TALL), (WIDE, SQUARE), (SQUARE, WIDE), (WIDE, WIDE), (WIDE, 80)])
def test_positions_keep_their_places_on_grids_that_are_no_square(source, target, tmp_path):
    trained, places = on_grid(source)
    state = weights_to_cpu(trained.state_dict())
    torch.save({'state_dict': state}, tmp_path / 'epoch_1.pth')
    torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    (start, _), (loaded, _), (again, _) = (on_grid(target) for _ in range(3))
    start.pretrained = tmp_path / 'epoch_1.pth'
    start.init_weights()
    load_checkpoint(loaded, str(tmp_path / 'epoch_1.pth'), map_location='cpu', strict=True)
    again.load_state_dict(state)
    size = loaded.visual.grid_size
    expected = (
        nn.functional.interpolate(places, size=size, mode='bicubic', antialias=True) if target != source else places
    )
    for backbone in (start, loaded, again):
        positions = backbone.visual.positional_embedding[1:].unflatten(0, size).permute(2, 0, 1)[None]
        torch.testing.assert_close(positions, expected)
        assert torch.equal(
            copy.deepcopy(backbone).state_dict()['visual.class_embedding'], state['visual.class_embedding']
        )


def test_positions_that_say_nothing_of_their_grid():
    def foreign(size):
        return {k: v for k, v in on_grid(size)[0].state_dict().items() if k != 'visual.position_grid'}

    state = foreign((32, 48))
    backbone = CLIPBackbone(TINY_VIT, image_size=(32, 48))
    backbone.load_state_dict(state)  # 6 positions for 6 places
    assert torch.equal(backbone.visual.positional_embedding, state['visual.positional_embedding'])
    with pytest.raises(UserError, match=r'The 6 position embeddings .* form no square.* resized to 4 x 4'):
        CLIPBackbone(TINY_VIT, image_size=64).load_state_dict(state)
    assert set(foreign(WIDE)) == set(on_grid(SQUARE)[0].state_dict())  # squares keep the names of open_clip


# --------------------------------------------------------------------------------------------------------- freezing


def train_step(backbone):
    backbone.train()
    out = backbone(torch.randn(N, 3, T, 32, 32))
    if out.requires_grad:
        out.square().sum().backward()
    return out


def statistics(backbone):
    return {name: value.clone() for name, value in backbone.named_buffers() if 'running' in name}


@towers
def test_frozen(arch):
    backbone = CLIPBackbone(arch, frozen=True)
    before = statistics(backbone)
    out = train_step(backbone)
    assert out.grad_fn is None
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.visual.modules())
    assert all(torch.equal(before[name], value) for name, value in statistics(backbone).items())


FIRST_FROZEN = {
    'vit': ['conv1', 'class_embedding', 'positional_embedding', 'ln_pre', 'transformer.resblocks.0'],
    'resnet': ['conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3', 'layer1'],
    'timm': ['trunk.conv_stem', 'trunk.bn1', 'trunk.blocks.0'],
    'timm-vit': ['trunk.cls_token', 'trunk.pos_embed', 'trunk.patch_embed', 'trunk.blocks.0'],
}


@pytest.mark.parametrize('stages', [0, 1])
@pytest.mark.parametrize('kind', [*TOWERS])
def test_frozen_stages(kind, stages):
    backbone = CLIPBackbone(TOWERS[kind], frozen_stages=stages)
    before = statistics(backbone)
    train_step(backbone)
    prefixes = tuple(f'{prefix}.' for prefix in (FIRST_FROZEN[kind] if stages else FIRST_FROZEN[kind][:-1]))
    for name, parameter in backbone.visual.named_parameters():
        assert (parameter.grad is None) == f'{name}.'.startswith(prefixes), name
    for name, value in statistics(backbone).items():
        assert torch.equal(before[name], value) == name.removeprefix('visual.').startswith(prefixes), name
    assert backbone.eval().training is False


def test_frozen_stages_of_other_timm_towers():
    backbone = CLIPBackbone(TINY_TIMM_VIT, frozen_stages=1)
    prefixes = tuple(f'{prefix}.' for prefix in FIRST_FROZEN['timm-vit'])
    for name, parameter in backbone.visual.named_parameters():
        assert (not parameter.requires_grad) == f'{name}.'.startswith(prefixes), name


@conv_towers
@pytest.mark.parametrize('options', [dict(frozen_stages=1), dict(frozen=True)], ids=['stages', 'all'])
def test_frozen_norms_stay_frozen_as_synchronised_ones(arch, options):
    backbone = nn.SyncBatchNorm.convert_sync_batchnorm(CLIPBackbone(arch, **options)).train()
    norms = {n: m for n, m in backbone.visual.named_modules() if isinstance(m, nn.SyncBatchNorm)}
    assert len(norms) > 4
    first = tuple(FIRST_FROZEN['resnet' if arch is TINY_RESNET else 'timm'])
    for name, norm in norms.items():
        assert norm.training != (options.get('frozen', False) or name.startswith(first)), name


@conv_towers
def test_norm_eval(arch):
    backbone = CLIPBackbone(arch, norm_eval=True)
    before = statistics(backbone)
    train_step(backbone)
    assert all(torch.equal(before[name], value) for name, value in statistics(backbone).items())
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    moving = CLIPBackbone(arch)
    before = statistics(moving)
    train_step(moving)
    assert not any(torch.equal(before[name], value) for name, value in statistics(moving).items())


@pytest.mark.parametrize('arch', [*TOWERS.values(), TINY_TIMM_VIT], ids=[*TOWERS, 'timm-vit'])
def test_checkpointing_changes_nothing(arch):
    torch.manual_seed(0)
    plain, light = CLIPBackbone(arch), CLIPBackbone(arch, with_cp=True)
    for module in plain.modules():
        if isinstance(module, _BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)  # some start at zero
    assert list(plain.state_dict()) == list(light.state_dict())
    light.load_state_dict(plain.state_dict())
    size = 160 if arch is TINY_TIMM_VIT else 32
    video = torch.randn(N, 3, T, size, size)
    calls = 0

    def count(module, inputs):
        nonlocal calls
        calls += 1

    linear_or_conv = [m for m in light.visual.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    linear_or_conv[len(linear_or_conv) // 2].register_forward_pre_hook(count)
    for backbone in (plain, light):
        backbone.train()(video).square().sum().backward()
    assert calls == 2  # it was computed again
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(light.get_parameter(name).grad, parameter.grad, atol=1e-5, rtol=1e-4, msg=name)
    for name, value in plain.named_buffers():  # running statistics move once a step
        torch.testing.assert_close(light.get_buffer(name), value, msg=name)


# ----------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (partial(CLIPBackbone, 'ViT-B-17'), r"Unknown CLIP architecture 'ViT-B-17'. Did you mean: .*ViT-B-16"),
        (partial(CLIPBackbone, dict(embed_dim=8)), 'lacks vision_cfg'),
        (
            partial(CLIPBackbone, dict(embed_dim=8, vision_cfg=dict(widht=8))),
            "option 'widht' in vision_cfg.*Did you mean: width",
        ),
        (
            partial(CLIPBackbone, dict(embed_dim=8, vision_cfg=dict(timm_model_name='efficientnet_lit0'))),
            'timm has no model',
        ),
        (
            partial(CLIPBackbone, {**TINY_TIMM, 'vision_cfg': {**TINY_TIMM['vision_cfg'], 'timm_proj': 'none'}}),
            r"timm_proj='none'\) gives features of width 256, but the model config says embed_dim=32",
        ),
        (partial(CLIPBackbone, TINY_VIT, image_size=50), 'must be a multiple of 16 x 16 pixels'),
        (partial(CLIPBackbone, TINY_RESNET, image_size=(32, 64)), 'square frames only'),
        (partial(CLIPBackbone, TINY_VIT, frozen_stages=3), 'frozen_stages=3: .* has 2 blocks or stages'),
        (partial(CLIPBackbone, TINY_TIMM, frozen_stages=6), 'frozen_stages=6: .* has 5 blocks or stages'),
    ],
)
def test_construction_errors(build, message):
    with pytest.raises(UserError, match=message):
        build()


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((2, 3, 32), r'takes videos \(N, 3, T, H, W\) or frames'),
        ((2, 8, 3, 32, 32), r'not a tensor of shape \(2, 8, 3, 32, 32\)'),
        ((2, 3, 48, 48), r'frames of 32 x 32 pixels but got 48 x 48; .*image_size=\(48, 48\)'),
    ],
)
def test_input_errors(shape, message):
    with pytest.raises(UserError, match=message):
        CLIPBackbone(TINY_VIT)(torch.zeros(shape))


def test_unknown_tags_list_the_nearest():
    with pytest.raises(UserError, match=r"'opanai' for ViT-B-32: .*openai"):
        CLIPBackbone('ViT-B-32', 'opanai').init_weights()
