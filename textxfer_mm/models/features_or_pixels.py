"""Batches of features of frozen stages in training, of pixels everywhere else."""

from collections.abc import Sequence

from mmengine.model import stack_batch
from torch import Tensor

from textxfer_mm.registry import MODELS

from mmaction.models.data_preprocessors import ActionDataPreprocessor  # isort: skip  (after the registry: it repairs mmaction)
from mmaction.utils import SampleList  # isort: skip


@MODELS.register_module()
class FeaturesOrPixels(ActionDataPreprocessor):
    """``ActionDataPreprocessor`` that leaves features as they are: batches of floating-point numbers.

    Pixels (uint8) are normalised with ``mean`` and ``std``. A backbone with frozen stages is trained on their kept
    output, and takes videos in validation and testing.
    """

    def preprocess(
        self, inputs: Sequence[Tensor], data_samples: SampleList, training: bool = False
    ) -> tuple[Tensor, SampleList]:
        """Stack the inputs of a batch (N, V, ...); normalise pixels; blend, if that is configured, in training."""
        if not inputs[0].is_floating_point():
            return super().preprocess(inputs, data_samples, training)
        batch = stack_batch(list(inputs))
        if training and self.blending is not None:
            batch, data_samples = self.blending(batch, data_samples)
        return batch, data_samples
