"""Class rows that a text tower generates, which is trained with the model."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.ensembles import embed_prompts, ensemble, mean_of_normalised
from textxfer_mm.classifiers.sources import ClassifierSource
from textxfer_mm.classifiers.stored_rows import StoredRows
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text.encoding import in_chunks, require_chunk_size
from textxfer_mm.text.glosses.prompts import senses_of
from textxfer_mm.text.glosses.table import Glosses
from textxfer_mm.text.text_tower import TextTower, encode_in_batches

logger = logging.getLogger(__name__)


class TowerRows(ClassRows):
    """Rows of a trained text tower: in training with gradient, in testing the matrix that belongs to its weights.

    A checkpoint holds the tower and the rows it makes, so that it tests without running the tower, and where the files
    of the text encoder are missing: the tower is then not built, and the checkpoint's is left out. Other class names
    than the checkpoint's are encoded by the trained tower.

    Args:
        source: A ``TextClassifier``; its encoder gives the tower with its pretrained weights.
        chunk_size: Classes, or texts, of a forward pass of the tower in training; activations are then computed twice
            instead of kept. None encodes all that are wanted at once.
        follow_seed: Whether a tower without pretrained weights is drawn anew at ``init_weights()``, from torch's random
            state and so by the seed of the run; False keeps the encoder's draw, which is equal in all runs.
        num_classes: See :class:`ClassRows`.
        embed_dims: See :class:`ClassRows`.

    Raises:
        UserError: The source has no text tower, or its weights are not those of its architecture.
    """

    tower: TextTower | None

    def __init__(
        self,
        source: ClassifierSource,
        *,
        chunk_size: int | None = None,
        follow_seed: bool = False,
        num_classes: int | None = None,
        embed_dims: int | None = None,
    ) -> None:
        super().__init__(source, num_classes=num_classes, embed_dims=embed_dims)
        self.chunk_size = require_chunk_size(chunk_size)
        self._may_draw = follow_seed
        self._tower_missing = ''
        self._tokens: tuple[tuple[tuple[str, ...], Glosses], Tensor] | None = None
        self.tower = self._load_tower()

    def moved_by(self) -> Iterable[Tensor]:
        """The weights of the tower."""
        return () if self.tower is None else (*self.tower.parameters(), *self.tower.buffers())

    def make(self) -> ClassifierBundle:
        """Encode the class names with the tower as it is now.

        Raises:
            UserError: The tower is not at hand, or a prompt is too long.
        """
        return self._make_for(self._names(), self._glosses())

    def _make_for(self, class_names: tuple[str, ...], glosses: Glosses = ()) -> ClassifierBundle:
        tower = self.require_tower()
        modes = [(module, module.training) for module in tower.modules()]
        tower.eval()
        try:
            features = embed_prompts(
                self.encode_frozen, self.source.templates, class_names, glosses, tower
            )  # (M, S, D)
            rows = ensemble(features, glosses)  # (K, D)
        finally:
            for module, mode in modes:
                module.training = mode
        labels = dict(class_names=class_names, templates=self.source.templates, encoder_id=self.source.encoder_id)
        return ClassifierBundle.from_rows(rows, glosses=glosses, **labels)

    @property
    def how_they_train(self) -> str:
        """What becomes of the rows in training, for the log."""
        return 'made by a trained text tower'

    @property
    def are_trained(self) -> bool:
        """Training moves the tower, and the rows with it."""
        return True

    def init_weights(self) -> None:
        """Draw the tower if that was asked for and no checkpoint brought its weights, then make the rows.

        MMEngine calls it.
        """
        draw = getattr(self.source.encoder, 'draw', None)
        if self._may_draw and self.tower is not None and draw is not None:
            draw(self.tower)
        self._may_draw = False
        super().init_weights()

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode any texts with gradient to the tower -> (n, D), not normalised.

        Raises:
            UserError: The tower is not at hand, or a text is too long for it (it is named).
        """
        return self._encode_ids(self.require_tower().tokenize(texts), self.chunk_size)

    def training_rows(self, classes: Tensor | None = None) -> Tensor:
        """Encode classes (n,) with gradient to the tower -> (n, D); see :meth:`ClassRows.training_rows`.

        With M templates, or several glosses, a row is the mean of the normalised embeddings, as in the classifier.

        Raises:
            UserError: The tower is not at hand.
        """
        self.fill()
        ids, glosses = self._token_ids(), self._glosses()  # (M, S, L)
        if classes is not None:
            ids, glosses = _of_classes(ids, glosses, classes.tolist())  # (M, s, L)
        chunk_size = None if self.chunk_size is None else self.chunk_size * len(ids)
        rows = self._encode_ids(ids.flatten(0, 1), chunk_size)  # (M*s, D)
        return mean_of_normalised(rows.unflatten(0, (len(ids), -1)), glosses)  # (n, D)

    def doubts_about(self, held: StoredRows) -> str:
        """No doubts where the checkpoint's own tower makes the other rows; see the base class."""
        return '' if self.tower is not None else super().doubts_about(held)

    def _load_tower(self) -> TextTower | None:
        """The encoder's tower with its pretrained weights, or None and the reason where it is not at hand."""
        encoder = getattr(self.source, 'encoder', None)
        if not callable(getattr(encoder, 'tower', None)):
            raise UserError(
                f"A text tower is trained that belongs to a TextClassifier's encoder, and {type(self.source).__name__} "
                "has none. Use a TextClassifier, or text='offline' in a VideoTextMatchingHead."
            )
        try:
            tower = encoder.tower()
        except NotAtHandError as error:
            self._tower_missing = str(error)
            logger.info('There is no text tower here, so a checkpoint can be tested, but not trained: %s', error)
            return None
        freeze_unused(tower)
        return tower

    def require_tower(self) -> TextTower:
        """The tower.

        Raises:
            UserError: It is not at hand.
        """
        if self.tower is None:
            raise UserError(
                f'The text tower of {self.source.encoder_id} is needed for training, and for other class names than a '
                f"checkpoint's, and it is not here: {self._tower_missing}"
            )
        return self.tower

    def _encode_ids(self, ids: Tensor, chunk_size: int | None) -> Tensor:
        """Tokens (n, L) -> (n, D), with gradient; without the columns that are padding in all rows of a chunk."""
        tower = self.require_tower()
        if not len(ids):  # the tower has a gradient all the same, of zero: DDP waits for it on every rank
            return self._encode_ids(tower.tokenize(['a']), None)[:0]
        if chunk_size is None or len(ids) <= chunk_size:
            return tower(tower.trim(ids).to(self.weight.device))
        order = tower.lengths(ids).argsort(stable=True)  # of like length together
        ids = ids[order].to(self.weight.device)
        rows = in_chunks(lambda chunk: tower(tower.trim(chunk)), ids, chunk_size=chunk_size)
        return rows[order.argsort().to(rows.device)]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        self._may_draw &= not any(name.startswith(f'{prefix}tower.') for name in state_dict)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def encode_frozen(self, texts: Sequence[str]) -> Tensor:
        """Encode any texts with the tower as it is, in its present mode -> (n, D) on the CPU, without gradient.

        Raises:
            UserError: The tower is not at hand, or a text is too long for it (it is named).
        """
        batch_size, device = self.source.encoder.batch_size, str(self.weight.device)
        return encode_in_batches(self.require_tower(), texts, batch_size=batch_size, device=device)

    def _token_ids(self) -> Tensor:
        """Tokens of all prompts (M, S, L), made once."""
        labels, tower = (self._names(), self._glosses()), self.require_tower()
        if self._tokens is None or self._tokens[0] != labels:
            self._tokens = labels, embed_prompts(tower.tokenize, self.source.templates, *labels, tower)
        return self._tokens[1]


def _of_classes(ids: Tensor, glosses: Glosses, classes: Sequence[int]) -> tuple[Tensor, Glosses]:
    """The tokens (M, s, L) of some classes, and their glosses, of all tokens (M, S, L)."""
    if not glosses:
        return ids[:, classes], ()
    rows: list[list[int]] = [[] for _ in glosses]
    for row, owner in enumerate(senses_of(glosses)):
        rows[owner].append(row)
    return ids[:, [row for k in classes for row in rows[k]]], tuple(glosses[k] for k in classes)


def freeze_unused(tower: TextTower) -> None:
    """Freeze the weights that no vector depends on (BERT's pooler): DDP would wait for their gradients."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast('cpu', enabled=False):
        tower(tower.tokenize(['a'])).sum().backward()
    for parameter in tower.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
