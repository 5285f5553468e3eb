"""The head that trains on classes and on captions at once."""

from functools import partial
from typing import Any

from torch import Tensor

from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.layers.pooling import Features
from textxfer_mm.models.heads.cosine_head import OF_CLASSIFICATION, CosineHead
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.parts.captions import CLIP_SCALE
from textxfer_mm.parts.cosine_classifier import refuse_options
from textxfer_mm.parts.unified_objective import build_objective
from textxfer_mm.registry import MODELS

from mmaction.utils import SampleList  # isort: skip  (after the registry: it repairs mmaction first)


@MODELS.register_module()
class UnifiedContrastiveHead(CosineHead):
    """Classification and contrastive learning as one loss (iCLIP: Wei et al., CVPR 2023), for videos and images.

    The class rows (K, D) of the cosine classifier are made of the class texts by the text tower that also encodes the
    captions; it is a part of the model and trained. A sample with ``gt_label`` is classified among all K classes, one
    with ``caption`` (or ``text``) matched with the captions of the batch; one with both is in both. Testing classifies
    by the class rows, whose class names a config may replace: zero-shot recognition. An image is a video of one frame.

    An encoder with ``pretrained=None`` starts from random weights, which follow the seed of the run.

    Args:
        in_channels: The width of the pooled features.
        classifier: A ``TextClassifier`` or its config: the class names and templates, and the encoder whose text tower
            is trained.
        text_batch_size: Classes, or captions, of a forward pass of the text tower; activations are then computed twice
            instead of kept, with the same loss and gradient. ``None`` encodes all that a step needs at once.
        objective: The options of :class:`~textxfer_mm.parts.unified_objective.UnifiedObjective`, such as
            ``dict(con_weight=2.0)``, ``dict(form='unicl')`` or, for thousands of classes, ``dict(shard_classes=True)``.
        shared: The options of :class:`~textxfer_mm.models.heads.cosine_head.CosineHead`, without those of the
            classification loss. Unless given, the scale is CLIP's, as in
            :class:`~textxfer_mm.models.heads.caption_matching_head.CaptionMatchingHead`; UniCL's is ``init_scale=e``.

    Raises:
        UserError: An option is unknown, or the classifier has no text tower.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        text_batch_size: int | None = None,
        objective: dict[str, Any] | None = None,
        **shared: Any,
    ) -> None:
        refuse_options(self, shared, OF_CLASSIFICATION, 'its losses are those of its objective, without a bias')
        rows = partial(TowerRows, build_classifier_source(classifier), chunk_size=text_batch_size, follow_seed=True)
        super().__init__(in_channels, rows, **{**CLIP_SCALE, **shared})
        self.objective = build_objective(objective)

    def loss(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> dict[str, Tensor]:
        """Losses of N samples, see :meth:`~textxfer_mm.parts.unified_objective.UnifiedObjective.losses`.

        The rows of one video are averaged first.
        """
        return self.objective.losses(self, self.embed_videos(feats, len(data_samples)), data_samples)
