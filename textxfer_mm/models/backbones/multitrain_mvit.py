"""The MViTv2 of MultiTrain: mmaction2's, with separable positions, another shortcut and the authors' initialisation."""

from collections.abc import Mapping
from typing import Any

import torch
from mmaction.models.backbones.mvit import MultiScaleBlock, MViT, attention_pool, resize_pos_embed
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.registry import MODELS

#: Of the norms behind the pooling of q, k and v; all others have 1e-6.
_POOLING_EPS = 1e-5
#: Linear layers and norms; convolutions keep PyTorch's own initialisation.
_INIT = (
    dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
    dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
)


class ShortcutBlock(BaseModule):
    """A block that widens its tokens, with a shortcut over ``proj(x)`` where mmaction2's has ``proj(norm1(x))``.

    Args:
        block: mmaction2's block, whose parts are taken over under their names.
    """

    def __init__(self, block: MultiScaleBlock) -> None:
        super().__init__()
        self.pool_skip = None  # of a block that widens and does not pool
        for name, part in block.named_children():
            setattr(self, name, part)

    def forward(self, x: Tensor, in_size: tuple[int, int, int]) -> tuple[Tensor, tuple[int, int, int]]:
        """Attend and widen: tokens (N, L, D) on a grid (T, H, W) become (N, L', 2D) on the pooled grid."""
        attended, out_size = self.attn(self.norm1(x), in_size)
        skip = self.proj(x)
        if self.pool_skip is not None:
            skip, _ = attention_pool(skip, self.pool_skip, in_size)
        x = skip + self.drop_path(attended)
        return x + self.drop_path(self.mlp(self.norm2(x))), out_size


