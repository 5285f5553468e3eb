"""Weights of CLIP with the names that other codes give them, written out here independently of the package."""

import open_clip
import torch

_HF_BLOCK = {
    'ln_1.': 'layer_norm1.',
    'ln_2.': 'layer_norm2.',
    'attn.out_proj.': 'self_attn.out_proj.',
    'mlp.c_fc.': 'mlp.fc1.',
    'mlp.c_proj.': 'mlp.fc2.',
}
_HF_OUTSIDE = {
    'visual.class_embedding': 'vision_model.embeddings.class_embedding',
    'visual.conv1.weight': 'vision_model.embeddings.patch_embedding.weight',
    'visual.positional_embedding': 'vision_model.embeddings.position_embedding.weight',
    'visual.ln_pre.': 'vision_model.pre_layrnorm.',
    'visual.ln_post.': 'vision_model.post_layernorm.',
    'token_embedding.': 'text_model.embeddings.token_embedding.',
    'positional_embedding': 'text_model.embeddings.position_embedding.weight',
    'ln_final.': 'text_model.final_layer_norm.',
}


def hugging_face(state, *, text=True):
    """The state of a ViT of open_clip as ``CLIPModel`` (without text: ``CLIPVisionModelWithProjection``) names it."""
    named = {}
    for name, value in state.items():
        if name in ('visual.proj', 'text_projection'):
            named['visual_projection.weight' if 'visual' in name else 'text_projection.weight'] = value.t().contiguous()
        elif 'resblocks.' in name:
            head, _, rest = name.partition('transformer.resblocks.')
            number, _, rest = rest.partition('.')
            start = f'{"vision" if head else "text"}_model.encoder.layers.{number}.'
            if rest.startswith('attn.in_proj_'):
                for part, third in zip('qkv', value.chunk(3), strict=True):
                    named[f'{start}self_attn.{part}_proj.{rest.removeprefix("attn.in_proj_")}'] = third.clone()
            else:
                old, new = next((old, new) for old, new in _HF_BLOCK.items() if rest.startswith(old))
                named[start + rest.replace(old, new)] = value
        elif name == 'logit_scale':
            named[name] = value
        else:
            old, new = next((old, new) for old, new in _HF_OUTSIDE.items() if name.startswith(old))
            named[name.replace(old, new)] = value
    if not text:
        named = {name: value for name, value in named.items() if name.startswith('vis')}
    return named


def vifi_clip(state, *, prompts=('a video.', 'another one.', '!')):
    """The state of a whole CLIP as ViFi-CLIP's released code saves its fine-tuned model: with embedded prompts."""
    ids = open_clip.SimpleTokenizer()(list(prompts))
    named = {'prompt_learner.complete_text_embeddings': state['token_embedding.weight'][ids]}
    for name, value in state.items():
        if name == 'logit_scale':
            named[name] = value
        elif name.startswith('visual.'):
            named[name.replace('visual.', 'image_encoder.', 1)] = value
        elif not name.startswith('token_embedding'):
            named[f'text_encoder.{name}'] = value
    return named


def x_clip(state):
    """Names of X-CLIP beside those of CLIP: message tokens in the blocks, MIT, and prompts from the video."""
    width = state['visual.class_embedding'].shape[0]
    return state | {
        'visual.transformer.resblocks.0.message_fc.weight': torch.randn(width, width),
        'visual.transformer.resblocks.0.message_ln.weight': torch.randn(width),
        'mit.positional_embedding': torch.randn(1, 8, width),
        'prompts_generator.alpha': torch.randn(width),
    }
