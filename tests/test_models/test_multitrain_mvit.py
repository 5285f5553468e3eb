"""The backbone of MultiTrain against the authors' model written with plain operations, and what is asked around it."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from authors_multitrain import DEPTH, FRAMES, GRID, SIZE, WIDER, WIDTH, clips, features, random_weights, shapes
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from textxfer_mm.errors import UserError
from textxfer_mm.models import MultiTrainMViT
from textxfer_mm.registry import MODELS

ARCH = dict(embed_dims=WIDTH, num_layers=DEPTH, num_heads=1, downscale_indices=list(WIDER))
RENAMED = {
    'proj_max_pool': 'proj',
    'patch_embed.proj.': 'patch_embed.projection.',
    'pos_embed_spatial': 'pos_s',
    'pos_embed_temporal': 'pos_t',
}


def ours(name):
    """Our name of an entry of the authors' state."""
    for theirs, new in RENAMED.items():
        name = name.replace(theirs, new)
    return name.replace('norm.', f'norm{len(WIDER)}.') if name.startswith('norm.') else name


def build(**options):
    """A tiny backbone; nothing of it is initialised."""
    init_default_scope('mmaction')
    options = dict(arch=ARCH, spatial_size=SIZE, temporal_size=FRAMES, drop_path_rate=0.0) | options
    return MODELS.build(dict(type='MultiTrainMViT', **options))


@pytest.fixture
def weights():
    return random_weights(heads=False)


@pytest.fixture
def model(weights):
    model = build()
    model.load_state_dict({ours(name): value for name, value in weights.items()}, strict=True)
    return model.eval()


def test_features_and_gradients_are_those_of_the_authors_model(model, weights):
    x, ours_x = (clips().requires_grad_() for _ in range(2))
    for value in weights.values():
        value.requires_grad_()
    want = features(weights, x)
    maps = model(ours_x)
    assert maps.shape == (2, WIDTH * 8, GRID[0], 1, 1)
    torch.testing.assert_close(maps.mean((2, 3, 4)), want, atol=1e-5, rtol=0)
    for out in (want, maps.mean((2, 3, 4))):
        (out * torch.arange(out.numel()).view_as(out).cos()).sum().backward()
    torch.testing.assert_close(ours_x.grad, x.grad, atol=1e-5, rtol=1e-4)
    for name, parameter in model.named_parameters():
        theirs = next(value for key, value in weights.items() if ours(key) == name)
        scale = max(1.0, theirs.grad.abs().max().item())
        torch.testing.assert_close(parameter.grad / scale, theirs.grad / scale, atol=1e-5, rtol=0, msg=name)


def test_all_blocks_of_the_papers_depth_agree():
    """24 blocks, wider where those of 'base' are, on a clip of two frames of 32 pixels; a quarter as wide."""
    torch.manual_seed(0)
    model = build(arch=dict(MultiTrainMViT.arch_zoo['base'], embed_dims=24), spatial_size=32, temporal_size=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3 if parameter.ndim == 1 else parameter[0].numel() ** -0.5)
    theirs = {}
    for name, value in model.state_dict().items():
        name = name.replace('patch_embed.projection.', 'patch_embed.proj.').replace('norm3.', 'norm.')
        name = name.replace('pos_s', 'pos_embed_spatial').replace('pos_t', 'pos_embed_temporal')
        name = name.replace('.proj.', '.proj_max_pool.') if name.count('.') == 3 and '.proj.' in name else name
        theirs[name] = value
    assert sum('proj_max_pool.weight' in name for name in theirs) == 3
    x = clips(size=32, frames=2)
    with torch.no_grad():
        got = model.eval()(x).mean((2, 3, 4))
        torch.testing.assert_close(got, features(theirs, x, wider=(2, 5, 21)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ('arch', 'frames', 'depth', 'wider'), [('base', 32, 24, (2, 5, 21)), ('small', 16, 16, (1, 3, 14))]
)
def test_it_is_the_model_of_table_2(arch, frames, depth, wider):
    with torch.device('meta'):
        model = MultiTrainMViT(arch, temporal_size=frames)
    names = [name for name, _ in model.named_parameters()]
    assert not [name for name in names if 'cls' in name or 'rel_pos' in name]
    assert len(model.blocks) == depth
    assert tuple(i for i, block in enumerate(model.blocks) if getattr(block, 'proj', None) is not None) == wider
    assert [model.blocks[i].proj.weight.shape for i in wider] == [(192, 96), (384, 192), (768, 384)]
    assert [model.blocks[i].attn.num_heads for i in (0, *wider)] == [1, 2, 4, 8]
    assert [model.blocks[i].attn.pool_k.stride for i in (0, *wider)] == [(1, s, s) for s in (8, 4, 2, 1)]
    assert (model.pos_s.shape, model.pos_t.shape) == ((1, 56 * 56, 96), (1, frames // 2, 96))
    assert model.out_channels == 768


def test_stochastic_depth_grows_to_a_tenth():
    blocks = MultiTrainMViT(ARCH, spatial_size=SIZE, temporal_size=FRAMES).blocks
    rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in blocks]
    assert rates == pytest.approx([0, 0.025, 0.05, 0.075, 0.1])


def test_it_starts_as_the_authors_does():
    torch.manual_seed(0)
    model = build(arch=dict(ARCH, embed_dims=32))
    model.init_weights()
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            assert not module.bias.any(), name
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1), name
        elif isinstance(module, nn.LayerNorm):
            assert not module.bias.any(), name
            assert (module.weight == 1).all(), name
        elif isinstance(module, nn.Conv3d):  # PyTorch's: uniform up to 1 / sqrt(fan in)
            bound = module.weight[0].numel() ** -0.5
            assert 0.9 * bound < module.weight.abs().max() <= bound, name
            assert module.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1), name
    assert model.pos_s.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.pos_t.std().item() == pytest.approx(0.02, rel=0.2)


