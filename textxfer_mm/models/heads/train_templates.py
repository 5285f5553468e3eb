"""Several templates in training: one is drawn at each iteration (Text4Vis, Table 4 and supp. B.4)."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn

from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.errors import UserError
from textxfer_mm.text.encoding import TextEncoder
from textxfer_mm.text.templates import resolve_templates


class TrainTemplates(nn.Module):
    """One classifier for each of M templates, encoded once, and a draw among them.

    One template is drawn at each iteration, for all classes alike (the paper does not say which; all alike keeps the
    rows of a classifier comparable). The draw is a function of seed and iteration alone: it is the same on all ranks
    and after resuming, and moves no random state. Nothing of it is in the checkpoint.

    Args:
        source: The classifier of testing, which gives class names and encoder.
        templates: A template set or several templates, as of ``TextClassifier``.
        seed: Of the draws.
        num_classes: K, or None where the names are not at hand.
        embed_dims: D.

    Raises:
        UserError: The classifier is not made of templates, or a template or the seed is wrong.
    """

    def __init__(
        self, source: Any, templates: str | Sequence[str], *, seed: int, num_classes: int | None, embed_dims: int
    ):
        super().__init__()
        if not isinstance(source, TextClassifier):
            raise UserError(
                f'train_templates needs a classifier made of templates (TextClassifier), not {type(source).__name__}.'
            )
        if not isinstance(seed, int) or seed < 0:
            raise UserError(f'`template_seed` is an integer that is not negative, got {seed!r}.')
        self.source = source
        self.templates = resolve_templates(templates)
        self.seed = seed
        self._count = 0
        self._filled = False
        rows = torch.zeros(len(self.templates), num_classes or 0, embed_dims)
        self.register_buffer('rows', rows, persistent=False)  # (M, K, D)

    def fill(self) -> None:
        """Encode, or take from the cache, once."""
        if not self._filled:
            with torch.inference_mode(False):
                self.rows = torch.stack(encode_templates(self.source, self.templates)).to(self.rows)
            self._filled = True

    def draw(self) -> int:
        """The template of this iteration: of the runner, where one is training, else of an own count."""
        hub = MessageHub.get_current_instance()
        if hub.get_info('loop_stage') == 'train':
            iteration = int(hub.get_info('iter'))
        else:
            iteration, self._count = self._count, self._count + 1
        return int(np.random.default_rng([self.seed, iteration]).integers(len(self.templates)))

    def forward(self) -> Tensor:
        """The classifier (K, D) of the template that is drawn."""
        self.fill()
        return self.rows[self.draw()]


def encode_templates(source: TextClassifier, templates: Sequence[str]) -> list[Tensor]:
    """The matrices (K, D) of a text classifier with each of M templates alone; the encoder is loaded at most once."""
    with _kept_loaded(source.encoder) as encoder:
        return [
            TextClassifier(source.class_names, encoder, [template], use_cache=source.use_cache).build().weight
            for template in templates
        ]


class _Kept:
    """A text encoder that is not released after each classifier."""

    def __init__(self, encoder: TextEncoder):
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def release(self) -> None:
        """Wait for the last classifier."""


@contextlib.contextmanager
def _kept_loaded(encoder: TextEncoder) -> Iterator[Any]:
    try:
        yield _Kept(encoder)
    finally:
        encoder.release()
