"""MixUp and CutMix in a batch of several datasets."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.upload import upload
from textxfer_mm.losses.cross_dataset import blended_target, plain_target, require_policy
from textxfer_mm.models.dataset_samples import MIXTURE, dataset_of, labels_of_samples
from textxfer_mm.registry import MODELS

from mmaction.models.utils.blending_utils import CutmixBlending  # isort: skip  (after the registry: it repairs mmaction)
from mmaction.utils import SampleList  # isort: skip

PARTNERS = ('flip', 'permutation')


@MODELS.register_module()
class MultiDatasetBlending:
    """MixUp or CutMix across datasets, one lambda a batch (MultiTrain); the ``blending`` of a data preprocessor.

    It needs no number of classes: labels stay those of the sample's own dataset, and what the blended sample is to each
    dataset is added as ``gt_mixture`` (:mod:`textxfer_mm.models.dataset_samples`).

    Args:
        policy: What becomes of a partner from another dataset, see
            :func:`~textxfer_mm.losses.cross_dataset.blended_target`: ``'drop'`` as in the released code, ``'both'``, or
            ``'same'``, which leaves such samples as they are.
        mixup_alpha: Both parameters of the Beta distribution of MixUp's lambda; 0 has no MixUp.
        cutmix_alpha: Those of CutMix, whose lambda is then that of the area; 0 has no CutMix.
        prob: How likely a batch is blended at all.
        switch_prob: How likely it is by CutMix, where there are both.
        partner: ``'flip'`` blends the first with the last, as released; ``'permutation'`` draws partners.

    Raises:
        UserError: An option is unknown or out of range.
    """

    def __init__(
        self,
        *,
        policy: str = 'both',
        mixup_alpha: float = 0.8,
        cutmix_alpha: float = 1.0,
        prob: float = 1.0,
        switch_prob: float = 0.5,
        partner: str = 'flip',
    ) -> None:
        require_policy(policy)
        if partner not in PARTNERS:
            raise UserError(f'Unknown partner {partner!r} of MultiDatasetBlending.{nearest(str(partner), PARTNERS)}')
        if min(mixup_alpha, cutmix_alpha) < 0 or mixup_alpha == cutmix_alpha == 0:
            raise UserError(
                'MultiDatasetBlending needs a mixup_alpha or a cutmix_alpha above 0 and none below, got '
                f'{mixup_alpha} and {cutmix_alpha}.'
            )
        for name, value in (('prob', prob), ('switch_prob', switch_prob)):
            if not 0 <= value <= 1:
                raise UserError(f'MultiDatasetBlending: {name} is a probability, got {value}.')
        self.policy, self.partner = policy, partner
        self.mixup_alpha, self.cutmix_alpha = mixup_alpha, cutmix_alpha
        self.prob, self.switch_prob = prob, switch_prob

    def __call__(self, imgs: Tensor, batch_data_samples: SampleList, **kwargs: Any) -> tuple[Tensor, SampleList]:
        """Blend a batch.

        Args:
            imgs: (N, V, C, T, H, W), or (N, T, C, H, W) of a 2-D recogniser.
            batch_data_samples: N samples.
            kwargs: What else a data preprocessor passes; not needed.

        Returns:
            The blended videos, and the samples with ``gt_mixture``.

        Raises:
            UserError: A sample has no dataset or no label.
        """
        names = [dataset_of(sample) for sample in batch_data_samples]
        if torch.rand(()).item() >= self.prob:
            return imgs, batch_data_samples
        partners = self._partners(len(names))
        if self.policy == 'same':  # whoever has a foreign partner is its own, which leaves it as it is
            partners = [j if names[i] == names[j] else i for i, j in enumerate(partners)]
        blended, share = self._blend(imgs, partners)
        parts = list(zip(names, labels_of_samples(batch_data_samples), strict=True))
        for i, (sample, j) in enumerate(zip(batch_data_samples, partners, strict=True)):
            target = plain_target(*parts[i]) if i == j else blended_target(parts[i], parts[j], share, self.policy)
            sample.set_field(target, MIXTURE, field_type='metainfo')
        return blended, batch_data_samples

    def _partners(self, size: int) -> Sequence[int]:
        """The partner of each sample of a batch."""
        return torch.randperm(size).tolist() if self.partner == 'permutation' else range(size)[::-1]

    def _blend(self, imgs: Tensor, partners: Sequence[int]) -> tuple[Tensor, float]:
        """Blended videos, and the share of each that is its own."""
        others = imgs[upload(torch.tensor(partners), imgs.device)]
        if self._is_cutmix():
            share = torch.distributions.Beta(self.cutmix_alpha, self.cutmix_alpha).sample()
            left, top, right, bottom = map(int, CutmixBlending.rand_bbox(imgs.shape, share))
            blended = imgs.clone()
            blended[..., top:bottom, left:right] = others[..., top:bottom, left:right]
            return blended, 1 - (right - left) * (bottom - top) / (imgs.shape[-1] * imgs.shape[-2])
        share = torch.distributions.Beta(self.mixup_alpha, self.mixup_alpha).sample().item()
        blended = share * imgs + (1 - share) * others
        for i in (i for i, j in enumerate(partners) if i == j):
            blended[i] = imgs[i]  # to the last digit
        return blended, share

    def _is_cutmix(self) -> bool:
        """Draw which of the two a batch is blended by."""
        if not (self.mixup_alpha and self.cutmix_alpha):
            return bool(self.cutmix_alpha)
        return torch.rand(()).item() < self.switch_prob
