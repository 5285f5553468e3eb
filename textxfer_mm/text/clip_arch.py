"""CLIP architectures and pretrained weights by name: resolving, downloading, checking that they fit."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from textxfer_mm.errors import NotAtHandError, UserError, first_few, nearest, shown
from textxfer_mm.text.clip_files import is_torchscript, read_clip_state_dict
from textxfer_mm.text.hub import hub_endpoint, is_reachable

logger = logging.getLogger(__name__)

#: What open_clip calls a file of weights, the preferred first.
WEIGHT_FILES = ('open_clip_model.safetensors', 'open_clip_pytorch_model.bin')
_CONFIG_KEYS = ('embed_dim', 'vision_cfg', 'text_cfg')
#: What a model config may hold: arguments of open_clip's CLIP, CustomTextCLIP and CoCa ...
_MODEL_KEYS = (*_CONFIG_KEYS, 'cast_dtype', 'init_logit_bias', 'init_logit_scale', 'multimodal_cfg')
_MODEL_KEYS += ('nonscalar_logit_scale', 'output_dict', 'pad_id', 'quick_gelu')
#: ... and entries that open_clip itself reads.
_KNOWN_KEYS = (*_MODEL_KEYS, 'custom_text', 'preprocess_cfg')

#: What they hold.
_CONFIG_TYPES = (('embed_dim', int, 'a whole number'),)
_CONFIG_TYPES += tuple((key, dict, 'a dict of options') for key in ('vision_cfg', 'text_cfg', 'preprocess_cfg'))


def resolve_arch(arch: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name and the model config of a CLIP architecture.

    Args:
        arch: The name of an open_clip model (``'ViT-B-16-quickgelu'``; ``'ViT-B/16'`` works too), or a model config as
            in open_clip's JSON files, with ``embed_dim``, ``vision_cfg`` and ``text_cfg``.

    Returns:
        The name (for a config: ``custom-`` and a hash of it) and a copy of the config.

    Raises:
        UserError: The name or an entry of the config is unknown (the nearest ones are listed), one is missing, or it is
            of another type.
    """
    if isinstance(arch, str):
        import open_clip  # here, as it takes seconds

        name = arch.replace('/', '-')
        if name not in open_clip.list_models():
            raise UserError(f'Unknown CLIP architecture {arch!r}.{nearest(name, open_clip.list_models())}')
        return name, open_clip.get_model_config(name)
    if not isinstance(arch, dict):
        raise UserError(f'`arch` is the name of an open_clip model or a model config, not a {type(arch).__name__}.')
    missing = [key for key in _CONFIG_KEYS if key not in arch]
    if missing:
        raise UserError(f'The CLIP model config lacks {", ".join(missing)}; it has {", ".join(arch) or "nothing"}.')
    for key in arch:
        if key not in _KNOWN_KEYS:
            raise UserError(f'Unknown entry {key!r} in the CLIP model config.{nearest(str(key), _KNOWN_KEYS)}')
    for key, kind, what in _CONFIG_TYPES:
        if key in arch and (not isinstance(arch[key], kind) or arch[key] is True):
            raise UserError(f'{key} of the CLIP model config is {what}, not {shown(repr(arch[key]), 100)}.')
    try:
        text = json.dumps(arch, sort_keys=True)
    except TypeError as error:
        raise UserError(f'The CLIP model config holds what JSON cannot ({error}).') from error
    return f'custom-{hashlib.sha256(text.encode()).hexdigest()[:12]}', json.loads(text)


def resolve_tag(arch: str | dict[str, Any], tag: str, also: Sequence[str] = ()) -> str:
    """Return the canonical spelling of a tag of pretrained weights.

    Args:
        arch: An architecture, see :func:`resolve_arch`.
        tag: The tag as it was given.
        also: Further names that the caller accepts, for the message.

    Raises:
        UserError: There is no such tag of open_clip for this architecture; the nearest ones are listed.
    """
    import open_clip

    name, _ = resolve_arch(arch)
    tags = open_clip.list_pretrained_tags_by_model(name)
    canonical = tag.lower().replace('-', '_')
    if canonical in tags:
        return canonical
    if not tags:
        raise UserError(
            f'open_clip has no pretrained weights for {name}; give a local file, or None. Got {tag!r}.'
            f'{nearest(canonical, also)}'
        )
    raise UserError(
        f'Unknown weights {tag!r} for {name}: neither a tag nor a file.{nearest(canonical, [*tags, *also])}'
    )


