"""From the checkpoints of others to those of our recognizers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.convert.arch import RecognizedArch, embed_dim, named_arch, recognize_arch
from textxfer_mm.convert.dimensions import count_blocks
from textxfer_mm.convert.parts import (
    FUSION,
    OUR_FUSION,
    TABLE,
    Parts,
    misfits,
    require_finite,
    split,
)
from textxfer_mm.convert.source_files import SourceFile, read_source_file
from textxfer_mm.convert.vifi_classifier import vifi_classifier
from textxfer_mm.engine.checkpoint import write_checkpoint
from textxfer_mm.engine.clip_export import OUR_SCALE, OUR_VISUAL
from textxfer_mm.errors import UserError
from textxfer_mm.files import require_writable_file
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.text.clip_files import is_of_text_tower
from textxfer_mm.version import __version__


@dataclass(frozen=True)
class Conversion:
    """What was recognised, and what was written.

    Attributes:
        src: The source's file.
        dst: Our checkpoint.
        source: Key of ``SOURCES``.
        arch: The CLIP architecture.
        temporal: ``temporal`` of the backbone, or None.
        neck: The config of the neck.
        num_frames: T of the training, where the file says so; else None.
        told_activation: Whether the source says which GELU it was trained with.
        dropped: Entries that have no place in a recognizer, by the reason.
        notes: What else to tell about the weights.
        classifier: The file of the classifier that was made of ViFi-CLIP's text side, if its class names were given.
    """

    src: Path
    dst: Path
    source: str
    arch: RecognizedArch
    temporal: dict[str, Any] | None
    neck: dict[str, Any]
    num_frames: int | None
    told_activation: bool = True
    dropped: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    classifier: Path | None = None

    @property
    def backbone(self) -> dict[str, Any]:
        """The config of the backbone."""
        size = {} if self.arch.image_size is None else dict(image_size=self.arch.image_size)
        temporal = {} if self.temporal is None else dict(temporal=self.temporal)
        return dict(type='CLIPBackbone', arch=self.arch.arch, **size, **temporal)

    @property
    def has_text(self) -> bool:
        """Whether the source holds a whole text tower, with which the classifier can be made."""
        text = [name for names in self.dropped.values() for name in names if is_of_text_tower(name)]
        return bool(text) and self.source != 'vifi-clip'  # whose file lacks the embeddings of the tokens


def convert_checkpoint(
    src: str | Path,
    dst: str | Path,
    *,
    source: str,
    arch: str | None = None,
    class_names: str | Path | Sequence[str] | None = None,
) -> Conversion:
    """Convert a checkpoint of others into one of our recognizers.

    The vision tower becomes ``backbone.visual.*``, TokenT1D ``backbone.temporal.*``, the temporal transformer
    ``neck.layers.*`` and the scale ``cls_head.cosine.logit_scale``, all in float32. The classifier is the config's to
    build.

    Args:
        src: The source's file; no code in it runs.
        dst: Our checkpoint; it is written in one piece, over an older one.
        source: What it is, a key of ``SOURCES``; for ``'multitrain'`` see
            :func:`~textxfer_mm.convert.multitrain.convert_multitrain`.
        arch: The architecture, where it cannot be recognised or is to be checked: an open_clip model name or a JSON
            file with a model config.
        class_names: For ``'vifi-clip'``, the names of its classes, see ``load_class_names``: their classifier is made
            with its text tower and written beside ``dst``, as ``*.classifier.safetensors``.

    Raises:
        UserError: The file is no such checkpoint, its weights are not those of the architecture (what is missing,
            unexpected or of another shape is listed), or ``dst`` is ``src`` or cannot be written.
    """
    target = require_writable_file(dst, 'DST')
    refuse_same_file(src, target)
    names = None if class_names is None else load_class_names(class_names)
    if names is not None and source != 'vifi-clip':
        raise UserError(
            f'--class-names says nothing with --source {source}: only files of ViFi-CLIP hold their prompts.'
        )
    file = read_source_file(src, source)
    parts = split(file)
    quick_gelu = None if source == 'open_clip' else file.settings.quick_gelu is not False
    known = _arch(file, parts, quick_gelu, arch)
    found = misfits(parts, known)
    if found:
        name = known.arch if isinstance(known.arch, str) else 'the architecture'
        raise UserError(f'{file.path} does not fit {name}; {found}{_other_arch(file, parts, quick_gelu, arch)}')
    require_finite(parts, file.path)
    told = quick_gelu is not None and (source != 'huggingface' or file.settings.quick_gelu is not None)
    bundle = None if names is None else vifi_classifier(file.weights, names, file.path)
    done = Conversion(
        *(file.path, target, source, known, _temporal(parts), _neck(parts, known), _num_frames(file), told),
        *(parts.dropped, tuple(parts.notes)),
        None if bundle is None else target.with_suffix('.classifier.safetensors'),
    )
    meta = dict(textxfer_mm=__version__, source=source, prefix=file.prefix, dtypes=_other_dtypes(file.weights))
    meta |= dict(control_point=parts.control_point, arch=known.arch)
    if bundle is not None:
        bundle.save(done.classifier)
    write_checkpoint(target, dict(state_dict=_our_state(parts), meta=meta))
    return done


def _arch(file: SourceFile, parts: Parts, quick_gelu: bool | None, given: str | None) -> RecognizedArch:
    """The architecture, as it was given or as most weights tell it."""
    if given is not None:
        return named_arch(given, parts.visual, quick_gelu=quick_gelu)
    text_width = file.weights['ln_final.weight'].numel() if 'ln_final.weight' in file.weights else None
    beside = {name: value for name, value in file.weights.items() if not name.startswith('visual.')}
    return recognize_arch(
        *(parts.visual,),
        quick_gelu=quick_gelu,
        text_width=text_width,
        path=file.path,
        beside=beside,
        settings=file.settings,
    )


def _other_arch(file: SourceFile, parts: Parts, quick_gelu: bool | None, given: str | None) -> str:
    """Name the architecture that the weights fit, where another was given."""
    try:
        known = _arch(file, parts, quick_gelu, None) if given is not None else None
    except UserError:
        return ''
    if known is None or misfits(parts, known):
        return ''
    name = known.arch if isinstance(known.arch, str) else 'that of no model of open_clip'
    return f' Without --arch {given} it fits: its architecture is {name}.'


def refuse_same_file(src: str | Path, dst: Path) -> None:
    """Refuse to write a conversion over its own source."""
    if dst.exists() and Path(src).expanduser().exists() and dst.samefile(Path(src).expanduser()):
        raise UserError(f'SRC and DST are one file, {dst}; give another DST.')


def _temporal(parts: Parts) -> dict[str, Any] | None:
    if not parts.blocks:
        return None
    count = count_blocks(parts.visual, 'transformer.resblocks.')
    layers = {} if len(parts.blocks) == count else dict(layers=sorted(parts.blocks))
    return dict(type='TokenT1D', **layers)


def _neck(parts: Parts, known: RecognizedArch) -> dict[str, Any]:
    """The config of the neck; only what differs from the defaults of ``TemporalTransformer``."""
    if not parts.fusion:
        return dict(type='TemporalAveragePool')
    width = embed_dim(known.arch)
    layers = count_blocks(parts.fusion, 'transformer.resblocks.')
    neck: dict[str, Any] = dict(type='TemporalTransformer', in_channels=width)
    if layers != 6:
        neck['num_layers'] = layers
    heads = known.text_heads or max(width // 64, 1)
    heads = next(number for number in range(heads, 0, -1) if not width % number)
    if heads != max(width // 64, 1):
        neck['num_heads'] = heads
    if len(parts.fusion[TABLE]) != 77:
        neck['max_frames'] = len(parts.fusion[TABLE])
    return neck


def _num_frames(file: SourceFile) -> int | None:
    """T of the training: the rows of the position table that the optimizer ever saw a gradient of, where it was saved.

    The table itself has the same rows whatever T was.
    """
    table = file.weights.get(FUSION + TABLE)
    states = file.optimizer.get('state') if isinstance(file.optimizer, Mapping) else None
    if table is None or not isinstance(states, Mapping):
        return None
    moments = [state.get('exp_avg_sq') for state in states.values() if isinstance(state, Mapping)]
    of_table = [moment for moment in moments if isinstance(moment, Tensor) and moment.shape == table.shape]
    if len(of_table) != 1:  # another parameter of this shape, such as the positions of a text tower
        return None
    return int(of_table[0].any(dim=1).sum()) or None


def _our_state(parts: Parts) -> dict[str, Tensor]:
    state = {OUR_VISUAL + name: value for name, value in parts.visual.items()}
    state |= {f'backbone.temporal.block{number}.weight': value for number, value in sorted(parts.blocks.items())}
    state |= {OUR_FUSION + name: value for name, value in parts.fusion.items()}
    state[OUR_SCALE] = parts.scale.reshape(())
    return {
        name: (value.float() if value.is_floating_point() else value).clone().contiguous()
        for name, value in state.items()
    }


def _other_dtypes(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """The names of floating-point entries that were not float32, with their dtype."""
    return {
        name: str(value.dtype).removeprefix('torch.')
        for name, value in weights.items()
        if value.is_floating_point() and value.dtype != torch.float32 and not is_of_text_tower(name)
    }
