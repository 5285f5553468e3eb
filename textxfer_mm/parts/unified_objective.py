"""The training objective of iCLIP's heads, for every framework: labelled and captioned samples as one loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.classifiers.training_classes import TrainingClasses
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.cosine import cosine_logits
from textxfer_mm.losses.accuracy import topk_accuracies
from textxfer_mm.losses.contrastive import match_accuracy
from textxfer_mm.losses.gather import world_size
from textxfer_mm.losses.unified import classification_loss, contrastive_loss, sum_over_ranks
from textxfer_mm.part_configs import read_part
from textxfer_mm.parts.captions import (
    CAPTION_KEYS,
    LongCaptions,
    caption_number,
    caption_of,
    encode_captions,
    name_of,
)
from textxfer_mm.parts.cosine_classifier import Equipped, training_iteration
from textxfer_mm.parts.labels import class_labels

FORMS = ('iclip', 'unicl')
#: What equal captions of a batch are to each other.
EQUAL_CAPTIONS = ('positives', 'negatives')


@dataclass(frozen=True)
class MixedBatch:
    """What the samples of a batch of this rank are for.

    Attributes:
        labelled: (n,) which samples have a class.
        labels: (n,) the classes of these.
        captioned: (m,) which samples have a caption.
        captions: The m captions of these.
    """

    labelled: Tensor
    labels: Tensor
    captioned: Tensor
    captions: Sequence[str]

    @classmethod
    def read(cls, samples: Sequence[Any], num_classes: int, head: str, device: torch.device) -> 'MixedBatch':
        """Read the data samples of MMAction2 or MMPretrain.

        Args:
            samples: N samples; ``gt_label`` makes one labelled, ``caption`` or ``text`` captioned, both make it both.
            num_classes: K.
            head: Who needs them, for messages.
            device: Where the tensors are wanted.

        Raises:
            UserError: A sample has neither; a label is not one class, or out of range; a caption is no text or empty.
        """
        captions = [caption_of(sample, head) for sample in samples]
        labelled = [place for place, sample in enumerate(samples) if 'gt_label' in sample]
        captioned = [place for place, caption in enumerate(captions) if caption is not None]
        neither = sorted({*range(len(samples))} - {*labelled, *captioned})
        if neither:
            raise UserError(
                f'{head} trains on labels and captions, and {name_of(samples[neither[0]])} has neither: its dataset '
                f'must give `label`, or one of {", ".join(CAPTION_KEYS)}, which the pipeline hands on: '
                "PackActionInputs or PackInputs(meta_keys=('caption',))."
            )
        labels = class_labels([samples[place] for place in labelled], num_classes, head)
        labelled, captioned = (torch.tensor(x, dtype=torch.long, device=device) for x in (labelled, captioned))
        return cls(labelled, labels.to(device), captioned, [text for text in captions if text is not None])


class UnifiedObjective:
    """L = cls_weight * L_cls + con_weight * L_con over a batch of labelled and captioned samples, or UniCL's loss.

    L_cls is the cross-entropy from image to the text of its class among all K, L_con the symmetric InfoNCE of the
    captioned samples (:mod:`textxfer_mm.losses.unified`); one encoder makes the texts of both, and both share one
    learned temperature. Batches may be mixed, of one kind alone, and different on each of M ranks.

    What the iCLIP papers do not say, and is an option here: the weights (1 and 1), what equal captions are to each
    other, and how the class texts of a step are afforded (:class:`~textxfer_mm.classifiers.training_classes`).

    Args:
        form: ``'iclip'``, or ``'unicl'``: the bidirectional loss of Yang et al. (2022), in which a labelled sample is a
            pair of an image and the text of its class, and pairs of one class are positives of each other. The text of
            a class is that of its class row; UniCL draws a template for each sample.
        cls_weight: The weight of L_cls.
        con_weight: The weight of L_con.
        equal_captions: ``'positives'`` of each other, or ``'negatives'`` as in CLIP's own code.
        long_captions: ``'refuse'`` those that are longer than the text tower reads, or ``'shorten'`` them, see
            :class:`~textxfer_mm.parts.captions.LongCaptions`.
        shard_classes: Whether each rank encodes 1/M of the classes; exact.
        num_negatives: Classes a step compares with beside those of the batch; approximate. None takes all.
        refresh_interval: Steps for which the rows of classes beyond these are kept; approximate. None keeps none.
        negative_seed: The seed of the draws of negatives.

    Raises:
        UserError: An option is unknown or out of range, or has no effect.
    """

    def __init__(
        self,
        *,
        form: str = 'iclip',
        cls_weight: float = 1.0,
        con_weight: float = 1.0,
        equal_captions: str = 'positives',
        long_captions: str = 'refuse',
        shard_classes: bool = False,
        num_negatives: int | None = None,
        refresh_interval: int | None = None,
        negative_seed: int = 0,
    ) -> None:
        choices = dict(form=(form, FORMS), equal_captions=(equal_captions, EQUAL_CAPTIONS))
        for name, (value, known) in choices.items():
            if value not in known:
                raise UserError(f'Unknown {name}={value!r} of the objective.{nearest(str(value), known)}')
        weights = cls_weight, con_weight
        if not all(isinstance(w, int | float) and isfinite(w) and w >= 0 for w in weights) or not any(weights):
            raise UserError(
                f'cls_weight and con_weight are numbers of at least 0, and not both 0; got {cls_weight!r} and '
                f'{con_weight!r}.'
            )
        of_iclip = shard_classes, num_negatives, refresh_interval, negative_seed, *weights
        if form == 'unicl' and of_iclip != (False, None, None, 0, 1.0, 1.0):
            raise UserError(
                "form='unicl' has one loss, and encodes the classes of the batch alone: leave out cls_weight, "
                'con_weight, shard_classes, num_negatives, refresh_interval and negative_seed.'
            )
        if negative_seed != 0 and num_negatives is None:
            raise UserError(f'negative_seed={negative_seed!r} has no effect without num_negatives: leave it out.')
        self.form, self.cls_weight, self.con_weight, self.equal_captions = form, cls_weight, con_weight, equal_captions
        self.fitting = LongCaptions(long_captions)
        self.classes = TrainingClasses(
            shard=shard_classes,
            num_negatives=num_negatives,
            refresh_interval=refresh_interval,
            seed=negative_seed,
            iteration=training_iteration,
        )

    def losses(self, head: Equipped, embeddings: Tensor, samples: Sequence[Any]) -> dict[str, Tensor]:
        """The losses of a step; a collective call.

        Args:
            head: It holds the class rows, whose tower encodes the captions too, and the scale.
            embeddings: (N, D) of images or videos, not normalised.
            samples: N data samples.

        Returns:
            ``loss_cls`` and ``loss_con``, weighted, or ``loss_unicl``: of the samples of all ranks, on every rank. And
            of the samples of this rank, where it has some, ``top{k}_acc`` where all classes are encoded, which UniCL
            and the approximate ways do not do, and ``match_acc``: the share of samples that are closest to a text of
            their own, of captioned ones or, with UniCL's loss, of all.

        Raises:
            UserError: See :meth:`MixedBatch.read`; or a caption is too long for the tower, and is not to be shortened.
        """
        head.class_rows.fill()
        batch = MixedBatch.read(samples, head.class_rows.num_classes, type(head).__name__, embeddings.device)
        batch = replace(batch, captions=self.fitting(head.class_rows, batch.captions))
        scale = head.cosine.scale(training=True)
        if self.form == 'unicl':
            return self._unicl(head.class_rows, embeddings, batch, scale)
        counts = torch.tensor([len(batch.labels), len(batch.captions)], device=embeddings.device)
        labelled, captioned = sum_over_ranks(counts).tolist()
        losses = {name: embeddings.new_zeros((), dtype=torch.float32) for name in ('loss_cls', 'loss_con')}
        accuracies = {}
        if labelled:
            images = embeddings[batch.labelled]  # (n, D)
            rows, places = self.classes.rows(head.class_rows, batch.labels)
            losses['loss_cls'] = self.cls_weight * classification_loss(images, rows, places, scale, labelled)
            if len(images) and self.classes.are_all:
                with torch.no_grad():
                    accuracies |= topk_accuracies(cosine_logits(images, rows, 1.0), places, head.topk)
        if captioned:
            loss, accuracy = self._contrastive(head.class_rows, embeddings[batch.captioned], batch.captions, scale)
            losses['loss_con'] = self.con_weight * loss
            accuracies |= accuracy
        return losses | accuracies

    def _contrastive(
        self, class_rows: TowerRows, images: Tensor, captions: Sequence[str], scale: Tensor | float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L_con of the captioned samples of all ranks, and the accuracy of those of this rank."""
        texts = encode_captions(class_rows, captions)  # (m, D)
        numbers = self._numbers(captions).to(images.device)
        loss = contrastive_loss(images, texts, numbers, scale)
        return loss, _match_accuracy(images, texts, numbers)

    def _unicl(
        self, class_rows: TowerRows, embeddings: Tensor, batch: MixedBatch, scale: Tensor | float
    ) -> dict[str, Tensor]:
        """Labelled and captioned samples as pairs of one loss; the negative numbers are no class."""
        classes, which = batch.labels.unique(return_inverse=True)
        rows, captions = class_rows.training_rows(classes)[which], encode_captions(class_rows, batch.captions)
        images = embeddings[torch.cat([batch.labelled, batch.captioned])]
        texts = torch.cat([rows.float(), captions.float()])
        numbers = torch.cat([batch.labels, self._numbers(batch.captions).to(embeddings.device)])
        loss = contrastive_loss(images, texts, numbers, scale)
        return dict(loss_unicl=loss, **_match_accuracy(images, texts, numbers))

    def _numbers(self, captions: Sequence[str]) -> Tensor:
        """A negative number for each caption, equal on all ranks where equal captions are positives."""
        if self.equal_captions == 'negatives':
            rank = dist.get_rank() if world_size() > 1 else 0
            return -1 - (rank << 32) - torch.arange(len(captions))
        numbers = torch.tensor([caption_number(caption) for caption in captions], dtype=torch.long)
        return torch.minimum(numbers, -1 - numbers)


def build_objective(options: Mapping[str, Any] | None) -> UnifiedObjective:
    """The objective of a head from its options.

    Raises:
        UserError: See :class:`UnifiedObjective`; or an option is unknown.
    """
    name = UnifiedObjective.__name__
    options = {} if options is None else options
    cfg = {'type': name, **options} if isinstance(options, Mapping) else options
    _, args = read_part(cfg, 'objective', (name,), {name: UnifiedObjective}.get)
    return UnifiedObjective(**args)


def _match_accuracy(images: Tensor, texts: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The share of the samples of this rank that are closest to a text of theirs; nothing where there is none."""
    return dict(match_acc=match_accuracy(images, texts, labels)) if len(images) else {}
