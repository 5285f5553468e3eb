"""The authors' video model written again with plain tensor operations, and random weights under the authors' names.

Nothing of the package or of open_clip is used: CLIP's two vision towers with quick GELU, the ``control_point`` of
TokenT1D, the temporal transformer with its own eps, the mean over frames, cosines times a scale.
"""

import torch
import torch.nn.functional as F

#: Sizes of the random models: D, and heads of T-Trans.
D, FUSION_HEADS = 128, 2
VIT_WIDTH, VIT_LAYERS, PATCH, SIZE = 192, 2, 16, 32
RN_WIDTH, RN_LAYERS, RN_SIZE = 8, (1, 2, 1, 1), 64


def layer_norm(x, weights, name, eps=1e-5):
    """Mean and variance by hand."""
    centred = x - x.mean(-1, keepdim=True)
    normal = centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + eps)
    return normal * weights[f'{name}.weight'] + weights[f'{name}.bias']


def attend(q, k, v, heads):
    """(B, L, C) each."""
    q, k, v = (t.unflatten(2, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def block(x, weights, name, heads, *, eps=1e-5, control_point=None):
    """One pre-LN block (B, L, C); the control point changes the residual stream twice."""
    point = control_point or (lambda x: x)
    x = point(x)
    h = layer_norm(x, weights, f'{name}.ln_1', eps)
    q, k, v = (h @ weights[f'{name}.attn.in_proj_weight'].t() + weights[f'{name}.attn.in_proj_bias']).chunk(3, -1)
    h = attend(q, k, v, heads)
    x = x + h @ weights[f'{name}.attn.out_proj.weight'].t() + weights[f'{name}.attn.out_proj.bias']
    x = point(x)
    h = layer_norm(x, weights, f'{name}.ln_2', eps) @ weights[f'{name}.mlp.c_fc.weight'].t()
    h = h + weights[f'{name}.mlp.c_fc.bias']
    h = h * torch.sigmoid(1.702 * h)
    return x + h @ weights[f'{name}.mlp.c_proj.weight'].t() + weights[f'{name}.mlp.c_proj.bias']


def token_t1d(weight, num_frames):
    """The class token of frame t: taps times those of t - 1, t and t + 1."""

    def point(x):
        videos = x[:, 0].unflatten(0, (-1, num_frames))
        mixed = torch.zeros_like(videos)
        for t in range(num_frames):
            for tap in range(3):
                if 0 <= t + tap - 1 < num_frames:
                    mixed[:, t] += weight[:, 0, tap] * videos[:, t + tap - 1]
        return torch.cat([mixed.flatten(0, 1)[:, None], x[:, 1:]], 1)

    return point


def vit(weights, frames, num_frames):
    """Frames (N*T, 3, H, W) -> (N*T, D)."""
    x = F.conv2d(frames, weights['visual.conv1.weight'], stride=PATCH).flatten(2).transpose(1, 2)
    x = torch.cat([weights['visual.class_embedding'].expand(len(x), 1, -1), x], 1)
    x = layer_norm(x + weights['visual.positional_embedding'], weights, 'visual.ln_pre')
    for i in range(VIT_LAYERS):
        name = f'visual.transformer.resblocks.{i}'
        taps = weights.get(f'{name}.control_point.conv.weight')
        point = None if taps is None else token_t1d(taps, num_frames)
        x = block(x, weights, name, VIT_WIDTH // 64, control_point=point)
    return layer_norm(x[:, 0], weights, 'visual.ln_post') @ weights['visual.proj']


def resnet(weights, frames):
    """Frames (N*T, 3, H, W) -> (N*T, D): three-convolution stem, anti-aliased strides, attention pooling."""

    def conv(x, name, **kwargs):
        return F.conv2d(x, weights[f'visual.{name}.weight'], **kwargs)

    def norm(x, name):
        mean, var, weight, bias = (
            weights[f'visual.{name}.{key}'][:, None, None] for key in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    x = norm(conv(frames, 'conv1', stride=2, padding=1), 'bn1').relu()
    x = norm(conv(x, 'conv2', padding=1), 'bn2').relu()
    x = F.avg_pool2d(norm(conv(x, 'conv3', padding=1), 'bn3').relu(), 2)
    for stage, count in enumerate(RN_LAYERS, 1):
        for i in range(count):
            name, stride = f'layer{stage}.{i}', 2 if stage > 1 and i == 0 else 1
            out = norm(conv(x, f'{name}.conv1'), f'{name}.bn1').relu()
            out = norm(conv(out, f'{name}.conv2', padding=1), f'{name}.bn2').relu()
            out = norm(conv(F.avg_pool2d(out, stride), f'{name}.conv3'), f'{name}.bn3')
            if i == 0:
                x = norm(conv(F.avg_pool2d(x, stride), f'{name}.downsample.0'), f'{name}.downsample.1')
            x = (out + x).relu()
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([x.mean(1, keepdim=True), x], 1) + weights['visual.attnpool.positional_embedding']

    def linear(x, name):
        return x @ weights[f'visual.attnpool.{name}.weight'].t() + weights[f'visual.attnpool.{name}.bias']

    pooled = attend(linear(x[:, :1], 'q_proj'), linear(x, 'k_proj'), linear(x, 'v_proj'), RN_WIDTH * 32 // 64)
    return linear(pooled[:, 0], 'c_proj')


def video_features(weights, video):
    """Un-normalised features (N, D) of videos (N, 3, T, H, W)."""
    num_frames = video.shape[2]
    frames = video.transpose(1, 2).flatten(0, 1)
    is_resnet = 'visual.layer1.0.conv1.weight' in weights
    x = resnet(weights, frames) if is_resnet else vit(weights, frames, num_frames)
    x = x.unflatten(0, (-1, num_frames))  # (N, T, D)
    if 'fusion_model.frame_position_embeddings.weight' in weights:
        mixed = x + weights['fusion_model.frame_position_embeddings.weight'][:num_frames]
        for i in range(6):
            mixed = block(mixed, weights, f'fusion_model.transformer.resblocks.{i}', FUSION_HEADS, eps=1e-12)
        x = mixed + x
    return x.mean(1)


def logits(weights, video, text, scale=100.0):
    """Cosines of the features with text rows (K, D), times the scale of testing."""
    features = video_features(weights, video)
    rows = [t / t.norm(dim=-1, keepdim=True) for t in (features, text)]
    return scale * rows[0] @ rows[1].t()


# ---------------------------------------------------------------------------------------------------- random weights


def _block_shapes(name, width):
    return {
        f'{name}.attn.in_proj_weight': (3 * width, width),
        f'{name}.attn.in_proj_bias': (3 * width,),
        f'{name}.attn.out_proj.weight': (width, width),
        f'{name}.attn.out_proj.bias': (width,),
        f'{name}.ln_1.weight': (width,),
        f'{name}.ln_1.bias': (width,),
        f'{name}.mlp.c_fc.weight': (4 * width, width),
        f'{name}.mlp.c_fc.bias': (4 * width,),
        f'{name}.mlp.c_proj.weight': (width, 4 * width),
        f'{name}.mlp.c_proj.bias': (width,),
        f'{name}.ln_2.weight': (width,),
        f'{name}.ln_2.bias': (width,),
    }


def _vit_shapes(control_point):
    shapes = {
        'visual.class_embedding': (VIT_WIDTH,),
        'visual.positional_embedding': ((SIZE // PATCH) ** 2 + 1, VIT_WIDTH),
        'visual.proj': (VIT_WIDTH, D),
        'visual.conv1.weight': (VIT_WIDTH, 3, PATCH, PATCH),
    }
    for norm in ('ln_pre', 'ln_post'):
        shapes |= {f'visual.{norm}.weight': (VIT_WIDTH,), f'visual.{norm}.bias': (VIT_WIDTH,)}
    for i in range(VIT_LAYERS):
        shapes |= _block_shapes(f'visual.transformer.resblocks.{i}', VIT_WIDTH)
        if control_point:
            shapes[f'visual.transformer.resblocks.{i}.control_point.conv.weight'] = (VIT_WIDTH, 1, 3)
    return shapes


def _resnet_shapes():
    shapes = {}

    def conv_bn(conv, bn, out, inside, kernel):
        shapes[f'visual.{conv}.weight'] = (out, inside, kernel, kernel)
        for key in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'visual.{bn}.{key}'] = (out,)
        shapes[f'visual.{bn}.num_batches_tracked'] = ()

    for i, (out, inside) in enumerate(
        [(RN_WIDTH // 2, 3), (RN_WIDTH // 2, RN_WIDTH // 2), (RN_WIDTH, RN_WIDTH // 2)], 1
    ):
        conv_bn(f'conv{i}', f'bn{i}', out, inside, 3)
    inside = RN_WIDTH
    for stage, count in enumerate(RN_LAYERS):
        planes = RN_WIDTH * 2**stage
        for i in range(count):
            name = f'layer{stage + 1}.{i}'
            conv_bn(f'{name}.conv1', f'{name}.bn1', planes, inside, 1)
            conv_bn(f'{name}.conv2', f'{name}.bn2', planes, planes, 3)
            conv_bn(f'{name}.conv3', f'{name}.bn3', 4 * planes, planes, 1)
            if i == 0:
                conv_bn(f'{name}.downsample.0', f'{name}.downsample.1', 4 * planes, inside, 1)
            inside = 4 * planes
    width = 32 * RN_WIDTH
    shapes['visual.attnpool.positional_embedding'] = ((RN_SIZE // 32) ** 2 + 1, width)
    for name, out in (('k_proj', width), ('q_proj', width), ('v_proj', width), ('c_proj', D)):
        shapes |= {f'visual.attnpool.{name}.weight': (out, width), f'visual.attnpool.{name}.bias': (out,)}
    return shapes


def random_weights(*, tower='vit', fusion=False, control_point=False, seed=0):
    """A ``model_state_dict`` of the authors: ``visual.*``, perhaps ``fusion_model.*``, and ``logit_scale``."""
    generator = torch.Generator().manual_seed(seed)
    shapes = _resnet_shapes() if tower == 'resnet' else _vit_shapes(control_point)
    if fusion:
        shapes['fusion_model.frame_position_embeddings.weight'] = (77, D)
        for i in range(6):
            shapes |= _block_shapes(f'fusion_model.transformer.resblocks.{i}', D)
    weights = {name: _draw(name, shape, generator) for name, shape in shapes.items()}
    weights['logit_scale'] = torch.tensor(4.5)
    return weights


def _draw(name, shape, generator):
    if name.endswith('num_batches_tracked'):
        return torch.tensor(7)
    if name.endswith('running_var'):
        return torch.rand(shape, generator=generator) + 0.5
    drawn = torch.randn(shape, generator=generator)
    if 'control_point' in name:
        return drawn
    is_norm = '.ln_' in name or '.bn' in name or 'downsample.1' in name
    if is_norm and name.endswith('.weight'):
        return 1 + 0.2 * drawn
    if len(shape) == 4:
        return drawn / (shape[1] * shape[2] * shape[3]) ** 0.5
    return drawn / shape[-1] ** 0.5 if len(shape) == 2 and 'embedding' not in name else 0.2 * drawn
