"""The head of a model that is trained on several datasets at once (MultiTrain)."""

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.dataset_heads import CrossDatasetProjections, Expander, MLPClassifier
from textxfer_mm.layers.named_modules import NamedModules
from textxfer_mm.layers.pooling import FEATURE_CHOICES, Features, pool_features
from textxfer_mm.layers.training_only import TrainingOnly
from textxfer_mm.models.dataset_samples import read_datasets, read_targets
from textxfer_mm.models.heads.dataset_losses import (
    AVERAGE_CLIPS,
    accuracies,
    average_views,
    batch_targets,
    choose_datasets,
    classification_losses,
    expanded_loss,
    predict_samples,
    require_predict_as,
)
from textxfer_mm.registry import MODELS
from textxfer_mm.text.class_names import load_class_names

from mmaction.utils import SampleList  # isort: skip  (after the registry: it repairs mmaction first)


@MODELS.register_module()
class MultiDatasetHead(BaseModule):
    """A classifier for each dataset, projections between their classes, and the informative loss (MultiTrain).

    loss = L_cls + informative_weight * L_inf, with, for a batch of B samples,
    L_cls = sum_d w_d / B sum_{i of d} (l(h_d(x_i), y_i) + projection_weight * mean_{a != d} l(P_{a->d} h_a(x_i), y_i))
    and L_inf of what an expander makes of x (:func:`~textxfer_mm.losses.informative.informative_loss`), in float32.

    All samples go through all classifiers, and what a sample is not to a dataset has the weight zero: every parameter
    gets a gradient in every step, also where each process holds another dataset. Only what the expander gives is
    gathered. The gradients are those of one process on the joint batch; the released code's gather leaves 1/M of them
    with M processes, which is not reproduced: its clipping at a norm of 1 acts on M times larger gradients here.

    Projections and expander are of training alone: a checkpoint without them (``tools/deployment/publish_model.py``)
    loads as a whole one does.

    Args:
        in_channels: The width of the pooled features.
        datasets: The datasets by name, each as ``dict(num_classes=...)`` or ``dict(class_names=...)`` (a list, a file
            or the name of a known list), and, where they are not 1 and ``'ce'``, the ``weight`` and ``loss`` of it;
            ``'bce'`` is for several labels a video. Names may hold any character.
        hidden_channels: Width of the hidden layer of the classifiers.
        dropout: Dropout on their hidden units.
        drop_logits: Whether their logits are dropped out in training, too, as in the released code.
        projection_weight: lambda_p; 0 has no projections.
        informative_weight: Weight of the informative loss; 0 has none, and no expander.
        expander_channels: Width of the hidden layer of the expander: 4096 in the released code, 2048 in the paper;
            ``None`` has no expander: the loss is that of the features themselves.
        variance_weight: Weight of the variance within the informative loss.
        covariance_weight: Weight of the covariance within it.
        label_smooth_eps: Label smoothing.
        label_smooth_classes: Over how many classes its mass is spread; ``None`` takes those of the dataset, 700 is what
            the released code takes for all.
        feature: Which feature to take where the backbone returns several, see
            :func:`~textxfer_mm.layers.pooling.pool_features`.
        topk: Which top-k accuracies training logs of the samples that are not blended.
        average_clips: How views are averaged: ``'prob'`` probabilities, ``'score'`` logits, ``None`` keeps the views.
        predict_as: By the classifier of which dataset all videos are predicted; ``None`` takes that of the sample's
            dataset.
        init_cfg: The initialisation config of MMEngine.

    Raises:
        UserError: An option is unknown or out of range.
    """

    def __init__(
        self,
        in_channels: int,
        datasets: Mapping[str, Mapping[str, Any]],
        *,
        hidden_channels: int = 2048,
        dropout: float = 0.5,
        drop_logits: bool = True,
        projection_weight: float = 1.0,
        informative_weight: float = 0.1,
        expander_channels: int | None = 4096,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        label_smooth_eps: float = 0.0,
        label_smooth_classes: int | None = None,
        feature: str = 'auto',
        topk: int | tuple[int, ...] = (1, 5),
        average_clips: str | None = 'prob',
        predict_as: str | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        head = type(self).__name__
        for option, value, choices in (
            ('feature', feature, FEATURE_CHOICES),
            ('average_clips', average_clips, AVERAGE_CLIPS),
        ):
            if value not in choices:
                raise UserError(f'Unknown {option}={value!r} of {head}.{nearest(str(value), choices)}')
        self.datasets = read_datasets(datasets, head)
        require_predict_as(predict_as, self.datasets, head)
        self.in_channels, self.feature = in_channels, feature
        self.num_classes = {name: spec.classes for name, spec in self.datasets.items()}
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        self.average_clips, self.predict_as = average_clips, predict_as
        self.projection_weight, self.informative_weight = projection_weight, informative_weight
        self.label_smooth = dict(label_smooth_eps=label_smooth_eps, label_smooth_classes=label_smooth_classes)
        self.within_informative = dict(variance_weight=variance_weight, covariance_weight=covariance_weight)
        options = dict(hidden_channels=hidden_channels, dropout=dropout, drop_logits=drop_logits)
        self.heads = NamedModules(
            (name, MLPClassifier(in_channels, k, **options)) for name, k in self.num_classes.items()
        )
        self.training_only = TrainingOnly()
        if projection_weight and len(self.datasets) > 1:
            self.training_only['projections'] = CrossDatasetProjections(self.num_classes)
        if informative_weight:
            expander = nn.Identity() if expander_channels is None else Expander(in_channels, expander_channels)
            self.training_only['expander'] = expander

    @property
    def has_one_classifier(self) -> bool:
        """Whether all videos are predicted by the same classifier, whatever their dataset is."""
        return self.predict_as is not None or len(self.datasets) == 1

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The class names of the one classifier; None where there are several, or the config does not name them."""
        spec = self.datasets[self.predict_as or next(iter(self.datasets))]
        return load_class_names(spec.class_names) if self.has_one_classifier and spec.class_names is not None else None

    @property
    def multi_class(self) -> bool:
        """Whether the one classifier is of several labels a video (mmaction's name)."""
        chosen = self.predict_as or next(iter(self.datasets))
        return self.has_one_classifier and self.datasets[chosen].loss == 'bce'

    def pooled(self, feats: Features, num_videos: int) -> Tensor:
        """Pool features of any kind -> (N, rows, D).

        Raises:
            UserError: They are not ``in_channels`` wide, or not as many for each video.
        """
        x = pool_features(feats, self.feature)  # (N * rows, D)
        if x.shape[1] != self.in_channels or len(x) % num_videos:
            raise UserError(
                f'{type(self).__name__} takes features {self.in_channels} wide (in_channels), as many for each of '
                f'{num_videos} videos, and got {len(x)} of them, {x.shape[1]} wide.'
            )
        return x.unflatten(0, (num_videos, -1))

    def forward(self, x: Features, **kwargs: Any) -> Tensor | dict[str, Tensor]:
        """Features of any kind -> logits (rows, K) of ``predict_as`` or of the only dataset, else of all by name."""
        pooled = pool_features(x, self.feature)
        if self.has_one_classifier:
            return self.heads[self.predict_as or next(iter(self.datasets))](pooled).float()
        return {name: head(pooled).float() for name, head in self.heads.items()}

    def loss(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> dict[str, Tensor]:
        """Losses of N videos, plain or blended by ``MultiDatasetBlending``; the rows of one video are averaged first.

        Returns:
            ``loss_cls``, ``loss_projection`` and ``loss_informative``, as far as there are such, and accuracies such as
            ``k400/top1_acc`` of the videos that are not blended.

        Raises:
            UserError: A sample is of an unknown dataset, or its label is none of that dataset's.
        """
        kinds = {name: spec.loss for name, spec in self.datasets.items()}
        targets = read_targets(data_samples, self.num_classes, kinds)
        x = self.pooled(feats, len(data_samples)).mean(1)  # (N, D)
        logits = {name: head(x) for name, head in self.heads.items()}
        losses = classification_losses(
            logits,
            batch_targets(targets, self.num_classes, x.device, **self.label_smooth),
            self.datasets,
            self.training_only['projections'](logits) if 'projections' in self.training_only else None,
            self.projection_weight,
        )
        logged = accuracies(logits, targets, self.topk)
        if self.informative_weight:  # last: with several GPUs its gather waits once, for the number of rows of each
            losses['loss_informative'] = self.informative_weight * expanded_loss(
                x, self.training_only['expander'], **self.within_informative
            )
        return {**losses, **logged}

    def predict(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> SampleList:
        """Scores of N videos, each by the classifier of its dataset or by that of ``predict_as``.

        Raises:
            UserError: A sample is of an unknown dataset.
        """
        chosen = choose_datasets(data_samples, self.datasets, self.predict_as)
        views = self.pooled(feats, len(data_samples))  # (N, V, D)
        if 'num_segs' in kwargs:  # a 2-D recogniser: one row a frame
            views = views.mean(1, keepdim=True)
        return predict_samples(views, data_samples, chosen, self._scores)

    def _scores(self, name: str, views: Tensor) -> Tensor:
        """The scores of videos by the classifier of a dataset: (n, V, D) -> (n, K), or (n, V, K)."""
        return average_views(self.heads[name](views).float(), self.average_clips, self.datasets[name].loss == 'bce')
