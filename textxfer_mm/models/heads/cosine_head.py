"""What every head of this package does: pool, project, compare with class rows, average the views."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.errors import UserError
from textxfer_mm.layers.pooling import Features
from textxfer_mm.losses.accuracy import topk_accuracies
from textxfer_mm.parts.cosine_classifier import classify, embed, equip, require_choice

from mmaction.models.heads import BaseHead  # isort: skip  (after the registry: it repairs mmaction first)
from mmaction.utils import SampleList  # isort: skip

AVERAGE_CLIPS = ('feature', 'prob', 'score', None)
#: Options of the classification loss, for heads that have another.
OF_CLASSIFICATION = ('loss_cls', 'multi_class', 'label_smooth_eps', 'init_bias', 'normalize')


class CosineHead(BaseHead):
    """Cosine logits of pooled features and class rows (Text4Vis, section 2.2).

    logits = exp(logit_scale) * normalise(projection(dropout(pool(feats)))) @ normalise(class_rows).T, without a bias;
    ``normalize=False`` leaves lengths and scale out (the literal Eq. 3).
    The registered heads hand it their rows and add what is theirs; the options below are shared by all of them.

    Args:
        in_channels: The width of the pooled features.
        make_rows: Makes the class rows, given ``num_classes`` and ``embed_dims``.
        num_segments: Frames a clip has in 2-D recognisers; ``None`` averages all frames of a video into one clip.
        loss_cls: The loss; ``None`` takes cross-entropy, or binary cross-entropy for ``multi_class``.
        multi_class: Multi-label recognition (mmaction's name).
        label_smooth_eps: Label smoothing.
        topk: Which top-k accuracies training logs.
        average_clips: How views are averaged: ``'feature'`` averages un-normalised features before the classifier (the
            paper's protocol), ``'prob'`` probabilities, ``'score'`` logits, ``None`` keeps the views.
        init_cfg: The initialisation config of MMEngine.
        options: Those of :func:`~textxfer_mm.parts.cosine_classifier.equip`.

    Raises:
        UserError: An option is unknown, or widths or class counts disagree.
    """

    def __init__(
        self,
        in_channels: int,
        make_rows: Callable[..., ClassRows],
        /,
        *,
        num_segments: int | None = None,
        loss_cls: dict[str, Any] | None = None,
        multi_class: bool = False,
        label_smooth_eps: float = 0.0,
        topk: int | tuple[int, ...] = (1, 5),
        average_clips: str | None = 'feature',
        init_cfg: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        require_choice(self, average_clips=(average_clips, AVERAGE_CLIPS))
        if num_segments is not None and num_segments < 1:
            raise UserError(f'{type(self).__name__}: num_segments is the number of frames a clip, got {num_segments}.')
        super().__init__(
            None,  # the class rows know K
            in_channels,
            loss_cls=loss_cls or dict(type='BCELossWithLogits' if multi_class else 'CrossEntropyLoss'),
            multi_class=multi_class,
            label_smooth_eps=label_smooth_eps,
            topk=topk,
            average_clips=average_clips,
            init_cfg=init_cfg,
        )
        equip(self, in_channels, make_rows, multi_class, **options)
        self.num_segments = num_segments

    @property
    def num_classes(self) -> int:
        """K, that of the class rows, which other class names may replace."""
        return self.class_rows.num_classes

    @num_classes.setter
    def num_classes(self, value: int | None) -> None:
        """The base class sets what the config says; the class rows know better."""

    def embed(self, feats: Features) -> Tensor:
        """Pool and project: features of any kind -> (rows, D), un-normalised.

        Raises:
            UserError: The features are not ``in_channels`` wide.
        """
        return embed(self, feats)

    def describe(self, feats: Features) -> Tensor:
        """All that :meth:`logits` needs to know of features of any kind: the embeddings (rows, D)."""
        return self.embed(feats)

    def embed_videos(self, feats: Features, num_videos: int) -> Tensor:
        """Embed and average the rows of each video -> (N, D)."""
        return self._split(self.describe(feats), num_videos).mean(1)

    def logits(self, embeddings: Tensor, training: bool) -> Tensor:
        """Classify embeddings (N, D) -> logits (N, K) in float32, with rows and scale of training or testing."""
        return classify(self, embeddings, training)

    def forward(self, x: Features, **kwargs: Any) -> Tensor:
        """Features of any kind -> logits (rows, K); what else a recognizer passes (``num_segs``, ...) is not needed."""
        return self.logits(self.describe(x), self.training)

    def loss(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> dict[str, Tensor]:
        """Loss and top-k accuracies of N videos; the rows of one video are averaged first."""
        embeddings = self.embed_videos(feats, len(data_samples))  # (N, D)
        return self.loss_by_feat(self.logits(embeddings, training=True), data_samples)

    def loss_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """The loss of logits (N, K), and top-k accuracies unless labels are soft or several.

        It is mmaction2's, but for the accuracies: they stay on the device, where mmaction2's wait for it in the middle
        of the step.
        """
        labels = torch.stack([sample.gt_label for sample in data_samples]).to(cls_scores.device)
        labels = labels.squeeze(-1) if labels.shape == (len(labels), 1) else labels  # (N,), or (N, K)
        is_whole = labels.shape != cls_scores.shape
        accuracies = topk_accuracies(cls_scores.detach(), labels, self.topk) if is_whole else {}
        if self.label_smooth_eps:
            shares = functional.one_hot(labels, self.num_classes) if is_whole else labels
            labels = (1 - self.label_smooth_eps) * shares + self.label_smooth_eps / self.num_classes
        loss = self.loss_cls(cls_scores, labels)
        return accuracies | (loss if isinstance(loss, dict) else dict(loss_cls=loss))

    def predict(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> SampleList:
        """Scores of N videos from the rows of all their views."""
        views = self.embed_views(feats, len(data_samples), **kwargs)
        return self.predict_by_feat(self.view_logits(views).flatten(0, 1), data_samples)

    def embed_views(self, feats: Features, num_videos: int, **kwargs: Any) -> Tensor:
        """Embed the views of N videos -> (N, V, D), un-normalised: all that testing needs to know of a video.

        Args:
            feats: Features of any kind.
            num_videos: N.
            kwargs: What the recognizer passes to :meth:`predict`.
        """
        x = self._split(self.describe(feats), num_videos)  # (N, rows, D)
        if 'num_segs' in kwargs and x.shape[1] > 1:  # a 2-D recogniser: one row a frame
            x = self._frames_to_clips(x)
        return x

    def view_logits(self, views: Tensor) -> Tensor:
        """Classify what :meth:`embed_views` gave (N, V, D) -> (N, V, K); V is 1 where features are averaged."""
        if self.average_clips == 'feature':
            views = views.mean(1, keepdim=True)
        return self.logits(views.flatten(0, 1), training=False).unflatten(0, views.shape[:2])

    def average_clip(self, cls_scores: Tensor, num_segs: int = 1) -> Tensor:
        """Average logits (N * V, K) over the views; probabilities are sigmoids in multi-label heads."""
        scores = cls_scores.view(-1, num_segs, cls_scores.shape[1])  # (N, V, K)
        if self.average_clips is None:
            return scores
        if self.average_clips == 'score':
            return scores.mean(1)
        return (scores.sigmoid() if self.multi_class else scores.softmax(-1)).mean(1)

    def _split(self, rows: Tensor, num_videos: int) -> Tensor:
        """(N * rows, D) -> (N, rows, D)."""
        if rows.shape[0] % num_videos:  # len() would fix the number in an exported model
            raise UserError(
                f'{rows.shape[0]} feature rows cannot be shared by {num_videos} videos: the backbone or neck must give '
                'the same number of rows for each.'
            )
        return rows.view(num_videos, -1, rows.shape[1])

    def _frames_to_clips(self, x: Tensor) -> Tensor:
        """Average the frames of each clip: (N, V * T, D) -> (N, V, D)."""
        frames = self.num_segments or x.shape[1]
        if x.shape[1] % frames:
            raise UserError(
                f'{type(self).__name__}: {x.shape[1]} rows a video are no multiple of num_segments={frames}. '
                'num_segments must be the number of frames of one clip as they reach the head.'
            )
        return x.view(x.shape[0], -1, frames, x.shape[2]).mean(2)
