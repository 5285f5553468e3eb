"""The temporal transformer over frame features (T-Trans)."""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from textxfer_mm.errors import UserError


class TemporalTransformerLayers(nn.Module):
    """``Transf(x + positions) + x`` over the frames of each video (Text4Vis, temporal module "T-Trans").

    Pre-LN blocks (eps 1e-12) with a QuickGELU MLP of four times the width, no dropout, no mask and no last LayerNorm;
    one residual goes around the whole. The average over T that follows in the paper is left to the caller.

    The names of the weights are those of the authors' ``fusion_model``: ``frame_position_embeddings.weight`` and
    ``transformer.resblocks.*``.

    Args:
        width: The width D of the frame features.
        num_layers: Number of blocks.
        num_heads: Number of attention heads; None means ``width // 64`` (of the bottleneck where there is one), the
            heads of CLIP's text tower wherever its width is D (8 for ViT-B, 12 for ViT-L). RN50 has D = 1024 but a text
            width of 512: give 8.
        max_frames: Number of rows of the position table (77 in the authors' checkpoints).
        num_frames: The T for which the positions were trained; for any other T, the first ``num_frames`` rows are
            interpolated linearly. None assigns row t to frame t, as the authors do, and interpolates the whole table
            only for more than ``max_frames`` frames.

    Raises:
        UserError: The width is not a multiple of the heads, or ``num_frames`` exceeds ``max_frames``.
    """

    def __init__(
        self,
        width: int,
        *,
        num_layers: int = 6,
        num_heads: int | None = None,
        max_frames: int = 77,
        num_frames: int | None = None,
        bottleneck: int | None = None,
    ) -> None:
        from open_clip.transformer import LayerNorm, QuickGELU, Transformer  # here, as it takes seconds

        super().__init__()
        if bottleneck is not None and not 1 <= bottleneck < width:
            raise UserError(f'T-Trans: bottleneck={bottleneck} must lie between 1 and the width {width} less one.')
        inner = bottleneck or width
        num_heads = max(inner // 64, 1) if num_heads is None else num_heads
        if inner % num_heads:
            raise UserError(f'T-Trans: the width {inner} is no multiple of num_heads={num_heads}.')
        if num_frames is not None and not 1 <= num_frames <= max_frames:
            raise UserError(f'T-Trans: num_frames={num_frames} must lie between 1 and max_frames={max_frames}.')
        self.num_frames = num_frames
        self.frame_position_embeddings = nn.Embedding(max_frames, inner)
        self.transformer = Transformer(
            inner, num_layers, num_heads, act_layer=QuickGELU, norm_layer=partial(LayerNorm, eps=1e-12)
        )
        self.down = self.up = None
        if bottleneck is not None:
            self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        self.apply(_init_weights)
        if bottleneck is not None:
            nn.init.zeros_(self.up.weight)

    def positions(self, num_frames: int) -> Tensor:
        """Return the position embeddings (T, D), or (T, d) of a bottleneck, of a video of ``num_frames`` frames."""
        table = self.frame_position_embeddings.weight  # (max_frames, D or d)
        table = table[: self.num_frames or num_frames]
        if len(table) == num_frames:
            return table
        # Frames are spread over the video in equal segments: half-pixel centres, hence align_corners=False
        return F.interpolate(table.t()[None], size=num_frames, mode='linear', align_corners=False)[0].t()

    def forward(self, x: Tensor) -> Tensor:
        """Mix the frames of each video: (N, T, D) to (N, T, D)."""
        positions = self.positions(x.shape[1])
        if self.down is None:
            return self.transformer(x + positions) + x
        return self.up(self.transformer(self.down(x) + positions)) + x


def _init_weights(module: nn.Module) -> None:
    """N(0, 0.02) for linear layers and embeddings, zero biases; the joint q, k, v projection stays Xavier-uniform."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
