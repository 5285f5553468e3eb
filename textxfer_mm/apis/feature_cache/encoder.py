"""The part of a recognizer whose output is kept, and the digests that say what it is."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from textxfer_mm.apis.starting_model import starting_backbone
from textxfer_mm.engine.frameworks import features_of, takes_images
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.digests import digest, digest_of_weights

#: Settings of a backbone that say where its weights come from, or how it is trained, and change no feature.
NO_FEATURES = ('pretrained', 'pretrained2d', 'init_cfg', 'frozen', 'frozen_stages', 'norm_eval', 'with_cp')


class FrameEncoder:
    """The backbone of a config, in evaluation mode.

    Args:
        cfg: A whole config of a recognizer.
        checkpoint: A checkpoint of it; None takes the weights that training starts from.
        device: Where it runs.
        stage: ``'backbone'`` for all of it, or ``'frozen'`` for its frozen stages.

    Attributes:
        weights: Digest of the weights of what is taken.

    Raises:
        UserError: It is no recognizer, or the checkpoint does not fit.
    """

    def __init__(
        self, cfg: Config, checkpoint: str | Path | None, device: torch.device, stage: str = 'backbone'
    ) -> None:
        if takes_images(cfg.model):
            raise UserError(
                f'{cfg.model.get("type")} is a model of images: features before the neck are those of a recognizer.'
            )
        self._cfg, self.stage = cfg.model, stage
        self._model = starting_backbone(cfg, checkpoint).to(device).eval()
        backbone = self.backbone
        if stage == 'frozen' and not hasattr(backbone, 'encode_frozen'):
            raise UserError(f'{type(backbone).__name__} has no frozen stages to keep the output of; CLIPBackbone has.')
        prefixes = ('',) if stage == 'backbone' else tuple(f'visual.{name}.' for name in backbone.frozen_modules)
        weights = chain(backbone.named_parameters(), backbone.named_buffers())
        self.weights = digest_of_weights(pair for pair in weights if pair[0].startswith(prefixes))

    @property
    def backbone(self) -> nn.Module:
        """The backbone."""
        return self._model.backbone

    def pipeline_digest(self, steps: Sequence[Mapping[str, Any]]) -> str:
        """Digest of how videos become features by the steps of a pipeline, but for the weights."""
        pixels = {key: value for key, value in (self._cfg.get('data_preprocessor') or {}).items() if key != 'blending'}
        left_out = NO_FEATURES if self.stage == 'backbone' else (*NO_FEATURES, 'temporal')
        settings = {key: value for key, value in self._cfg.backbone.items() if key not in left_out}
        if self.stage == 'frozen':
            settings['frozen_stages'] = self.backbone.frozen_stages
        return digest([[dict(step) for step in steps], pixels, type(self._model).__name__, settings])

    @torch.no_grad()
    def encode(self, batch: Sequence[Any]) -> Tensor:
        """Features (N, V, D, T, H, W) of N samples, of a 2-D recognizer (N, V * T, D, H, W).

        Raises:
            UserError: The backbone gives something else than one feature map a view or frame.
        """
        if self.stage == 'frozen':
            inputs = self._model.data_preprocessor(pseudo_collate(batch), training=False)['inputs']
            features = self.backbone.encode_frozen(inputs.flatten(0, 1))
        else:
            features, _ = features_of(self._model, batch, stage='backbone')
        name, views = type(self.backbone).__name__, batch[0]['inputs'].shape[0]
        if not isinstance(features, Tensor):
            raise UserError(f'{name} gives {len(features)} feature maps at once; one is kept.')
        if features.ndim not in (4, 5) or len(features) != len(batch) * views:
            raise UserError(
                f'{name} gives {tuple(features.shape)} for {len(batch)} x {views} views or frames: one feature map '
                '(D, T, H, W) or (D, H, W) of each is kept.'
            )
        return features.float().unflatten(0, (len(batch), views)).cpu()
