"""The head that trains a dual tower on captioned images or videos."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.layers.pooling import Features
from textxfer_mm.losses.contrastive import FORMS, match_accuracy, symmetric_matching_loss
from textxfer_mm.models.heads.cosine_head import OF_CLASSIFICATION, CosineHead
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.parts.captions import CLIP_SCALE, LongCaptions, caption_number, encode_captions, require_caption
from textxfer_mm.parts.cosine_classifier import refuse_options, require_choice
from textxfer_mm.registry import MODELS

from mmaction.utils import SampleList  # isort: skip  (after the registry: it repairs mmaction first)


@MODELS.register_module()
class CaptionMatchingHead(CosineHead):
    """Contrastive pre-training: videos against their captions, both ways (Radford et al., 2021, figure 3).

    Training compares the N*M videos of a step (N a process, M processes) with as many captions, which the text tower
    of the classifier's encoder embeds; it is a part of the model and trained. Equal captions are positives of each
    other. An image is a video of one frame. Testing classifies by the class rows (K, D) that the tower makes of the
    class names: zero-shot recognition, whatever the labels of the training data are.

    An encoder with ``pretrained=None`` starts from random weights, which follow the seed of the run.

    Each training sample needs its ``caption``: the dataset gives it, and ``PackActionInputs(meta_keys=('caption',))``
    hands it on (:func:`~textxfer_mm.parts.captions.caption_of`).

    Args:
        in_channels: The width of the pooled features.
        classifier: A ``TextClassifier`` or its config: the class names and templates of testing, and the encoder whose
            text tower is trained.
        gather: Whether to match across all processes; ``False`` matches within each of them.
        matching_loss: ``'ce'`` (with different captions InfoNCE) or ``'kl'`` to soft targets, see
            :func:`~textxfer_mm.losses.contrastive.symmetric_matching_loss`.
        text_batch_size: Captions of a forward pass of the text tower; activations are then computed twice instead of
            kept. ``None`` encodes the captions of the batch at once.
        long_captions: ``'refuse'`` those that are longer than the text tower reads, or ``'shorten'`` them, see
            :class:`~textxfer_mm.parts.captions.LongCaptions`.
        shared: The options of :class:`~textxfer_mm.models.heads.cosine_head.CosineHead`, without ``topk`` and those of
            the classification loss. Unless given, the scale is CLIP's: it starts at ``init_scale=1 / 0.07``, one over
            its temperature, and goes no further than ``max_scale=100``.

    Raises:
        UserError: An option is unknown, or the classifier has no text tower.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        gather: bool = True,
        matching_loss: str = 'ce',
        text_batch_size: int | None = None,
        long_captions: str = 'refuse',
        **shared: Any,
    ) -> None:
        require_choice(self, matching_loss=(matching_loss, FORMS))
        refuse_options(self, shared, OF_CLASSIFICATION, 'its loss is the matching loss')
        refuse_options(self, shared, ['topk'], 'training logs match_acc')
        source = build_classifier_source(classifier)
        rows = partial(TowerRows, source, chunk_size=text_batch_size, follow_seed=True)
        super().__init__(in_channels, rows, **{**CLIP_SCALE, **shared})
        self.gather, self.matching_loss, self.fitting = gather, matching_loss, LongCaptions(long_captions)

    def loss(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> dict[str, Tensor]:
        """Matching loss of N videos and their captions; the rows of one video are averaged first.

        Returns:
            ``loss_cls``, and ``match_acc``: the share of videos that are closest to their own caption among the
            captions of this process.

        Raises:
            UserError: A sample has no caption, or one that is empty, no text or too long for the tower; or all captions
                are equal.
        """
        videos = self.embed_videos(feats, len(data_samples))  # (N, D)
        captions = [require_caption(sample, type(self).__name__) for sample in data_samples]
        captions = self.fitting(self.class_rows, captions)
        texts = encode_captions(self.class_rows, captions)  # (N, D)
        labels = torch.tensor([caption_number(caption) for caption in captions], device=videos.device)
        options = dict(gather=self.gather, form=self.matching_loss, kind='caption')
        loss = symmetric_matching_loss(videos, texts, self.cosine.scale(training=True), labels, **options)
        return dict(loss_cls=loss, match_acc=match_accuracy(videos, texts, labels))
