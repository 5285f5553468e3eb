"""Encoders pre-trained on ImageNet: the weights that timm has for a tower (Text4Vis, Table 3)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import timm
import torch
from timm.models import PretrainedCfg
from torch import nn

from textxfer_mm.errors import NotAtHandError, UserError, first_few
from textxfer_mm.text.clip_arch import load_tower, resolve_arch
from textxfer_mm.text.hub import hub_endpoint, is_reachable
from textxfer_mm.vision.positions import resize_positions
from textxfer_mm.vision.towers import Arch, with_text_cfg

#: The value of ``pretrained`` that stands for these weights.
TIMM = 'timm'

_WEIGHT_FILES = ('model.safetensors', 'pytorch_model.bin')


def timm_pretrained_cfg(arch: Arch) -> PretrainedCfg:
    """Return what timm knows about the pretrained weights of an architecture: their address, mean, std and so on.

    Args:
        arch: A model config with ``vision_cfg=dict(timm_model_name='vit_base_patch16_224.augreg_in21k', ...)``, or the
            name of an open_clip model whose vision tower is timm's. What follows the dot is timm's tag; without a tag,
            timm's first one is used.

    Raises:
        UserError: The tower is not one of timm's, or timm has no weights for it.
    """
    name, config = resolve_arch(with_text_cfg(arch))
    timm_name = config['vision_cfg'].get('timm_model_name')
    if timm_name is None:
        raise UserError(
            f"pretrained='{TIMM}' are timm's own weights, and {name} has no vision tower of timm: use a model config "
            "with vision_cfg=dict(timm_model_name='vit_base_patch16_224.augreg_in21k', timm_pool='token', "
            "timm_proj='none')."
        )
    found = timm.get_pretrained_cfg(timm_name)
    if found is None or not (found.hf_hub_id or found.url or found.file):
        tags = ', '.join(timm.list_pretrained(f'{timm_name.split(".")[0]}.*')) or 'none'
        raise UserError(f'timm has no pretrained weights for {timm_name!r}; with weights: {tags}.')
    return found


def load_timm(tower: nn.Module, arch: Arch) -> None:
    """Load timm's pretrained weights into the trunk of a tower; a projection behind it stays as it is.

    Positions are resized where the tower takes another input size. timm keeps what it downloads in the cache of the
    Hugging Face hub.

    Args:
        tower: The vision tower that was built for ``arch``.
        arch: See :func:`timm_pretrained_cfg`.

    Raises:
        UserError: There are no such weights in timm, they do not fit the tower, or they are not on this machine and
            cannot be downloaded.
    """
    trained = timm_pretrained_cfg(arch)
    name, config = resolve_arch(with_text_cfg(arch))
    vision_cfg = config['vision_cfg']
    timm_name = vision_cfg['timm_model_name']
    cached = _cached_file(trained)
    if cached is None:
        _check_reachable(timm_name, trained)
    try:
        with _complete():
            trunk = timm.create_model(
                timm_name,
                pretrained=True,
                num_classes=0,
                global_pool=vision_cfg.get('timm_pool', 'avg'),
                pretrained_cfg_overlay=dict(file=str(cached), custom_load=False) if cached else None,
            )
    except (OSError, RuntimeError) as error:
        raise UserError(f"timm's weights of {timm_name} cannot be loaded into {name}: {error}") from error
    state = {f'trunk.{key}': value for key, value in trunk.state_dict().items()}
    state = {key.removeprefix('trunk.'): value for key, value in resize_positions(state, tower).items()}
    load_tower(tower.trunk, state, arch=name, source=f'{TIMM}/{timm_name}')


@contextmanager
def _complete() -> Iterator[None]:
    """Raise an error where timm only logs: for parts of a model that its weights leave random."""
    log = logging.getLogger('timm.models._builder')
    level, shown = log.level, log.getEffectiveLevel()
    missing: list[str] = []

    def note(record: logging.LogRecord) -> bool:
        if record.getMessage().startswith('Missing keys'):
            missing.append(record.getMessage())
        return record.levelno >= shown

    log.addFilter(note)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeFilter(note)
        log.setLevel(level)
    if missing:
        names = missing[0].partition('(')[2].partition(')')[0].split(', ')
        raise RuntimeError(
            f"they lack {first_few(names)}; a ViT whose class token was trained wants timm_pool='token' in vision_cfg"
        )


def _cached_file(trained: PretrainedCfg) -> Path | None:
    """Return the file of the weights on this machine, if timm has downloaded it before."""
    from huggingface_hub import try_to_load_from_cache

    if trained.hf_hub_id:
        for filename in (trained.hf_hub_filename,) if trained.hf_hub_filename else _WEIGHT_FILES:
            found = try_to_load_from_cache(trained.hf_hub_id, filename)
            if isinstance(found, str):
                return Path(found)
        return None
    kept = Path(torch.hub.get_dir()) / 'checkpoints' / trained.url.rsplit('/', 1)[-1]
    return kept if kept.is_file() and not trained.custom_load else None


def _check_reachable(timm_name: str, trained: PretrainedCfg) -> None:
    address = hub_endpoint() if trained.hf_hub_id else trained.url
    if not is_reachable(address):
        raise NotAtHandError(
            f"timm's weights of {timm_name} are not on this machine and {address} cannot be reached. Download them "
            f'where there is a network (python -c "import timm; timm.create_model(\'{timm_name}\', pretrained=True)") '
            'and bring the cache of the hub here (HF_HOME), or load a checkpoint that has the backbone.'
        )
