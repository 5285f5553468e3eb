"""The head of a model of several datasets whose classes share one text space."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.dataset_rows import DatasetRows
from textxfer_mm.classifiers.synonyms import closest_others, pairs_of, synonyms_among
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.layers.dataset_heads import Expander
from textxfer_mm.layers.pooling import Features
from textxfer_mm.layers.training_only import TrainingOnly
from textxfer_mm.layers.watch import Watch
from textxfer_mm.losses.cross_dataset import DenseTargets, dense_targets, smooth_targets
from textxfer_mm.models.dataset_samples import DatasetSpec, read_datasets, read_targets
from textxfer_mm.models.heads.cosine_head import OF_CLASSIFICATION, CosineHead
from textxfer_mm.models.heads.dataset_losses import (
    accuracies,
    choose_datasets,
    classification_losses,
    expanded_loss,
    predict_samples,
    require_predict_as,
)
from textxfer_mm.parts.building import build_classifier_source, build_text_encoder
from textxfer_mm.parts.cosine_classifier import refuse_options, require_choice
from textxfer_mm.registry import MODELS

from mmaction.utils import SampleList  # isort: skip  (after the registry: it repairs mmaction first)

logger = logging.getLogger(__name__)
COMPARED = ('own', 'union')
_NEVER = -1e9


@MODELS.register_module()
class MultiDatasetTextHead(CosineHead):
    """Several datasets, each with its embedded class names, in one space with one scale (ours, after MultiTrain).

    It is :class:`~textxfer_mm.models.heads.multi_dataset_head.MultiDatasetHead` with frozen text classifiers: there is
    nothing to project, as the space is one, and the model recognises any other names, zero-shot. The loss is
    L_cls + informative_weight * L_inf, of the embeddings of the videos, with gradients as exact as there.

    Args:
        in_channels: The width of the pooled features.
        classifier: A classifier source, whose ``class_names`` are those of each dataset in turn, e.g.
            ``dict(type='TextClassifier', encoder=dict(type='CLIPTextEncoder', arch='ViT-B-16-quickgelu'))``. Given
            ``class_names``, it is these that videos are predicted by: zero-shot recognition.
        datasets: The datasets by name, each as ``dict(class_names=...)``, and its ``weight`` where that is not 1.
        compared: What a video is compared with in training: ``'own'`` names of its dataset, or the ``'union'`` of the
            names of all, without the synonyms of its class in the others.
        synonyms: Which names are synonyms besides those spelled alike: the cosine of their rows from which they are, or
            groups of names.
        informative_weight: Weight of the informative loss; 0 has none, and no expander.
        expander_channels: Width of the hidden layer of the expander.
        variance_weight: Weight of the variance within the informative loss.
        covariance_weight: Weight of the covariance within it.
        label_smooth_classes: Over how many classes the mass of the label smoothing is counted, which spreads over those
            of the dataset; ``None`` takes their number.
        predict_as: By the names of which dataset all videos are predicted; ``None`` takes those of the sample's
            dataset.
        shared: The options of :class:`~textxfer_mm.models.heads.cosine_head.CosineHead`; of those of the loss
            ``label_smooth_eps`` alone.

    Raises:
        UserError: An option is unknown or out of range.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        datasets: Mapping[str, Mapping[str, Any]],
        *,
        compared: str = 'own',
        synonyms: float | Sequence[Sequence[str]] | None = None,
        informative_weight: float = 0.1,
        expander_channels: int = 4096,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        label_smooth_classes: int | None = None,
        predict_as: str | None = None,
        **shared: Any,
    ) -> None:
        head = type(self).__name__
        require_choice(self, compared=(compared, COMPARED))
        of_one_dataset = [option for option in OF_CLASSIFICATION if option != 'label_smooth_eps']
        refuse_options(self, shared, of_one_dataset, 'each dataset has its own')
        refuse_options(self, shared, ['num_classes'], 'the class names of the datasets are counted')
        specs = read_datasets(datasets, head)
        _require_texts(specs, head)
        require_predict_as(predict_as, specs, head)
        if synonyms is not None and compared == 'own':
            raise UserError(f"{head}: synonyms={synonyms!r} has no effect with compared='own': leave it out.")
        super().__init__(in_channels, partial(_make_rows, classifier, specs, predict_as), **shared)
        self.datasets, self.predict_as, self.compared = specs, predict_as, compared
        self.informative_weight = informative_weight
        self.label_smooth = dict(eps=self.label_smooth_eps, num_classes=label_smooth_classes)
        self.within_informative = dict(variance_weight=variance_weight, covariance_weight=covariance_weight)
        self.training_only = TrainingOnly()
        if informative_weight:
            self.training_only['expander'] = Expander(self.class_rows.embed_dims, expander_channels)
        self._synonyms_option = synonyms
        self._synonyms: Tensor | None = None
        self._watch = Watch()

    @property
    def has_one_classifier(self) -> bool:
        """Whether all videos are predicted by the same names, whatever their dataset is."""
        return self.class_rows.num_classes is not None

    def loss(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> dict[str, Tensor]:
        """Losses of N videos, plain or blended by ``MultiDatasetBlending``; the rows of one video are averaged first.

        Returns:
            ``loss_cls``, ``loss_informative`` where there is one, and accuracies among the names of the dataset, such
            as ``k400/top1_acc``, of the videos that are not blended.

        Raises:
            UserError: A sample is of an unknown dataset, or its label is none of that dataset's.
        """
        x = self.embed_videos(feats, len(data_samples))  # (N, D)
        self.class_rows.fill()
        rows = {name: each.training_rows() for name, each in self.class_rows.datasets.items()}
        sizes = {name: len(each) for name, each in rows.items()}
        targets = read_targets(data_samples, sizes, dict.fromkeys(sizes, 'ce'))
        union = self.cosine(x, torch.cat(list(rows.values())), training=True)  # (N, U)
        logits = dict(zip(sizes, union.split(list(sizes.values()), dim=1), strict=True))
        dense = dense_targets(targets, sizes, x.device)
        smooth = {name: t._replace(scores=smooth_targets(t.scores, **self.label_smooth)) for name, t in dense.items()}
        compared = (logits, smooth) if self.compared == 'own' else self._among_all(union, dense, smooth, rows)
        losses = classification_losses(*compared, self.datasets)
        logged = accuracies(logits, targets, self.topk)
        if self.informative_weight:  # last: with several GPUs its gather waits once, for the number of rows of each
            losses['loss_informative'] = self.informative_weight * expanded_loss(
                x, self.training_only['expander'], **self.within_informative
            )
        return {**losses, **logged}

    def _among_all(
        self,
        union: Tensor,
        dense: Mapping[str, DenseTargets],
        smooth: Mapping[str, DenseTargets],
        rows: Mapping[str, Tensor],
    ) -> tuple[dict[str, Tensor], dict[str, DenseTargets]]:
        """Logits and targets (N, U) of each dataset among the names of all, without the synonyms of what is there.

        Args:
            union: Logits (N, U) with the names of all datasets.
            dense: Targets before smoothing.
            smooth: Targets after it.
            rows: Class rows by dataset.
        """
        logits, targets, start = {}, {}, 0
        for name, (scores, _) in dense.items():
            end = start + scores.shape[1]
            alike = self._synonyms_of(rows)[start:end].to(scores)  # (K, U)
            logits[name] = union.masked_fill((scores > 0).to(scores) @ alike > 0, _NEVER)
            padded = functional.pad(smooth[name].scores, (start, union.shape[1] - end))  # (N, U)
            targets[name] = smooth[name]._replace(scores=padded)
            start = end
        return logits, targets

    def _synonyms_of(self, rows: Mapping[str, Tensor]) -> Tensor:
        """Which of all names mean the same (U, U); found anew where the rows have changed."""
        watched = list(rows.values())
        if self._synonyms is None or not self._watch.is_unchanged(watched):
            option = self._synonyms_option
            by_rows = isinstance(option, (int, float))
            names = {name: each.class_names for name, each in self.class_rows.datasets.items()}
            chosen = dict(threshold=option if by_rows else None, groups=() if by_rows else option or ())
            self._synonyms = synonyms_among(names, rows, **chosen).to(watched[0].device)
            self._watch.remember(watched)
            found = list(pairs_of(self._synonyms, names))
            close = closest_others(self._synonyms, names, rows) if by_rows else ''
            closest = f'; the closest that are none: {close}' if close else ''
            logger.info('Synonyms of different datasets: %s%s.', first_few(found, 12, '; ') or 'none', closest)
        return self._synonyms

    def predict(self, feats: Features, data_samples: SampleList, **kwargs: Any) -> SampleList:
        """Scores of N videos, each by the names of its dataset, by those of ``predict_as``, or by other names.

        Raises:
            UserError: A sample is of an unknown dataset.
        """
        if self.class_rows.other is not None:
            return super().predict(feats, data_samples, **kwargs)
        chosen = choose_datasets(data_samples, self.datasets, self.predict_as)
        views = self.embed_views(feats, len(data_samples), **kwargs)  # (N, V, D)
        return predict_samples(views, data_samples, chosen, self._scores)

    def _scores(self, name: str, views: Tensor) -> Tensor:
        """The scores of videos by the names of a dataset: (n, V, D) -> (n, K), or (n, V, K)."""
        if self.average_clips == 'feature':
            views = views.mean(1, keepdim=True)
        rows = self.class_rows.of(name).testing_rows()
        return self.average_clip(self.cosine(views.flatten(0, 1), rows, training=False), num_segs=views.shape[1])


def _require_texts(specs: Mapping[str, DatasetSpec], head: str) -> None:
    """Refuse datasets that text cannot classify."""
    for name, spec in specs.items():
        if spec.class_names is None:
            raise UserError(f'{head}: datasets[{name!r}] needs class_names, the texts of its classes.')
        if spec.loss != 'ce':
            raise UserError(
                f'{head}: datasets[{name!r}] has loss={spec.loss!r}, but the cosines of one scale are compared by a '
                "softmax: 'ce' alone. MultiDatasetHead has both."
            )


def _make_rows(
    classifier: Mapping[str, Any],
    specs: Mapping[str, DatasetSpec],
    predict_as: str | None,
    *,
    num_classes: int | None,
    embed_dims: int | None,
) -> DatasetRows:
    """The class rows of each dataset by one text encoder, and those of other names where they are given."""
    if not isinstance(classifier, Mapping):
        raise UserError(
            f"MultiDatasetTextHead needs `classifier` as dict(type='TextClassifier', ...), got {classifier!r}."
        )
    shared = dict(classifier)
    if shared.get('encoder') is not None:
        shared['encoder'] = build_text_encoder(shared['encoder'])

    def rows(names: Any, classes: int | None = None) -> ClassRows:
        source = build_classifier_source({**shared, 'class_names': names})
        return ClassRows(source, num_classes=classes, embed_dims=embed_dims)

    datasets = {name: rows(spec.class_names, spec.num_classes) for name, spec in specs.items()}
    other = rows(classifier['class_names']) if classifier.get('class_names') is not None else None
    return DatasetRows(datasets, predict_as, other)
