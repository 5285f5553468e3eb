"""The authors' MViTv2 and heads written again with plain tensor operations, and random weights under their names.

Nothing of the package or of mmaction2 is used: patches, separate positions of place and time, blocks with pooled
queries, keys and values, the widening inside the attention, the shortcut over the tokens as they are.
"""

import torch
import torch.nn.functional as F

#: Width of the first stage, blocks, and those that pool the queries and widen.
WIDTH, DEPTH, WIDER = 8, 5, (1, 2, 4)
#: Frames and side of the clips; their patches are (T, H, W) = GRID.
FRAMES, SIZE, GRID = 8, 32, (4, 8, 8)
OUT = WIDTH * 2 ** len(WIDER)
HIDDEN, EXPANDED = 16, 24
CLASSES = dict(kinetics=6, mit=4, ssv2=3)


def layer_norm(x, weights, name, eps):
    """Mean and variance by hand."""
    centred = x - x.mean(-1, keepdim=True)
    normal = centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + eps)
    return normal * weights[f'{name}.weight'] + weights[f'{name}.bias']


def linear(x, weights, name):
    return x @ weights[f'{name}.weight'].t() + weights.get(f'{name}.bias', 0)


def pool(x, weights, name, grid, stride):
    """(B, heads, L, d) of a grid to that of the pooled grid; the weights are shared by the heads. LN eps 1e-5."""
    batch, heads, _, width = x.shape
    maps = x.reshape(batch * heads, *grid, width).permute(0, 4, 1, 2, 3)
    kernel = weights[f'{name}.weight']
    maps = F.conv3d(maps, kernel, stride=stride, padding=1, groups=width)
    pooled = maps.flatten(2).transpose(1, 2).reshape(batch, heads, -1, width)
    norm = name.replace('pool_', 'norm_')
    return layer_norm(pooled, weights, norm, 1e-5), tuple(maps.shape[2:])


