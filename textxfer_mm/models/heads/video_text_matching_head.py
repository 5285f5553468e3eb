"""The head that trains by matching the videos of a batch with the texts of their classes."""

from typing import Any

import torch
from torch import Tensor

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.cosine import cosine_logits
from textxfer_mm.losses.contrastive import FORMS, symmetric_matching_loss
from textxfer_mm.models.heads.online_text import OnlineText
from textxfer_mm.models.heads.pooling import Features
from textxfer_mm.models.heads.text_embedding_head import TextEmbeddingHead
from textxfer_mm.registry import MODELS

from mmaction.evaluation import top_k_accuracy  # isort: skip  (after the registry: it repairs mmaction first)
from mmaction.utils import SampleList  # isort: skip

TEXTS = ('online', 'offline')


@MODELS.register_module()
class VideoTextMatchingHead(OnlineText, TextEmbeddingHead):
    """Matching paradigm: videos against the texts of the batch, both ways (Text4Vis, Table 6, supp. B.3; ActionCLIP).

    Training compares the N*M videos of a step (N a process, M processes) with the texts of their classes, where
    ``TextEmbeddingHead`` compares each with all K classes. Videos of one class are positives of each other. Testing
    classifies by the matrix (K, D) as :class:`~textxfer_mm.models.heads.text_embedding_head.TextEmbeddingHead` does.

    With ``text='online'`` the text tower is a part of the model (``text_tower``) and trained; only the classes of the
    batch are encoded in a step. The matrix is encoded again before it is used or saved, so that a checkpoint tests
    where the files of the text encoder are missing: the head is then built without a tower, and the checkpoint's is
    left out (:class:`~textxfer_mm.models.heads.online_text.OnlineText`).

    Args:
        in_channels: width of the pooled features.
        classifier: a classifier source or its config; for ``'online'`` a ``TextClassifier``. With several templates the
            text of a class is the mean of its normalised prompts, in training too.
        text: ``'online'`` trains the text tower; ``'offline'`` matches with the frozen rows of the classifier.
        gather: match across all processes; ``False`` within each of them.
        matching_loss: ``'kl'`` to soft targets (released code) or ``'ce'``, see
            :func:`~textxfer_mm.losses.contrastive.symmetric_matching_loss`.
        num_classes: this and the further arguments are those of ``TextEmbeddingHead``.
        embed_dims: see there.
        projection: see there.
        feature: see there.
        num_segments: see there.
        dropout_ratio: see there.
        init_scale: see there.
        learn_scale: see there.
        test_scale: see there.
        topk: which top-k accuracies training logs with ``'offline'``.
        average_clips: see there.
        init_cfg: see there.

    Raises:
        UserError: unknown options, a single class, an ``'online'`` classifier without a text tower.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        text: str = 'online',
        gather: bool = True,
        matching_loss: str = 'kl',
        num_classes: int | None = None,
        embed_dims: int | None = None,
        projection: str | dict[str, Any] | None = None,
        feature: str = 'auto',
        num_segments: int | None = None,
        dropout_ratio: float = 0.0,
        init_scale: float | None = None,
        learn_scale: bool = True,
        test_scale: float | None = 100.0,
        topk: int | tuple[int, ...] = (1, 5),
        average_clips: str | None = 'feature',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        for value, choices, option in ((text, TEXTS, 'text'), (matching_loss, FORMS, 'matching_loss')):
            if value not in choices:
                raise UserError(f'Unknown {option}={value!r} of VideoTextMatchingHead.{nearest(str(value), choices)}')
        super().__init__(
            in_channels,
            classifier,
            num_classes=num_classes,
            embed_dims=embed_dims,
            projection=projection,
            feature=feature,
            num_segments=num_segments,
            dropout_ratio=dropout_ratio,
            init_scale=init_scale,
            learn_scale=learn_scale,
            test_scale=test_scale,
            topk=topk,
            average_clips=average_clips,
            init_cfg=init_cfg,
        )
        if self.num_classes == 1:
            raise UserError(
                f'Matching tells classes apart, and there is only one, {self.class_names[0]!r}. Give two or more.'
            )
        self.text, self.gather, self.matching_loss = text, gather, matching_loss
        self.register_tower(online=text == 'online')

    def class_embeddings(self, training: bool) -> Tensor:
        """(K, D): in training the text tower's, with gradient, where there is one; in testing the classifier."""
        if training and self.online:
            return self.class_rows(torch.arange(self.num_classes))
        self.refresh()
        return self.classifier

    def loss(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> dict[str, Tensor]:
        """Matching loss of N videos and the texts of their classes; the rows of one video are averaged first.

        Returns:
            ``loss_cls``, and beside it ``top{k}_acc`` among all K classes (offline), or ``match_acc`` (online, where a
            step knows the rows of its own classes only): the share of videos that are closest to a text of their class
            among the texts of this process.

        Raises:
            UserError: labels are not one class a video, or all videos are of one class.
        """
        videos = self._split(self.embed(feats), len(data_samples)).mean(1)  # (N, D)
        self.ensure_weights()
        labels = self._labels(data_samples)  # (N,) on the CPU
        classes, which = labels.unique(return_inverse=True)
        texts = self.class_rows(classes)[which.to(videos.device)]  # (N, D)
        labels, scale = labels.to(videos.device), self.logit_scale.exp()
        loss = symmetric_matching_loss(videos, texts, scale, labels, gather=self.gather, form=self.matching_loss)
        self.follow_tower()
        return dict(loss_cls=loss, **self._accuracies(videos.detach(), texts.detach(), labels))

    def _labels(self, data_samples: SampleList) -> Tensor:
        """One class a video, (N,) on the CPU."""
        labels = [sample.gt_label for sample in data_samples]
        for label in labels:
            if label.numel() != 1 or label.is_floating_point():
                raise UserError(
                    f'VideoTextMatchingHead needs one class a video, got a label of shape {tuple(label.shape)} and '
                    f'type {label.dtype}. Leave out Mixup and CutMix; for several labels a video use '
                    'TextEmbeddingHead(multi_class=True).'
                )
        labels = torch.cat([label.reshape(1) for label in labels]).cpu()
        if labels.min() < 0 or labels.max() >= self.num_classes:
            wrong = labels[(labels < 0) | (labels >= self.num_classes)][0]
            raise UserError(
                f'Label {wrong} is out of range: the head has {self.num_classes} classes, 0 to {self.num_classes - 1}.'
            )
        return labels

    def _accuracies(self, videos: Tensor, texts: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """What training logs beside the loss."""
        if self.online:
            nearest_text = cosine_logits(videos, texts, 1.0).argmax(1)  # (N,)
            return dict(match_acc=(labels[nearest_text] == labels).float().mean())
        scores = cosine_logits(videos, self.classifier, 1.0).cpu().numpy()
        accuracies = top_k_accuracy(scores, labels.cpu().numpy(), self.topk)
        return {f'top{k}_acc': videos.new_tensor(a) for k, a in zip(self.topk, accuracies, strict=True)}
