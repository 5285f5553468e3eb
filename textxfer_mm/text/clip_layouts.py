"""The names that other libraries and codes give to the weights of CLIP, and those of open_clip and OpenAI for them."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from textxfer_mm.errors import UserError, first_few

HUGGING_FACE, VIFI_CLIP = 'huggingface', 'vifi-clip'

#: Where a tower of each layout begins, behind whatever a training framework puts before it. The first that is found
#: counts: a whole CLIP of OpenAI holds names that look like those of a text tower alone.
_TOWERS = (
    ('', r'visual\.(?:conv1|class_embedding|positional_embedding|proj|ln_p|transformer|attnpool|layer\d|trunk)'),
    (HUGGING_FACE, r'vision_model\.'),
    (VIFI_CLIP, r'image_encoder\.(?:conv1|class_embedding|positional_embedding|proj|transformer|attnpool|layer\d)'),
    ('', r'text\.(?:token_embedding|transformer)\.'),
    (HUGGING_FACE, r'text_model\.'),
    (VIFI_CLIP, r'text_encoder\.transformer\.'),
    ('', r'token_embedding\.'),
)

#: Hugging Face's names of what is not in a block; what is transposed there is a linear layer.
_HF_NAMES = {
    'vision_model.embeddings.class_embedding': 'visual.class_embedding',
    'vision_model.embeddings.patch_embedding.weight': 'visual.conv1.weight',
    'vision_model.embeddings.position_embedding.weight': 'visual.positional_embedding',
    'vision_model.pre_layrnorm.weight': 'visual.ln_pre.weight',
    'vision_model.pre_layrnorm.bias': 'visual.ln_pre.bias',
    'vision_model.post_layernorm.weight': 'visual.ln_post.weight',
    'vision_model.post_layernorm.bias': 'visual.ln_post.bias',
    'text_model.embeddings.token_embedding.weight': 'token_embedding.weight',
    'text_model.embeddings.position_embedding.weight': 'positional_embedding',
    'text_model.final_layer_norm.weight': 'ln_final.weight',
    'text_model.final_layer_norm.bias': 'ln_final.bias',
}
_HF_TRANSPOSED = {'visual_projection.weight': 'visual.proj', 'text_projection.weight': 'text_projection'}
_HF_BLOCK = re.compile(r'^(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)$')
_HF_LAYERS = {
    'layer_norm1': 'ln_1',
    'layer_norm2': 'ln_2',
    'self_attn.out_proj': 'attn.out_proj',
    'mlp.fc1': 'mlp.c_fc',
    'mlp.fc2': 'mlp.c_proj',
}
_QKV = ('q', 'k', 'v')
#: What every CLIP of Hugging Face has, and its BLIP, SigLIP and ViT do not.
_HF_OWN = ('pre_layrnorm.weight', 'embeddings.class_embedding', 'self_attn.q_proj.weight')

#: More letters than the name of any weight has.
_LONGEST = 300

_XCLIP = re.compile(r'(?:^|\.)(?:message_(?:fc|ln|attn)\.|prompts_generator\.|mit\.)')
_VIFI_PROMPTS = re.compile(r'(?:^|\.)VPT(?:_shallow)?$')


@dataclass(frozen=True)
class Layout:
    """Weights under open_clip's names.

    Attributes:
        weights: The tensors of the model.
        name: The layout they came in: ``''`` for open_clip's and OpenAI's, ``'huggingface'`` or ``'vifi-clip'``.
        prefix: What stood before each of their names.
        outside: The entries outside the model, such as the metrics and losses of a training framework.
        original: For renamed entries, what the file calls them.
    """

    weights: dict[str, Tensor]
    name: str = ''
    prefix: str = ''
    outside: dict[str, Tensor] = field(default_factory=dict)
    original: dict[str, str] = field(default_factory=dict)


def to_open_clip(weights: Mapping[str, Tensor], source: object) -> Layout:
    """Find CLIP among weights, in whichever known layout, and name its entries as open_clip does.

    Where a file holds several, such as a student and a teacher, the one under no prefix or ``model.`` is taken, else
    the larger one; the others are in :attr:`Layout.outside`.

    Args:
        weights: Tensors by name.
        source: What to call them in messages.

    Raises:
        UserError: A name holds control characters or never ends; the model has parts that no CLIP has (X-CLIP, learned
            visual prompts); or it is one of Hugging Face's that is no CLIP.
    """
    odd = next((name for name in weights if len(name) > _LONGEST or not name.isprintable()), None)
    if odd is not None:
        raise UserError(
            f'{source} has an entry with a name that is no name of a weight: {odd[:50]!a} ({len(odd)} letters).'
        )
    message = next((name for name in weights if _XCLIP.search(name)), None)
    if message is not None:
        raise UserError(
            f'{source} is a checkpoint of X-CLIP ({message}): its message tokens across frames, its multi-frame '
            'transformer and its video-specific prompts have no counterpart here. Test it with its own code; of '
            'fine-tuned CLIPs, those of Text4Vis, ActionCLIP and ViFi-CLIP can be converted.'
        )
    name, prefix = _find(weights, source)
    inside = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    outside = {key: value for key, value in weights.items() if not key.startswith(prefix)}
    if name == HUGGING_FACE:
        renamed, original = _from_hugging_face(inside, source)
    elif name == VIFI_CLIP:
        renamed, original = _from_vifi_clip(inside, source)
    else:
        renamed, original = inside, {key: prefix + key for key in inside} if prefix else {}
    return Layout(renamed, name, prefix, outside, original)


def _find(weights: Mapping[str, Tensor], source: object) -> tuple[str, str]:
    """The layout of the first kind of tower that is there, and the prefix of the model it is in."""
    for layout, start in _TOWERS:
        pattern = re.compile(rf'^((?:[^.]+\.)*?){start}')
        found = Counter(match.group(1) for name in weights if (match := pattern.match(name)))
        if found:
            chosen = min(found, key=lambda prefix: (prefix not in ('', 'model.'), -found[prefix], prefix))
            for other in found:
                _refuse_halves(weights, chosen, other, source)
            return layout, chosen
    return '', ''


def _refuse_halves(weights: Mapping[str, Tensor], one: str, other: str, source: object) -> None:
    """Refuse one model whose entries have two prefixes; those of two models share names behind theirs."""
    strays = {name.removeprefix(other): name for name in weights if name.startswith(other)}
    if not other:
        strays = {name: name for name in weights if not name.startswith(one)}
    if strays and other != one and not any(one + name in weights for name in strays):
        raise UserError(
            f'{source} has one model under two prefixes: {next(iter(strays.values()))} begins with {other!r}, others '
            f'with {one!r}. Give all entries the same one.'
        )


def _from_hugging_face(weights: Mapping[str, Tensor], source: object) -> tuple[dict[str, Tensor], dict[str, str]]:
    _require_clip_of_hugging_face(weights, source)
    renamed, original = {}, {}
    for name, value in weights.items():
        block = _HF_BLOCK.match(name)
        if name.endswith('.position_ids'):
            continue
        if block and block.group(3) in [f'self_attn.{part}_proj' for part in _QKV]:
            new = f'{_block(block)}.attn.in_proj_{block.group(4)}'
            if new not in renamed:
                parts = {other: weights.get(other) for other in _qkv_names(block)}
                renamed[new], original[new] = _joined(parts, source), ', '.join(parts)
            continue
        if block and block.group(3) in _HF_LAYERS:
            new = f'{_block(block)}.{_HF_LAYERS[block.group(3)]}.{block.group(4)}'
        else:
            new = _HF_NAMES.get(name) or _HF_TRANSPOSED.get(name) or name
        is_transposed = name in _HF_TRANSPOSED and value.ndim == 2
        renamed[new] = value.t() if is_transposed else value
        original[new] = f'{name}, transposed' if is_transposed else name
    return renamed, original


def _require_clip_of_hugging_face(weights: Mapping[str, Tensor], source: object) -> None:
    """Refuse other models of Hugging Face, which share the names of the towers."""
    if not any(name.startswith('vision_model.') for name in weights):
        return  # a text tower alone: its loader compares it with what it needs
    lacking = [own for own in _HF_OWN if not any(name.endswith(own) for name in weights)]
    if len(lacking) > 1:
        raise UserError(
            f'{source} has the names of Hugging Face transformers, but is no CLIPModel: it has no '
            f'{" and no ".join(lacking)} (found {first_few(weights, 3)}). Give a CLIPModel, or the file of open_clip.'
        )


def _block(match: re.Match[str]) -> str:
    tower = 'visual.' if match.group(1) == 'vision' else ''
    return f'{tower}transformer.resblocks.{match.group(2)}'


def _qkv_names(match: re.Match[str]) -> list[str]:
    start = f'{match.group(1)}_model.encoder.layers.{match.group(2)}.self_attn.'
    return [f'{start}{part}_proj.{match.group(4)}' for part in _QKV]


def _joined(parts: Mapping[str, Tensor | None], source: object) -> Tensor:
    """Queries, keys and values in one, which need one shape."""
    shapes = Counter(tuple(part.shape) for part in parts.values() if part is not None)
    usual = shapes.most_common(1)[0][0]
    for name, part in parts.items():
        if part is None:
            raise UserError(f'{source} is incomplete: {name} is missing, and the other two of q, k and v are there.')
        if tuple(part.shape) != usual or not usual:
            raise UserError(f'{source} does not fit together: {name} is {tuple(part.shape)}, the others are {usual}.')
    return torch.cat(list(parts.values()))


def _from_vifi_clip(weights: Mapping[str, Tensor], source: object) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Its image encoder is CLIP's; its text encoder lacks the embeddings of the tokens, which it keeps elsewhere."""
    prompt = next((name for name in weights if _VIFI_PROMPTS.search(name)), None)
    if prompt is not None:
        raise UserError(
            f'{source} is a checkpoint of ViFi-CLIP with learned visual prompts ({prompt}), which have no counterpart '
            'here; its fully fine-tuned checkpoints, without prompts, can be converted.'
        )
    original = {}
    for name in weights:
        new = f'visual.{name.removeprefix("image_encoder.")}' if name.startswith('image_encoder.') else name
        original[new.removeprefix('text_encoder.')] = name
    return {new: weights[name] for new, name in original.items()}, original