@MODELS.register_module()
class MultiTrainMViT(MViT):
    """The backbone of MultiTrain (Liang et al., NeurIPS 2022, supplementary, section 1 and Table 2).

    mmaction2's MViTv2 without class token and relative positions, with these changes, which are those of the released
    code: one position embedding for the place and one for the time, ``pos_s`` (1, H*W, D) and ``pos_t`` (1, T, D),
    are added to the patches; blocks that widen have :class:`ShortcutBlock`'s shortcut; the norms behind the pooling
    have an epsilon of 1e-5; biases start at zero and convolutions as PyTorch makes them.

    Positions of a checkpoint, or of a clip of another size, are resized linearly, as in mmaction2; how the authors
    resized theirs from 56 x 56 to 78 x 78 for 312 pixels is not known.

    Args:
        arch: ``'base'`` (24 blocks, wider at 2, 5 and 21: the paper's Table 2 and the released 32x3 models),
            ``'small'`` (16 blocks, wider at 1, 3 and 14: the released 16x4 models), another name of mmaction2's
            ``MViT.arch_zoo``, or a dict as there.
        spatial_size: Height and width of the clips in pixels.
        temporal_size: Frames of the clips. Images are clips of one frame.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0.
        interpolate_mode: How positions are resized, see :func:`torch.nn.functional.interpolate`.
        init_cfg: Initialisation config of MMEngine; None is the authors' initialisation.

    Raises:
        UserError: There is no such architecture.
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'base',
        *,
        spatial_size: int = 224,
        temporal_size: int = 32,
        drop_path_rate: float = 0.1,
        interpolate_mode: str = 'trilinear',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            arch=_known(arch),
            spatial_size=spatial_size,
            temporal_size=temporal_size,
            drop_path_rate=drop_path_rate,
            interpolate_mode=interpolate_mode,
            rel_pos_embed=False,
            rel_pos_zero_init=True,  # without, initialisation asks for the relative positions that there are not
            with_cls_token=False,
            output_cls_token=False,
            init_cfg=[dict(cfg) for cfg in _INIT] if init_cfg is None else init_cfg,
        )
        del self.cls_token  # mmaction2 makes it and cuts it off again; decay alone would move it
        frames, rows, columns = self.patch_resolution
        self.pos_s = nn.Parameter(torch.zeros(1, rows * columns, self.embed_dims))
        self.pos_t = nn.Parameter(torch.zeros(1, frames, self.embed_dims))
        for i, block in enumerate(self.blocks):
            for norm in (block.attn.norm_q, block.attn.norm_k, block.attn.norm_v):
                norm.eps = _POOLING_EPS
            if block.proj is not None:
                self.blocks[i] = ShortcutBlock(block)
        self.register_load_state_dict_pre_hook(_resize_loaded)

    @property
    def out_channels(self) -> int:
        """The width D of the features."""
        return getattr(self, self._norm).normalized_shape[0]

    def init_weights(self) -> None:
        """Initialise as the authors do, or as ``init_cfg`` says."""
        loads = isinstance(self.init_cfg, Mapping) and self.init_cfg['type'] == 'Pretrained'
        if not self.is_init and not loads:
            trunc_normal_(self.pos_s, std=0.02)
            trunc_normal_(self.pos_t, std=0.02)
        super().init_weights()

    def forward(self, x: Tensor) -> Tensor:
        """Encode clips.

        Args:
            x: Normalised clips (N, 3, T, H, W).

        Returns:
            A feature map (N, D, T', H', W'), as 3-D heads take it, where mmaction2's has a tuple of one or a pair with
            the class token; the authors' feature is its mean.

        Raises:
            UserError: Another shape.
        """
        if x.ndim != 5:
            raise UserError(f'MultiTrainMViT takes clips (N, 3, T, H, W), not {tuple(x.shape)}; use Recognizer3D.')
        x, grid = self.patch_embed(x)  # (N, T*H*W, D)
        x = x + self._positions(*grid)
        for block in self.blocks:
            x, grid = block(x, grid)
        x = getattr(self, self._norm)(x)
        return x.transpose(1, 2).unflatten(2, tuple(grid))

    @property
    def _norm(self) -> str:
        """The name of the last norm: mmaction2 numbers it by its stage."""
        return f'norm{self.num_scales - 1}'

    def _positions(self, frames: int, rows: int, columns: int) -> Tensor:
        """The positions of a grid (1, T*H*W, D), time outermost."""
        place = _resized(self.pos_s, (1, *self.patch_resolution[1:]), (1, rows, columns), self.interpolate_mode)
        time = _resized(self.pos_t, (self.patch_resolution[0], 1, 1), (frames, 1, 1), self.interpolate_mode)
        return (time[:, :, None] + place[:, None]).flatten(1, 2)


def _resized(positions: Tensor, old: tuple[int, ...], new: tuple[int, ...], mode: str) -> Tensor:
    return resize_pos_embed(positions, old, new, mode=mode, num_extra_tokens=0)


def _resize_loaded(model: MultiTrainMViT, state: dict[str, Tensor], prefix: str, *args: Any) -> None:
    """Bring the positions of a state to the size of a model; those of another width are left for the loader."""
    frames, *grid = model.patch_resolution
    places, times = state.get(f'{prefix}pos_s'), state.get(f'{prefix}pos_t')
    if _is_other(places, model.pos_s) and (side := round(places.shape[1] ** 0.5)) ** 2 == places.shape[1]:
        state[f'{prefix}pos_s'] = _resized(places.float(), (1, side, side), (1, *grid), model.interpolate_mode)
    if _is_other(times, model.pos_t):
        old, new = (times.shape[1], 1, 1), (frames, 1, 1)
        state[f'{prefix}pos_t'] = _resized(times.float(), old, new, model.interpolate_mode)


def _is_other(given: Tensor | None, own: Tensor) -> bool:
    """Whether positions differ in their number alone."""
    return given is not None and given.ndim == 3 and given.shape[1] != own.shape[1] and given.shape[2] == own.shape[2]


def _known(arch: str | Mapping[str, Any]) -> str | dict[str, Any]:
    """An architecture as mmaction2 takes it."""
    if isinstance(arch, Mapping):
        needed = ('embed_dims', 'num_layers', 'num_heads', 'downscale_indices')
        missing = [key for key in needed if key not in arch]
        if missing:
            raise UserError(
                f'The arch of MultiTrainMViT lacks {", ".join(missing)}; as a dict it needs all of {needed}.'
            )
        return dict(arch)
    if arch not in MViT.arch_zoo:
        raise UserError(f'MultiTrainMViT has no arch {arch!r}.{nearest(str(arch), MViT.arch_zoo)}')
    return arch
