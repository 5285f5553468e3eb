"""The classifier of a ViFi-CLIP checkpoint: the prompts it keeps as token embeddings, through its own text tower."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from open_clip.model import CLIPTextCfg, _build_text_tower
from torch import Tensor

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.convert.dimensions import count_blocks
from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_arch import load_tower
from textxfer_mm.text.clip_files import is_of_text_tower
from textxfer_mm.text.encoding import in_chunks
from textxfer_mm.text.text_tower import CLIPTextTower

#: (K, L, W): the embeddings of the tokens of one prompt for each class.
PROMPTS = 'prompt_learner.complete_text_embeddings'
_CHUNK = 32


def vifi_classifier(weights: Mapping[str, Tensor], class_names: Sequence[str], path: Path) -> ClassifierBundle:
    """Make the classifier that the authors' code makes at each start, with heads of 64 channels as in CLIP.

    Args:
        weights: The checkpoint, with open_clip's names for its towers.
        class_names: K names, in the order of its labels; the file does not hold them.
        path: The file, for messages.

    Raises:
        UserError: It holds no prompts or another number of them, or its text tower does not fit together.
    """
    prompts = weights.get(PROMPTS)
    if prompts is None or prompts.ndim != 3 or not prompts.is_floating_point():
        raise UserError(f'{path} holds no {PROMPTS} (classes, tokens, width), of which a classifier could be made.')
    if len(prompts) != len(class_names):
        raise UserError(
            f'{path} was trained on {len(prompts)} classes, and --class-names gives {len(class_names)}: give those of '
            'its training, in their order.'
        )
    tower = _text_tower(weights, prompts, path)
    with torch.inference_mode():
        rows = in_chunks(
            lambda some, ends: tower.forward_embeddings(some.float(), ends), prompts, _ids(prompts), chunk_size=_CHUNK
        )
    return ClassifierBundle.from_rows(rows, class_names=class_names, encoder_id=tower.encoder_id)


def _text_tower(weights: Mapping[str, Tensor], prompts: Tensor, path: Path) -> CLIPTextTower:
    """The text tower, in evaluation mode; its table of tokens stays empty, since the prompts are embedded already."""
    state = {name: value.float() for name, value in weights.items() if is_of_text_tower(name)}
    projection = state.get('text_projection')
    if projection is None or projection.ndim != 2:
        raise UserError(f'{path} holds no text_projection (width, features) of its text tower.')
    length, width = prompts.shape[1:]
    config = CLIPTextCfg(
        context_length=length,
        vocab_size=1,
        width=width,
        heads=max(width // 64, 1),
        layers=count_blocks(state, 'transformer.resblocks.'),
    )
    model = _build_text_tower(projection.shape[1], config, quick_gelu=True)
    state['token_embedding.weight'] = torch.zeros(1, width)
    state.pop('attn_mask', None)  # it is made, not loaded
    load_tower(model, state, arch='of its text tower', source=path)
    return CLIPTextTower(
        model.eval(),
        None,
        embed_dims=projection.shape[1],
        context_length=length,
        encoder_id=f'vifi-clip/{path.name}',
    )


def _ids(prompts: Tensor) -> Tensor:
    """Stand-ins for tokens: the end token, 1, is the last before the padding, which is the same up to the end."""
    is_padding = (prompts == prompts[:, -1:]).all(dim=2)  # (K, L)
    run = is_padding.flip(1).int().cumprod(dim=1).sum(dim=1)  # how many of the last are alike
    end = torch.where(run > 1, prompts.shape[1] - run - 1, prompts.shape[1] - 1)  # a prompt may fill its context
    return torch.nn.functional.one_hot(end, prompts.shape[1])
