"""A text tower inside a head: trained with the model, and the classifier that is kept up to date with it."""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.sources import ensemble
from textxfer_mm.errors import UserError
from textxfer_mm.models.heads.classifier_state import pack_metadata, unpack_metadata
from textxfer_mm.text.templates import fill
from textxfer_mm.text.text_tower import TextTower, encode_in_batches


class OnlineText:
    """Mixin of the heads whose text tower may be trained; put it before the head class.

    The head's ``classifier`` (K, D) stays a buffer. While the tower is trained it is out of date, and it is encoded
    again when testing needs it and when it is saved: a checkpoint holds the rows of its own tower, and tests without
    one. The classifier comes from

    * the tower, and follows it;
    * a checkpoint, and is taken as it is until training goes on (no text is encoded in testing);
    * the user (``set_classifier``), likewise, and it is saved as it is.
    """

    text_tower: TextTower | None

    def register_tower(self, online: bool) -> None:
        """Build the tower of the classifier's encoder where it is trained and at hand; afterwards the head is complete.

        Raises:
            UserError: the classifier's source has no text tower.
        """
        self.online, self._tower_missing = online, ''
        self._rows_from, self._stale, self._loading = 'tower', False, False
        self._tokens: tuple[list[str], Tensor] | None = None
        self.text_tower = self._load_tower() if online else None

    def _load_tower(self) -> TextTower | None:
        """The encoder's tower with its pretrained weights, or None and the reason where it is not at hand."""
        encoder = getattr(self.source, 'encoder', None)
        if not callable(getattr(encoder, 'tower', None)):
            raise UserError(
                f"text='online' trains the text tower of a TextClassifier's encoder; {type(self.source).__name__} has "
                "none. Use a TextClassifier, or text='offline'."
            )
        try:
            tower = encoder.tower()
        except UserError as error:
            self._tower_missing = str(error)
            print_log(
                f'There is no text tower here, so a checkpoint can be tested, but not trained: {error}', 'current'
            )
            return None
        freeze_unused(tower)
        return tower

    @property
    def rows_trained(self) -> bool:
        """Whether training moves the rows of the classifier."""
        return self.online or super().rows_trained

    def class_rows(self, classes: Tensor) -> Tensor:
        """Rows of some classes (n,), on the CPU -> (n, D), not normalised; with gradients to the tower if there is one.

        With M templates a row is the mean of the M normalised embeddings, as in the classifier.

        Raises:
            UserError: the tower is to be trained and is not at hand.
        """
        self.ensure_weights()
        if not self.online:
            return self.classifier[classes.to(self.classifier.device)]
        tower = self._require_tower()
        ids = self._token_ids()[:, classes]  # (M, n, L)
        ids = tower.trim(ids.flatten(0, 1)).to(self.logit_scale.device)  # (M*n, L)
        features = tower(ids).unflatten(0, (-1, len(classes)))  # (M, n, D)
        return F.normalize(features.float(), dim=-1).mean(0) if len(features) > 1 else features[0]

    def encode_classes(self) -> None:
        """Make the classifier with the tower as it is now, without gradient.

        Raises:
            UserError: the tower is not at hand, or a prompt is too long.
        """
        tower, texts = self._require_tower(), self._prompts()
        training, batch_size = tower.training, self.source.encoder.batch_size
        tower.eval()
        features = encode_in_batches(tower, texts, batch_size=batch_size, device=str(self.logit_scale.device))
        tower.train(training)
        rows = ensemble(features.unflatten(0, (-1, self.num_classes)))  # (M, K, D) -> (K, D)
        names = dict(class_names=self.class_names, templates=self.templates, encoder_id=self.encoder_id)
        self.set_classifier(ClassifierBundle.from_rows(rows, **names))
        self._rows_from = 'tower'

    def follow_tower(self) -> None:
        """Note that training moves the tower: the classifier is made again before it is used."""
        if self.online:
            self._rows_from, self._stale = 'tower', True

    def refresh(self) -> None:
        """Fetch what is missing, and make the classifier again where the tower has moved."""
        self.ensure_weights()
        if self._stale:
            self.encode_classes()

    def fetch_weights(self) -> None:
        """Make the classifier: with the tower, or from its source."""
        if not self.online:
            super().fetch_weights()
            return
        self._describe(self.source.class_names, self.source.templates, self.source.encoder_id)
        self.encode_classes()
        self.announce()

    def set_classifier(self, bundle: ClassifierBundle) -> None:
        """Take a classifier as it is, until training goes on."""
        super().set_classifier(bundle)
        self._rows_from, self._stale = 'user', False

    def bundle(self) -> ClassifierBundle:
        """The classifier as it is now, for saving or showing."""
        self.refresh()
        return super().bundle()

    def train(self, mode: bool = True) -> 'OnlineText':
        """Switch the mode. A tower whose weights are swapped between training and testing (EMA) is encoded anew."""
        if self.training and not mode and self.text_tower is not None and self._rows_from == 'tower':
            self._stale = True
        return super().train(mode)

    def _save_to_state_dict(self, *args: Any) -> None:
        """Save the rows of the tower as it is now; also in a moving average, which never sees a training step."""
        follows = self.text_tower is not None and self._rows_from != 'user'
        if follows and not self._loading and self.classifier.any():
            self.encode_classes()
        super()._save_to_state_dict(*args)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Load as the base class does; a head without a tower leaves the checkpoint's out."""
        stored = [key for key in state_dict if key.startswith(f'{prefix}text_tower.')]
        if stored and self.text_tower is None:
            for key in stored:
                del state_dict[key]
            print_log(
                f"The checkpoint's text tower ({len(stored)} tensors) is left out: testing needs the classifier alone.",
                'current',
            )
        elif stored:
            self._rows_from, self._stale = 'tower', self._weights_filled
        self._loading = True  # the weights of the tower are still to come
        try:
            super()._load_from_state_dict(state_dict, prefix, *args)
        finally:
            self._loading = False

    def _adopts(self, stored: Tensor, packed: Tensor | None) -> bool:
        """Decide as the base class does, without its warning about rows that were trained where a tower makes them."""
        if self.text_tower is not None and packed is not None:  # other rows will come from the checkpoint's own tower
            packed = pack_metadata({**unpack_metadata(packed), 'trained': False})
        return super()._adopts(stored, packed)

    def classifier_adopted(self) -> None:
        """A checkpoint's rows belong to its tower."""
        self._rows_from, self._stale = 'checkpoint', False

    def _require_tower(self) -> TextTower:
        """The tower, or an error that says why it is needed and why it is not here."""
        if self.text_tower is None:
            raise UserError(
                f'The text tower of {self.source.encoder.encoder_id} is needed for training, and for other class names '
                f"than a checkpoint's, and it is not here: {self._tower_missing}"
            )
        return self.text_tower

    def _prompts(self) -> list[str]:
        """M*K prompts, those of a template together."""
        rows = fill(self.templates or self.source.templates, self.class_names)
        return [prompt for row in rows for prompt in row]

    def _token_ids(self) -> Tensor:
        """Tokens of all prompts (M, K, L), made once."""
        texts = self._prompts()
        if self._tokens is None or self._tokens[0] != texts:
            ids = self._require_tower().tokenize(texts)
            self._tokens = texts, ids.unflatten(0, (-1, self.num_classes))
        return self._tokens[1]


def freeze_unused(tower: TextTower) -> None:
    """Freeze the weights that no vector depends on (BERT's pooler): DDP would wait for their gradients."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast('cpu', enabled=False):
        tower(tower.tokenize(['a'])).sum().backward()
    for parameter in tower.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
