"""The classifier as a part of the checkpoint: matrix, class names, templates and encoder id."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.layers.lazy import LazyWeights


def pack_metadata(metadata: Mapping[str, Any]) -> Tensor:
    """JSON as a uint8 tensor: what a state dict can hold under ``weights_only=True``."""
    return torch.tensor(list(json.dumps(metadata, sort_keys=True).encode()), dtype=torch.uint8)


def unpack_metadata(packed: Tensor) -> dict[str, Any]:
    """The inverse of :func:`pack_metadata`."""
    return json.loads(bytes(packed.cpu().tolist()).decode())


def _few(names: str | Sequence[str]) -> str:
    if isinstance(names, str):
        return names
    if not names:
        return 'none'
    return ', '.join(names[:3]) + (f', ... {len(names)} in all' if len(names) > 3 else '')


class ClassifierState(LazyWeights):
    """Mixin of the heads: owns ``classifier`` (K, D) and decides between the config's classifier and a checkpoint's.

    A checkpoint's classifier is taken when the config asks for the same class names, templates and encoder, or when the
    config's are not at hand (a class-name file that stayed on the training machine). Others replace it, with a log
    line: that is zero-shot recognition. A checkpoint of another width D is an error.
    """

    source: Any
    frozen: bool

    def register_classifier(self, source: Any, num_classes: int | None, embed_dims: int, frozen: bool) -> None:
        """Declare the matrix; nothing is encoded yet.

        Args:
            source: a classifier source (``class_names``, ``templates``, ``encoder_id``, ``build()``).
            num_classes: K, or None to count the class names.
            embed_dims: D.
            frozen: buffer if true, parameter otherwise.

        Raises:
            UserError: K disagrees with the class names, or (for a trained classifier) cannot be known.
        """
        self.source, self.frozen, self.embed_dims = source, frozen, embed_dims
        names = if_known(source, 'class_names')
        if names is not None and num_classes is not None and len(names) != num_classes:
            raise UserError(
                f'num_classes={num_classes}, but the classifier has {len(names)} class names ({_few(names)}). '
                'Drop num_classes or give the list that belongs to this dataset.'
            )
        self.num_classes = num_classes if names is None else len(names)
        self.class_names, self.templates = tuple(names or ()), tuple(if_known(source, 'templates') or ())
        self.encoder_id = if_known(source, 'encoder_id') or ''
        rows = torch.zeros(self.num_classes or 0, embed_dims)
        if frozen:
            self.register_buffer('classifier', rows)
        else:
            self.classifier = nn.Parameter(rows if len(rows) else torch.zeros(len(source.class_names), embed_dims))

    @property
    def rows_trained(self) -> bool:
        """Whether training moves the rows."""
        return not self.frozen

    def fetch_weights(self) -> None:
        """Build the classifier from its source (text encoder, file or cache)."""
        self.set_classifier(self.source.build())
        self.announce()

    @torch.no_grad()
    def set_classifier(self, bundle: ClassifierBundle) -> None:
        """Take a classifier; a frozen one may have any number of classes.

        Raises:
            UserError: another width D, or another number of classes for a classifier that is being trained.
        """
        if bundle.embed_dims != self.embed_dims:
            raise UserError(
                f'This head works in width {self.embed_dims}, the classifier from {bundle.encoder_id} has '
                f'{bundle.embed_dims}. Use the text encoder the model was trained with.'
            )
        with torch.inference_mode(False):  # a first forward in inference mode must leave a buffer that training can use
            weight = bundle.weight.to(self.classifier, copy=True)
        if self.frozen:
            self.classifier = weight
        elif weight.shape == self.classifier.shape:
            self.classifier.copy_(weight)
        else:
            raise UserError(
                f'A trained classifier of {self.classifier.shape[0]} classes cannot become one of {bundle.num_classes}.'
            )
        self._describe(bundle.class_names, bundle.templates, bundle.encoder_id)
        self._weights_filled = True

    def bundle(self) -> ClassifierBundle:
        """The classifier as it is now, for saving or showing."""
        self.ensure_weights()
        weight = nn.functional.normalize(self.classifier.detach().float().cpu(), dim=-1)
        return ClassifierBundle(weight, self.class_names, self.templates, self.encoder_id)

    def _describe(self, class_names: Any, templates: Any, encoder_id: str) -> None:
        self.class_names, self.templates, self.encoder_id = tuple(class_names), tuple(templates), encoder_id
        self.num_classes = len(self.class_names)

    @property
    def how_it_trains(self) -> str:
        """What becomes of the matrix in training, for the log."""
        return 'trained' if self.rows_trained else 'frozen'

    def announce(self, origin: str = '') -> None:
        """Log what the classifier is, once it is there."""
        prompts = f' x {len(self.templates)} template(s)' if self.templates else ''
        print_log(
            f'Classifier{origin}: {self.num_classes} classes ({_few(self.class_names)}){prompts}, '
            f'D = {self.embed_dims}, by {self.encoder_id}, {self.how_it_trains}.',
            logger='current',
        )

    def get_extra_state(self) -> Tensor:
        """Names, templates, encoder id, and whether the rows were trained, saved beside the matrix."""
        metadata = dict(
            class_names=self.class_names,
            templates=self.templates,
            encoder_id=self.encoder_id,
            trained=self.rows_trained,
        )
        return pack_metadata(metadata).to(self.classifier.device)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what :meth:`get_extra_state` gave."""
        metadata = unpack_metadata(state)
        self._describe(metadata['class_names'], metadata['templates'], metadata['encoder_id'])

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        key, extra = f'{prefix}classifier', f'{prefix}_extra_state'
        stored = state_dict.get(key)
        adopted = stored is not None and bool(stored.any()) and self._adopts(stored, state_dict.get(extra))
        if adopted and self.frozen:
            self.classifier = torch.empty_like(stored, device=self.classifier.device)
        elif not adopted:  # keep ours: the base class then finds what is already here
            state_dict[key], state_dict[extra] = self.classifier.detach().clone(), self.get_extra_state()
        filled = self._weights_filled
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._weights_filled = filled or adopted
        if adopted:
            self.classifier_adopted()
        if adopted and not filled:
            self.announce(' of the checkpoint')

    def classifier_adopted(self) -> None:
        """Called when the state of a checkpoint has been loaded and its classifier taken."""

    def _adopts(self, stored: Tensor, packed: Tensor | None) -> bool:
        """Whether the checkpoint's matrix (K, D) is the one this config asks for."""
        if stored.shape[1] != self.embed_dims:
            raise UserError(
                f"The checkpoint's classifier has width {stored.shape[1]}, this head {self.embed_dims}: they were made "
                'with different text encoders. Use the config the checkpoint was trained with.'
            )
        if packed is None:
            raise UserError('The checkpoint holds a classifier without class names: it was not written by this head.')
        held = unpack_metadata(packed)
        for name, what in (('class_names', 'class names'), ('encoder_id', 'encoder'), ('templates', 'templates')):
            asked = if_known(self.source, name)
            if asked is None:
                print_log(
                    f"The config's {what} are not at hand here; the checkpoint's are used.",
                    logger='current',
                    level=logging.WARNING,
                )
            elif (tuple(asked) if isinstance(asked, tuple | list) else asked) != _as_asked(held[name]):
                doubt = self._doubt(held)
                print_log(
                    f"The checkpoint's classifier ({len(held['class_names'])} classes; {what}: {_few(held[name])}) is "
                    f"replaced by the config's ({what}: {_few(asked)}).{doubt}",
                    logger='current',
                    level=logging.WARNING if doubt else logging.INFO,
                )
                return False
        return True

    def _doubt(self, held: Mapping[str, Any]) -> str:
        """Say why features that were trained against the held classifier may not fit the one that replaces it."""
        if held.get('trained'):
            return ' Its rows were trained; the features may not fit others.'
        if getattr(self.source, 'is_drawn', False):
            return ' The rows of the new one are drawn, whatever the names are: the features know nothing of them.'
        if if_known(self.source, 'encoder_id') not in (None, held['encoder_id']):
            return f' The features were trained against rows by {held["encoder_id"]}; they may not fit others.'
        return ''


def _as_asked(held: Any) -> Any:
    return tuple(held) if isinstance(held, list) else held


def if_known(source: Any, name: str) -> Any:
    """A source's class names, templates or width; None where they are not at hand (a checkpoint may know them)."""
    try:
        return getattr(source, name)
    except NotAtHandError:
        return None
