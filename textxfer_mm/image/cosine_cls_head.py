"""What every image head of this package does: pool, project, compare with class rows; MMPretrain does the rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.errors import UserError
from textxfer_mm.layers.pooling import Features
from textxfer_mm.parts.cosine_classifier import classify, embed, equip
from textxfer_mm.registry import MODELS


class CosineClsHead(BaseModule):
    """Cosine logits of features and class rows, handed to MMPretrain's own ``ClsHead`` or ``MultiLabelClsHead``.

    logits = exp(logit_scale) * normalise(projection(dropout(features))) @ normalise(class_rows).T, without a bias. The
    registered heads hand it their rows and add what is theirs; the options below are shared by all of them. State and
    options are those of the heads of videos, so that a checkpoint of either loads into the other.

    Args:
        in_channels: The width of the features; a map (N, D, H, W) is averaged over H and W.
        make_rows: Makes the class rows, given ``num_classes`` and ``embed_dims``.
        multi_label: Multi-label recognition: a sigmoid for each class, and ``gt_score`` of zeros and ones.
        loss: The loss of MMPretrain; ``None`` takes cross-entropy, or binary cross-entropy for ``multi_label``.
        topk: Which top-k accuracies training logs, if ``cal_acc``; for ``multi_label`` how many classes are predicted.
        cal_acc: Whether training logs accuracies; not with Mixup or CutMix.
        thr: The score from which a class is predicted, for ``multi_label``; ``None`` takes MMPretrain's 0.5, unless
            ``topk`` is given.
        init_cfg: The initialisation config of MMEngine.
        options: Those of :func:`~textxfer_mm.parts.cosine_classifier.equip`.

    Raises:
        UserError: An option is unknown or has no effect, or widths or class counts disagree.
    """

    def __init__(
        self,
        in_channels: int,
        make_rows: Callable[..., ClassRows],
        /,
        *,
        multi_label: bool = False,
        loss: Mapping[str, Any] | None = None,
        topk: int | tuple[int, ...] | None = None,
        cal_acc: bool = False,
        thr: float | None = None,
        init_cfg: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        equip(self, in_channels, make_rows, multi_label, **options)
        self.multi_label = multi_label
        self.stock = MODELS.build(_stock_head(multi_label, loss, topk, cal_acc, thr))

    @property
    def num_classes(self) -> int:
        """K, that of the class rows, which other class names may replace."""
        return self.class_rows.num_classes

    def embed(self, feats: Features) -> Tensor:
        """Features of a backbone or neck -> what is compared with the class rows (N, D), un-normalised."""
        return embed(self, feats)

    def pre_logits(self, feats: Features) -> Tensor:
        """The same, by MMPretrain's name."""
        return self.embed(feats)

    def forward(self, feats: Features) -> Tensor:
        """Features of a backbone or neck -> logits (N, K) in float32."""
        return classify(self, self.embed(feats), self.training)

    def predict(self, feats: Features, data_samples: Sequence[Any] | None = None) -> list[Any]:
        """Samples of N images with ``pred_score`` (K,), by softmax or sigmoid, and ``pred_label``."""
        logits = classify(self, self.embed(feats), training=False)
        return self.stock.predict((logits,), data_samples)

    def embed_views(self, feats: Features, num_images: int) -> Tensor:
        """Embed N images -> (N, V, D), un-normalised: all that testing needs to know of an image; V is 1."""
        return self.embed(feats).unflatten(0, (num_images, -1))

    def view_logits(self, views: Tensor) -> Tensor:
        """Classify what :meth:`embed_views` gave (N, V, D) -> (N, V, K)."""
        return classify(self, views.flatten(0, 1), training=False).unflatten(0, views.shape[:2])


def _stock_head(
    multi_label: bool, loss: Mapping[str, Any] | None, topk: Any, cal_acc: bool, thr: float | None
) -> dict[str, Any]:
    """The config of MMPretrain's head that takes the logits.

    Raises:
        UserError: An option would have no effect.
    """
    if not multi_label:
        if thr is not None:
            raise UserError(f'thr={thr} has no effect without multi_label=True: leave it out.')
        loss = loss or dict(type='mmpretrain.CrossEntropyLoss')
        topk = (1,) if topk is None else (topk,) if isinstance(topk, int) else tuple(topk)
        return dict(type='mmpretrain.ClsHead', loss=loss, topk=topk, cal_acc=cal_acc)
    if cal_acc:
        raise UserError('cal_acc=True has no effect with multi_label=True, where no accuracy is defined: leave it out.')
    loss = loss or dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True)
    return dict(type='mmpretrain.MultiLabelClsHead', loss=loss, thr=thr, topk=topk)
