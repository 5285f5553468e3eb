"""The head that replaces a video classifier's linear layer by the embeddings of the class names."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.cosine import cosine_logits
from textxfer_mm.models.building import build_classifier_source
from textxfer_mm.models.head_projections import build_projection
from textxfer_mm.models.heads.classifier_state import ClassifierState, if_known
from textxfer_mm.models.heads.pooling import FEATURE_CHOICES, Features, pool_features
from textxfer_mm.models.heads.train_templates import TrainTemplates
from textxfer_mm.registry import MODELS

from mmaction.models.heads import BaseHead  # isort: skip  (after the registry: it repairs mmaction first)
from mmaction.utils import SampleList  # isort: skip

AVERAGE_CLIPS = ('feature', 'prob', 'score', None)


@MODELS.register_module()
class TextEmbeddingHead(ClassifierState, BaseHead):
    """Cosine classifier over class embeddings that stay frozen (Text4Vis, section 2.2).

    logits = exp(logit_scale) * normalise(projection(pool(feats))) @ normalise(classifier).T, without a bias. The
    matrix, class names, templates and encoder id are part of the checkpoint
    (:class:`~textxfer_mm.models.heads.classifier_state.ClassifierState`).

    Args:
        in_channels: width of the pooled features.
        classifier: a classifier source or its config, e.g. ``dict(type='TextClassifier', class_names='kinetics400',
            encoder=dict(type='CLIPTextEncoder', arch='ViT-B-16-quickgelu', pretrained='openai'))``.
        num_classes: K; ``None`` counts the class names. Given, it must agree with them.
        embed_dims: D; ``None`` asks the classifier source.
        frozen: keep the classifier fixed; ``False`` trains it from its initial value (supp. Table 2).
        train_templates: a template set or several templates of which one is drawn at each training iteration, the same
            for all classes (Table 4, "multiple"; :class:`~textxfer_mm.models.heads.train_templates.TrainTemplates`);
            testing uses the classifier's own. ``None`` trains with the classifier's own as well.
        template_seed: seed of these draws, which are the same on all ranks.
        projection: ``None``, ``'linear'``, ``'mlp'`` or a config dict; needed when ``in_channels`` differs from D.
        feature: which feature to take where the backbone returns several, see
            :func:`~textxfer_mm.models.heads.pooling.pool_features`.
        num_segments: frames a clip has in 2-D recognisers; ``None`` averages all frames of a video into one clip.
        dropout_ratio: dropout on the pooled features.
        init_scale: the scale at the start of training; ``None`` takes 100, what CLIP's own training ends at, and 10 for
            ``multi_class``, whose sigmoids would saturate.
        learn_scale: train the scale.
        test_scale: the scale in evaluation (released code: 100); ``None`` takes the trained one, as multi-label heads
            always do.
        init_bias: initial value of the trained scalar bias of multi-label heads; ignored otherwise.
        loss_cls: the loss; ``None`` takes cross-entropy, or binary cross-entropy for ``multi_class``.
        multi_class: multi-label recognition (mmaction's name).
        label_smooth_eps: label smoothing.
        topk: which top-k accuracies training logs.
        average_clips: how views are averaged: ``'feature'`` averages un-normalised features before the classifier (the
            paper's protocol), ``'prob'`` probabilities, ``'score'`` logits, ``None`` keeps the views.
        init_cfg: as in every mmengine module.

    Raises:
        UserError: unknown options, widths or class counts that disagree.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        num_classes: int | None = None,
        embed_dims: int | None = None,
        frozen: bool = True,
        train_templates: str | Sequence[str] | None = None,
        template_seed: int = 0,
        projection: str | dict[str, Any] | None = None,
        feature: str = 'auto',
        num_segments: int | None = None,
        dropout_ratio: float = 0.0,
        init_scale: float | None = None,
        learn_scale: bool = True,
        test_scale: float | None = 100.0,
        init_bias: float = -10.0,
        loss_cls: dict[str, Any] | None = None,
        multi_class: bool = False,
        label_smooth_eps: float = 0.0,
        topk: int | tuple[int, ...] = (1, 5),
        average_clips: str | None = 'feature',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        for value, choices, option in (
            (feature, FEATURE_CHOICES, 'feature'),
            (average_clips, AVERAGE_CLIPS, 'average_clips'),
        ):
            if value not in choices:
                raise UserError(f'Unknown {option}={value!r} of TextEmbeddingHead.{nearest(value, choices)}')
        if init_scale is None:
            init_scale = 10.0 if multi_class else 100.0
        if init_scale <= 0 or (num_segments is not None and num_segments < 1):
            raise UserError(
                f'TextEmbeddingHead takes a positive init_scale and num_segments, got {init_scale} and {num_segments}.'
            )
        loss_cls = loss_cls or dict(type='BCELossWithLogits' if multi_class else 'CrossEntropyLoss')
        super().__init__(
            num_classes,
            in_channels,
            loss_cls=loss_cls,
            multi_class=multi_class,
            label_smooth_eps=label_smooth_eps,
            topk=topk,
            average_clips=average_clips,
            init_cfg=init_cfg,
        )
        source = build_classifier_source(classifier)
        if embed_dims is None:
            embed_dims = if_known(source, 'embed_dims')
        if embed_dims is None and projection is not None:
            raise UserError(
                "The width of the classifier's encoder cannot be known here, because it is not at hand: give "
                'TextEmbeddingHead(embed_dims=...), and a checkpoint will load without it.'
            )
        self.register_classifier(source, num_classes, embed_dims or in_channels, frozen)
        self.train_templates = self._train_templates(train_templates, template_seed)
        self.projection = build_projection(projection, in_channels, self.embed_dims)
        self.dropout = nn.Dropout(dropout_ratio)
        self.feature = feature
        self.num_segments = num_segments
        self.test_scale = None if multi_class else test_scale
        self.logit_scale = nn.Parameter(torch.tensor(math.log(init_scale)), requires_grad=learn_scale)
        self.logit_bias = nn.Parameter(torch.tensor(float(init_bias))) if multi_class else None

    def embed(self, feats: Features) -> Tensor:
        """Pool and project: features of any kind -> (rows, D), un-normalised.

        Raises:
            UserError: the features are not ``in_channels`` wide.
        """
        x = pool_features(feats, self.feature)  # (rows, in_channels)
        if x.shape[1] != self.in_channels:
            raise UserError(
                f'{type(self).__name__} has in_channels={self.in_channels}, but the features are {x.shape[1]} wide.'
            )
        return self.projection(self.dropout(x))  # (rows, D)

    def logits(self, embeddings: Tensor, training: bool) -> Tensor:
        """Classify embeddings (N, D) -> logits (N, K) in float32, with the learned or the testing scale."""
        self.ensure_weights()
        learned = training or self.test_scale is None
        scale = self.logit_scale.exp() if learned else self.test_scale
        bias = 0.0 if self.logit_bias is None else self.logit_bias
        return cosine_logits(embeddings, self.class_embeddings(training), scale, bias)

    def class_embeddings(self, training: bool) -> Tensor:
        """The classifier (K, D) of this pass; in training with ``train_templates``, that of the template drawn."""
        drawn = training and self.train_templates is not None
        return self.train_templates() if drawn else self.classifier

    def init_weights(self) -> None:
        """Initialise, and make the classifiers of testing and training unless they are there."""
        super().init_weights()
        if self.train_templates is not None:
            self.train_templates.fill()

    def forward(self, x: Features, **kwargs: Any) -> Tensor:
        """Features of any kind -> logits (rows, K); what else a recognizer passes (``num_segs``, ...) is not needed."""
        return self.logits(self.embed(x), self.training)

    def loss(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> dict[str, Tensor]:
        """Loss and top-k accuracies of N videos; the rows of one video are averaged first."""
        rows = self.embed(feats)
        embeddings = self._split(rows, len(data_samples)).mean(1)  # (N, D)
        return self.loss_by_feat(self.logits(embeddings, training=True), data_samples)

    def predict(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> SampleList:
        """Scores of N videos from the rows of all their views."""
        x = self._split(self.embed(feats), len(data_samples))  # (N, rows, D)
        if 'num_segs' in kwargs and x.shape[1] > 1:  # a 2-D recogniser: one row a frame
            x = self._frames_to_clips(x)
        if self.average_clips == 'feature':
            x = x.mean(1, keepdim=True)
        return self.predict_by_feat(self.logits(x.flatten(0, 1), training=False), data_samples)

    def average_clip(self, cls_scores: Tensor, num_segs: int = 1) -> Tensor:
        """Average logits (N * V, K) over the views; probabilities are sigmoids in multi-label heads."""
        scores = cls_scores.view(-1, num_segs, cls_scores.shape[1])  # (N, V, K)
        if self.average_clips is None:
            return scores
        if self.average_clips == 'score':
            return scores.mean(1)
        return (scores.sigmoid() if self.multi_class else scores.softmax(-1)).mean(1)

    def _train_templates(self, templates: str | Sequence[str] | None, seed: int) -> TrainTemplates | None:
        if templates is None:
            return None
        if not self.frozen:
            raise UserError(
                'train_templates gives training its classifiers, frozen=False trains one itself: take one of the two.'
            )
        return TrainTemplates(
            self.source, templates, seed=seed, num_classes=self.num_classes, embed_dims=self.embed_dims
        )

    def _split(self, rows: Tensor, num_videos: int) -> Tensor:
        """(N * rows, D) -> (N, rows, D)."""
        if len(rows) % num_videos:
            raise UserError(
                f'{len(rows)} feature rows cannot be shared by {num_videos} videos: the backbone or neck must give the '
                'same number of rows for each.'
            )
        return rows.view(num_videos, -1, rows.shape[1])

    def _frames_to_clips(self, x: Tensor) -> Tensor:
        """Average the frames of each clip: (N, V * T, D) -> (N, V, D)."""
        frames = self.num_segments or x.shape[1]
        if x.shape[1] % frames:
            raise UserError(
                f'TextEmbeddingHead: {x.shape[1]} rows a video are no multiple of num_segments={frames}. '
                'num_segments must be the number of frames of one clip as they reach the head.'
            )
        return x.view(x.shape[0], -1, frames, x.shape[2]).mean(2)