def resolve_pretrained(
    arch: str | dict[str, Any], pretrained: str | os.PathLike | None, also: Sequence[str] = ()
) -> str | Path | None:
    """Tell what ``pretrained`` is: a tag (returned as str), a local file (returned as Path) or None.

    A file need not exist: a checkpoint must load where the weights it started from are gone. Reading it tells.

    Args:
        arch: An architecture, see :func:`resolve_arch`.
        pretrained: A tag, a local file, or None.
        also: See :func:`resolve_tag`.

    Raises:
        UserError: It looks like a tag, and the architecture has no such tag.
    """
    if pretrained is None:
        return None
    from open_clip.pretrained import get_pretrained_cfg

    name, _ = resolve_arch(arch)
    text = os.fspath(pretrained)
    if get_pretrained_cfg(name, text):
        return resolve_tag(arch, text, also)
    path = Path(text).expanduser()
    if isinstance(pretrained, os.PathLike) or path.suffix or len(path.parts) > 1 or path.is_file():
        return path
    return resolve_tag(arch, text, also)


def load_pretrained_state(
    arch: str | dict[str, Any], pretrained: str | os.PathLike | None, also: Sequence[str] = ()
) -> dict[str, Tensor] | None:
    """Load the state dict of a whole CLIP model, both towers, in float32 on the CPU.

    Args:
        arch: An architecture, see :func:`resolve_arch`. A disagreement about quick GELU is logged as a warning.
        pretrained: A tag (downloaded once by open_clip), a local file, or None.
        also: See :func:`resolve_tag`.

    Returns:
        The weights, or None where ``pretrained`` is None.

    Raises:
        UserError: The tag is unknown or cannot be downloaded, or the file cannot be read.
    """
    resolved = resolve_pretrained(arch, pretrained, also)
    if resolved is None:
        return None
    from open_clip.pretrained import get_pretrained_cfg

    name, config = resolve_arch(arch)
    if isinstance(resolved, Path):
        # TorchScript archives are OpenAI's own files, and all of those were trained with quick GELU.
        trained_with = True if is_torchscript(resolved) else None
        path = resolved
    else:
        weights_cfg = get_pretrained_cfg(name, resolved)
        trained_with = bool(weights_cfg.get('quick_gelu', False))
        path = _download(name, resolved, weights_cfg)
    _warn_on_quick_gelu(name, config, trained_with, source=str(resolved))
    return read_clip_state_dict(path)


def load_tower(tower: nn.Module, state: Mapping[str, Tensor], *, arch: str, source: str | Path) -> None:
    """Load the weights of one tower into its module, and explain why if they do not fit.

    Args:
        tower: The module.
        state: Its weights, see ``vision_tower_state`` and ``text_tower_state``.
        arch: The name of the architecture, for the message.
        source: The tag or file the weights came from, for the message.

    Raises:
        UserError: Names or shapes differ; the first few are named.
    """
    own = tower.state_dict()
    problems = [f'{key} is missing' for key in own if key not in state]
    problems += [f'{key} is not part of it' for key in state if key not in own]
    problems += [
        f'{key} is {tuple(state[key].shape)}, not {tuple(own[key].shape)}'
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        raise UserError(f'The weights {source} do not fit the architecture {arch}: {first_few(problems, 3, "; ")}.')
    tower.load_state_dict(dict(state))


def _warn_on_quick_gelu(name: str, config: Mapping[str, Any], trained_with: bool | None, source: str) -> None:
    """Warn if the activation of the architecture is not that of the weights; say nothing if that is unknown."""
    has = bool(config.get('quick_gelu', False))
    if trained_with is None or trained_with == has:
        return
    from open_clip import list_models

    variant = f'{name}-quickgelu' if trained_with else name.removesuffix('-quickgelu')
    advice = f'; use arch={variant!r}' if variant in list_models() else ''
    logger.warning(
        'The weights %s were trained %s quick GELU, the architecture %s is built %s it: accuracy will suffer%s.',
        *(source, 'with' if trained_with else 'without', name, 'with' if has else 'without', advice),
    )


def _download(name: str, tag: str, weights_cfg: Mapping[str, Any]) -> Path:
    """Return the local file of a tag, downloading it if it is not there yet."""
    from huggingface_hub import try_to_load_from_cache
    from open_clip.pretrained import download_pretrained

    if address := weights_cfg.get('url'):
        # Where open_clip and OpenAI's own package keep what they downloaded by address.
        kept = Path('~/.cache/clip').expanduser() / address.rsplit('/', 1)[-1]
        if kept.is_file():
            return kept
    # open_clip asks the hub first, and the address only for weights without a hub entry.
    repository, filename = os.path.split(weights_cfg.get('hf_hub', ''))
    if repository:
        for candidate in (filename,) if filename else WEIGHT_FILES:
            cached = try_to_load_from_cache(repository, candidate)
            if isinstance(cached, str):
                return Path(cached)
    address = hub_endpoint() if repository else address
    hint = 'give a local file instead (its path as `pretrained`, or --pretrained), or download it where a network is'
    if not is_reachable(address):
        raise NotAtHandError(
            f'The weights {tag!r} of {name} are not on this machine and {address} cannot be reached; {hint}.'
        )
    try:
        return Path(download_pretrained(weights_cfg))
    except (OSError, RuntimeError) as error:
        raise NotAtHandError(
            f'Downloading the weights {tag!r} of {name} from {address} failed ({error}); {hint}.'
        ) from error