def test_pretrained_weights_are_kept(model, tmp_path):
    torch.save({f'backbone.{name}': value for name, value in model.state_dict().items()}, tmp_path / 'model.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'model.pth'), prefix='backbone.')
    other = build(init_cfg=init_cfg)
    other.init_weights()
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_positions_of_a_checkpoint_are_resized(model):
    larger = build(spatial_size=48, temporal_size=16)
    load_state_dict(larger, copy.deepcopy(model.state_dict()), strict=True)
    place = model.pos_s.unflatten(1, GRID[1:]).permute(0, 3, 1, 2)
    want = F.interpolate(place, (12, 12), mode='bilinear').permute(0, 2, 3, 1).flatten(1, 2)
    torch.testing.assert_close(larger.pos_s, want)
    want = F.interpolate(model.pos_t.transpose(1, 2), 8, mode='linear').transpose(1, 2)
    torch.testing.assert_close(larger.pos_t, want)
    x = clips(size=48, frames=16)
    with torch.no_grad():  # and so are those of a model that is given larger clips
        torch.testing.assert_close(larger.eval()(x), model(x))


def test_positions_of_one_image_become_those_of_all_frames(model):
    image = build(temporal_size=1)
    assert image.pos_t.shape == (1, 1, WIDTH)
    image.init_weights()
    load_state_dict(model, image.state_dict(), strict=True)
    assert torch.equal(model.pos_t, image.pos_t.expand_as(model.pos_t))


@pytest.mark.parametrize('grid', [(1, 60, WIDTH), (1, 64, WIDTH + 1), (64, WIDTH)])
def test_positions_that_cannot_be_resized_are_refused(model, grid):
    state = model.state_dict() | {'pos_s': torch.zeros(grid)}
    with pytest.raises(RuntimeError, match='size mismatch for pos_s'):
        build().load_state_dict(state)


def test_312_pixels_have_78_positions_a_side():
    with torch.device('meta'):
        model = MultiTrainMViT('base', spatial_size=312)
    assert model.pos_s.shape == (1, 78 * 78, 96)


def test_mistakes_are_told():
    with pytest.raises(UserError, match=r"no arch 'bse'\. Did you mean: base"):
        MultiTrainMViT('bse')
    with pytest.raises(UserError, match='lacks num_heads, downscale_indices'):
        MultiTrainMViT(dict(embed_dims=8, num_layers=2))
    with pytest.raises(UserError, match=r'takes clips \(N, 3, T, H, W\), not \(2, 3, 32, 32\)'):
        build()(torch.zeros(2, 3, 32, 32))


def test_every_shape_of_the_reference_is_of_the_model():
    own = {name: tuple(value.shape) for name, value in build().state_dict().items()}
    assert own == {ours(name): shape for name, shape in shapes(heads=False).items()}
