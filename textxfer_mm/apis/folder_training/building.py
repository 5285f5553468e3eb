"""The candidates of a run, built for its encoder."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from textxfer_mm.apis.folder_training.candidates import Candidate, LinearProbe, Prototypes, ZeroShot
from textxfer_mm.apis.folder_training.encoder import Encoder
from textxfer_mm.apis.folder_training.recipes import frozen_recipe, linear_head, whole_recipe
from textxfer_mm.apis.folder_training.tip_adapter import TipAdapter
from textxfer_mm.apis.folder_training.trained import CosineFromText, TemporalModule
from textxfer_mm.apis.folder_training.videos import LabelledVideos
from textxfer_mm.engine.classes import head_of
from textxfer_mm.engine.frameworks import in_scope
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.registry import MODELS

#: A class of fewer videos is few: prototypes and Tip-Adapter are tried.
FEW_SHOTS = 10
#: Where a config names a file of rows that its candidate is yet to make.
_TO_BE_WRITTEN = 'rows.safetensors'
#: Learning rates of their configs: on 153 toy actions a linear map reached 27 % in 15 epochs at 1e-3, 38 % at 1e-2, and
#: 38 % as scikit-learn's fit.
_LINEAR_RATE, _TEMPORAL_RATE = 1e-2, 3e-4
#: The widest that the blocks of the temporal module are: there are few videos to train them.
_BOTTLENECK = 128


class Building:
    """Builds the candidates on features, those that learn less before those that learn more.

    Args:
        encoder: What gives the features.
        videos: The videos.
    """

    def __init__(self, encoder: Encoder, videos: LabelledVideos) -> None:
        self._encoder, self._names = encoder, videos.class_names
        self._weights = encoder.starting_weights()
        self._few = min(videos.counts) < FEW_SHOTS
        self._topk = dict(topk=1) if len(self._names) < 5 else {}

    def whole_recipe(self, width: int) -> Config:
        """The config that trains the whole model.

        Args:
            width: D of the features that reach the head.
        """
        return whole_recipe(self._encoder.start, self._names, width, self._weights)

    def candidates(self, width: int, frame_width: int | None) -> list[Candidate]:
        """What to try.

        Args:
            width: D of the features that reach the head.
            frame_width: D of the features of frames; None where there are none to mix.
        """
        text = None if self._encoder.text_reason else self._text_head()
        made: list[Candidate] = [] if text is None else [ZeroShot(text, self._recipe(cls_head=self._text_cfg))]
        made.append(self._linear(width))
        if self._few:
            made.append(self._prototypes(width))
        if text is not None:
            cfg, head = self._from_text(text)
            made.append(CosineFromText(head, self._recipe(cls_head=cfg)))
            if frame_width is not None:
                made.append(self._temporal(frame_width, cfg, head))
            if self._few:
                made.append(self._tip_adapter(text, width))
        return made

    @property
    def _text_cfg(self) -> dict[str, Any]:
        """The config of the encoder's own head."""
        return copy.deepcopy(dict(head_of(dict(model=self._encoder.model_cfg))))

    def _text_head(self) -> nn.Module:
        """The head that compares with the embedded class names, its rows made."""
        head = self._encoder.model.cls_head
        _fetch(head)
        return head

    def _linear(self, width: int) -> LinearProbe:
        """The linear map whose rows are the classes."""
        names = list(self._names)
        cfg = linear_head(names, width)
        return LinearProbe(self._build(cfg), self._recipe(_LINEAR_RATE, cls_head=cfg))

    def _prototypes(self, width: int) -> Prototypes:
        """A cosine classifier whose rows come from a file; it has none yet."""
        file = dict(type='FileClassifier', path=_TO_BE_WRITTEN)
        cfg = dict(type='TextEmbeddingHead', in_channels=width, embed_dims=width, classifier=file, **self._topk)
        cfg |= dict(num_classes=len(self._names), test_scale=None, init_scale=20.0)
        return Prototypes(self._build(cfg, fetch=False), self._recipe(cls_head=cfg), self._names)

    def _from_text(self, text: nn.Module) -> tuple[dict[str, Any], nn.Module]:
        """The head that starts at the text rows and trains them, and its config."""
        cfg = self._text_cfg
        cfg.update(frozen=False, test_scale=None, init_scale=float(text.cosine.scale(False)), learn_scale=True)
        if isinstance(cfg.get('projection'), dict) and cfg['projection']['type'] == 'ConSEProjection':
            cfg['projection'] = dict(cfg['projection'], residual=True)
        head = self._build(cfg)
        head.projection.load_state_dict(text.projection.state_dict(), strict=False)
        return cfg, head

    def _temporal(self, width: int, head_cfg: dict[str, Any], head: nn.Module) -> TemporalModule:
        """The temporal transformer of the checkpoint, if it has one, or a narrow one that starts at the average."""
        own = self._encoder.model_cfg.get('neck') or {}
        if own.get('type') == 'TemporalTransformer':
            return TemporalModule(self._encoder.model.neck, head, self._recipe(_TEMPORAL_RATE, cls_head=head_cfg))
        cfg = dict(type='TemporalTransformer', in_channels=width, num_layers=1)
        cfg |= dict(bottleneck=min(_BOTTLENECK, width // 2))
        with in_scope(self._encoder.start.cfg), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            neck = MODELS.build(dict(cfg))
        return TemporalModule(neck, head, self._recipe(_TEMPORAL_RATE, neck=cfg, cls_head=head_cfg))

    def _tip_adapter(self, text: nn.Module, width: int) -> TipAdapter:
        """The head that adds the votes of a cache to the logits of the text rows."""
        cfg = dict(self._text_cfg, type='TipAdapterHead', cache=_TO_BE_WRITTEN, num_keys=1)
        cfg.update(init_scale=float(text.cosine.scale(False)), learn_scale=False, in_channels=width)
        for option in ('frozen', 'train_templates', 'template_seed'):
            cfg.pop(option, None)
        head = self._build(cfg)
        head.projection.load_state_dict(text.projection.state_dict())
        return TipAdapter(text, head, self._recipe(cls_head=dict(cfg, train_keys=True)), self._names)

    def _recipe(self, rate: float = 1e-3, **parts: Mapping[str, Any]) -> Config:
        return frozen_recipe(self._encoder.start, self._encoder.model_cfg, parts, rate, self._weights)

    def _build(self, cfg: dict[str, Any], *, fetch: bool = True) -> nn.Module:
        """Build a head, as a rule with its rows made."""
        with in_scope(self._encoder.start.cfg):
            head = MODELS.build(copy.deepcopy(cfg))
        if fetch:
            _fetch(head)
        return head


def _fetch(head: nn.Module) -> None:
    """Make the rows of a head, and read the weights of its projection."""
    head.class_rows.fill()
    if isinstance(head.projection, LazyWeights):
        head.projection.ensure_weights()