def attend(x, weights, name, grid, heads, q_stride, kv_stride):
    batch, length, _ = x.shape
    q, k, v = linear(x, weights, f'{name}.qkv').reshape(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
    q, new = pool(q, weights, f'{name}.pool_q', grid, q_stride)
    k, _ = pool(k, weights, f'{name}.pool_k', grid, kv_stride)
    v, _ = pool(v, weights, f'{name}.pool_v', grid, kv_stride)
    scores = torch.einsum('bhqd,bhkd->bhqk', q, k) / q.shape[-1] ** 0.5
    x = torch.einsum('bhqk,bhkd->bhqd', scores.softmax(-1), v) + q  # residual pooling
    return linear(x.transpose(1, 2).flatten(2), weights, f'{name}.proj'), new


def block(x, weights, name, grid, heads, q_stride, kv_stride):
    attended, new = attend(
        layer_norm(x, weights, f'{name}.norm1', 1e-6), weights, f'{name}.attn', grid, heads, q_stride, kv_stride
    )
    skip = x
    if f'{name}.proj_max_pool.weight' in weights:
        skip = linear(x, weights, f'{name}.proj_max_pool')  # of x itself, not of its norm
    if q_stride != (1, 1, 1):
        maps = skip.unflatten(1, grid).permute(0, 4, 1, 2, 3)
        maps = F.max_pool3d(maps, (1, 3, 3), q_stride, (0, 1, 1))
        skip = maps.flatten(2).transpose(1, 2)
    x = skip + attended
    hidden = F.gelu(linear(layer_norm(x, weights, f'{name}.norm2', 1e-6), weights, f'{name}.mlp.fc1'))
    return x + linear(hidden, weights, f'{name}.mlp.fc2'), new


def features(weights, clips, wider=WIDER, kv_stride=8):
    """Clips (B, 3, T, H, W) to the mean over their tokens (B, D) after the last norm."""
    patches = F.conv3d(
        clips, weights['patch_embed.proj.weight'], weights['patch_embed.proj.bias'], (2, 4, 4), (1, 3, 3)
    )
    grid, heads = tuple(patches.shape[2:]), 1
    place, time = weights['pos_embed_spatial'][0], weights['pos_embed_temporal'][0]
    positions = torch.stack([time[t] + place[i] for t in range(grid[0]) for i in range(grid[1] * grid[2])])
    x = patches.flatten(2).transpose(1, 2) + positions
    depth = 1 + max(int(name.split('.')[1]) for name in weights if name.startswith('blocks.'))
    for i in range(depth):
        if i in wider:
            heads, kv_stride = 2 * heads, max(kv_stride // 2, 1)
        q_stride = (1, 2, 2) if i in wider else (1, 1, 1)
        x, grid = block(x, weights, f'blocks.{i}', grid, heads, q_stride, (1, kv_stride, kv_stride))
    return layer_norm(x, weights, 'norm', 1e-6).mean(1)


def mlp(x, weights, name):
    return linear(F.gelu(linear(x, weights, f'{name}.fc1')), weights, f'{name}.fc2')


def shapes(heads=True):
    """Names and shapes of a checkpoint."""
    found = {'patch_embed.proj.weight': (WIDTH, 3, 3, 7, 7), 'patch_embed.proj.bias': (WIDTH,)}
    found |= {'pos_embed_spatial': (1, GRID[1] * GRID[2], WIDTH), 'pos_embed_temporal': (1, GRID[0], WIDTH)}
    width, num_heads = WIDTH, 1
    for i in range(DEPTH):
        name, new = f'blocks.{i}', width * 2 if i in WIDER else width
        num_heads = 2 * num_heads if i in WIDER else num_heads
        found |= _linear(f'{name}.attn.qkv', width, 3 * new) | _linear(f'{name}.attn.proj', new, new)
        for part in 'qkv':
            channels = new // num_heads
            found[f'{name}.attn.pool_{part}.weight'] = (channels, 1, 3, 3, 3)
            found |= _norm(f'{name}.attn.norm_{part}', channels)
        if new != width:
            found |= _linear(f'{name}.proj_max_pool', width, new)
        found |= _norm(f'{name}.norm1', width) | _norm(f'{name}.norm2', new)
        found |= _linear(f'{name}.mlp.fc1', new, 4 * new) | _linear(f'{name}.mlp.fc2', 4 * new, new)
        width = new
    found |= _norm('norm', width)
    return found | (head_shapes() if heads else {})


def head_shapes(classes=CLASSES):
    """Those of the heads, of the projections of all ordered pairs, and of the expander."""
    found = {}
    for name, count in classes.items():
        found |= _linear(f'head.projections.{name}.fc1', OUT, HIDDEN) | _linear(
            f'head.projections.{name}.fc2', HIDDEN, count
        )
        for other, rows in classes.items():
            if other != name:
                found[f'head.cross_dataset_heads.{name}_{other}.weight'] = (rows, count)
    return found | _linear('expander.fc1', OUT, EXPANDED) | _linear('expander.fc2', EXPANDED, OUT)


def _linear(name, width, new):
    return {f'{name}.weight': (new, width), f'{name}.bias': (new,)}


def _norm(name, width):
    return {f'{name}.weight': (width,), f'{name}.bias': (width,)}


def random_weights(seed=0, heads=True):
    """Weights with which each part of the model is seen in its output."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes(heads).items():
        value = torch.randn(shape, generator=generator)
        if '.pool_' in name:  # so small that the eps behind it is seen
            weights[name] = 0.01 * value
        elif 'norm' in name and name.endswith('weight'):
            weights[name] = 1 + 0.3 * value
        elif name.endswith('weight'):
            weights[name] = value / value[0].numel() ** 0.5
        else:
            weights[name] = 0.3 * value
    return weights


def clips(seed=0, size=SIZE, frames=FRAMES):
    return torch.randn(2, 3, frames, size, size, generator=torch.Generator().manual_seed(seed))
