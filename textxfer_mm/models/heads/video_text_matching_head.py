"""The head that trains by matching the videos of a batch with the texts of their classes."""

from functools import partial
from typing import Any

from torch import Tensor

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.errors import UserError
from textxfer_mm.layers.cosine import cosine_logits
from textxfer_mm.layers.pooling import Features
from textxfer_mm.losses.accuracy import topk_accuracies
from textxfer_mm.losses.contrastive import FORMS, match_accuracy, symmetric_matching_loss
from textxfer_mm.models.heads.cosine_head import OF_CLASSIFICATION, CosineHead
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.parts.cosine_classifier import refuse_options, require_choice
from textxfer_mm.parts.labels import class_labels
from textxfer_mm.registry import MODELS

from mmaction.utils import SampleList  # isort: skip

TEXTS = ('online', 'offline')


@MODELS.register_module()
class VideoTextMatchingHead(CosineHead):
    """Matching paradigm: videos against the texts of the batch, both ways (Text4Vis, Table 6, supp. B.3; ActionCLIP).

    Training compares the N*M videos of a step (N a process, M processes) with the texts of their classes, where
    ``TextEmbeddingHead`` compares each with all K classes. Videos of one class are positives of each other. Testing
    classifies by the class rows (K, D), as ``TextEmbeddingHead`` does.

    With ``text='online'`` the text tower is a part of the model and trained; only the classes of the batch are encoded
    in a step, and a checkpoint tests without the tower (:class:`~textxfer_mm.classifiers.tower_rows.TowerRows`).

    Args:
        in_channels: The width of the pooled features.
        classifier: A classifier source or its config; for ``'online'`` a ``TextClassifier``. With several templates the
            text of a class is the mean of its normalised prompts, in training too.
        text: ``'online'`` trains the text tower; ``'offline'`` matches with the frozen rows of the classifier.
        gather: Whether to match across all processes; ``False`` matches within each of them.
        matching_loss: ``'kl'`` to soft targets (released code) or ``'ce'``, see
            :func:`~textxfer_mm.losses.contrastive.symmetric_matching_loss`.
        text_batch_size: Classes of a forward pass of the trained tower; activations are then computed twice instead of
            kept. ``None`` encodes the classes of the batch at once.
        shared: The options of :class:`~textxfer_mm.models.heads.cosine_head.CosineHead`, without those of the
            classification loss.

    Raises:
        UserError: An option is unknown, there is a single class, or an ``'online'`` classifier has no text tower.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        text: str = 'online',
        gather: bool = True,
        matching_loss: str = 'kl',
        text_batch_size: int | None = None,
        **shared: Any,
    ) -> None:
        require_choice(self, text=(text, TEXTS), matching_loss=(matching_loss, FORMS))
        refuse_options(self, shared, OF_CLASSIFICATION, 'its loss is the matching loss')
        if text == 'offline' and text_batch_size is not None:
            raise UserError(f"text_batch_size={text_batch_size} has no effect with text='offline': leave it out.")
        source = build_classifier_source(classifier)
        online = partial(TowerRows, source, chunk_size=text_batch_size)
        super().__init__(in_channels, online if text == 'online' else partial(ClassRows, source), **shared)
        if self.num_classes == 1:
            raise UserError(
                'Matching tells classes apart, and there is only one, '
                f'{next(iter(self.class_rows.class_names), None)!r}. Give two or more.'
            )
        self.text, self.gather, self.matching_loss = text, gather, matching_loss

    def loss(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> dict[str, Tensor]:
        """Matching loss of N videos and the texts of their classes; the rows of one video are averaged first.

        Returns:
            ``loss_cls``, and beside it ``top{k}_acc`` among all K classes (offline), or ``match_acc`` (online, where a
            step knows the rows of its own classes only): the share of videos that are closest to a text of their class
            among the texts of this process.

        Raises:
            UserError: Labels are not one class a video, or all videos are of one class.
        """
        videos = self.embed_videos(feats, len(data_samples))  # (N, D)
        self.class_rows.fill()
        labels = class_labels(data_samples, self.num_classes, type(self).__name__)  # (N,) on the CPU
        classes, which = labels.unique(return_inverse=True)
        texts = self.class_rows.training_rows(classes)[which.to(videos.device)]  # (N, D)
        labels = labels.to(videos.device)
        scale = self.cosine.scale(training=True)
        loss = symmetric_matching_loss(videos, texts, scale, labels, gather=self.gather, form=self.matching_loss)
        return dict(loss_cls=loss, **self._accuracies(videos.detach(), texts.detach(), labels))

    def _accuracies(self, videos: Tensor, texts: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """What training logs beside the loss."""
        if self.text == 'online':
            return dict(match_acc=match_accuracy(videos, texts, labels))
        return topk_accuracies(cosine_logits(videos, self.class_rows.testing_rows(), 1.0), labels, self.topk)
