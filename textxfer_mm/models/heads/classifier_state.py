"""The classifier as a part of the checkpoint: matrix, class names, templates and encoder id."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from textxfer_mm.errors import UserError
from textxfer_mm.models.lazy import LazyWeights
from textxfer_mm.text.bundle import ClassifierBundle


def pack_metadata(metadata: Mapping[str, Any]) -> Tensor:
    """JSON as a uint8 tensor: what a state dict can hold under ``weights_only=True``."""
    return torch.tensor(list(json.dumps(metadata, sort_keys=True).encode()), dtype=torch.uint8)


def unpack_metadata(packed: Tensor) -> dict[str, Any]:
    """The inverse of :func:`pack_metadata`."""
    return json.loads(bytes(packed.cpu().tolist()).decode())


def _few(names: tuple[str, ...]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')


class ClassifierState(LazyWeights):
    """Mixin of the heads: owns ``classifier`` (K, D) and decides between the config's classifier and a checkpoint's.

    A checkpoint's classifier is taken when the config asks for the same class names and templates, or when the config's
    cannot be read here (a class-name file that stayed on the training machine). Other names or templates replace it,
    with a log line: that is zero-shot recognition. A checkpoint of another width D is an error.
    """

    source: Any
    frozen: bool

    def register_classifier(self, source: Any, num_classes: int | None, embed_dims: int | None, frozen: bool) -> None:
        """Declare the matrix; nothing is encoded yet.

        Args:
            source: a classifier source (``class_names``, ``templates``, ``encoder_id``, ``embed_dims``, ``build()``).
            num_classes: K, or None to count the class names.
            embed_dims: D, or None to ask the source.
            frozen: buffer if true, parameter otherwise.

        Raises:
            UserError: K disagrees with the class names; D or (for a trained classifier) K cannot be known.
        """
        self.source, self.frozen = source, frozen
        self.class_names, self.templates, self.encoder_id = (), (), ''
        self._asked_names = if_known(source, 'class_names')
        self._asked_templates = if_known(source, 'templates')
        names = self._asked_names
        if names is not None and num_classes is not None and len(names) != num_classes:
            raise UserError(
                f'num_classes={num_classes}, but the classifier has {len(names)} class names ({_few(names)}). '
                'Drop num_classes or give the list that belongs to this dataset.'
            )
        self.num_classes = num_classes if names is None else len(names)
        self.embed_dims = embed_dims or source.embed_dims
        if frozen:
            self.register_buffer('classifier', torch.zeros(0, self.embed_dims))
        else:
            rows = self.num_classes or len(source.class_names)
            self.classifier = nn.Parameter(torch.zeros(rows, self.embed_dims))

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
        weight = bundle.weight.to(self.classifier)
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

    def get_extra_state(self) -> Tensor:
        """Names, templates and encoder id, saved beside the matrix."""
        metadata = dict(class_names=self.class_names, templates=self.templates, encoder_id=self.encoder_id)
        return pack_metadata(metadata).to(self.classifier.device)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what :meth:`get_extra_state` gave."""
        metadata = unpack_metadata(state)
        if metadata['class_names']:
            self._describe(**metadata)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        key, extra = f'{prefix}classifier', f'{prefix}_extra_state'
        stored = state_dict.get(key)
        adopted = stored is not None and len(stored) and self._adopts(stored, state_dict.get(extra))
        if adopted and self.frozen:
            self.classifier = torch.empty_like(stored, device=self.classifier.device)
        elif not adopted:  # keep ours: the base class then finds what is already here
            state_dict[key], state_dict[extra] = self.classifier.detach().clone(), self.get_extra_state()
        filled = self._weights_filled
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._weights_filled = filled or bool(adopted)

    def _adopts(self, stored: Tensor, packed: Tensor | None) -> bool:
        """Whether the checkpoint's matrix (K, D) is the one this config asks for."""
        if stored.shape[1] != self.embed_dims:
            raise UserError(
                f"The checkpoint's classifier has width {stored.shape[1]}, this head {self.embed_dims}: they were made "
                'with different text encoders. Use the config the checkpoint was trained with.'
            )
        metadata = unpack_metadata(packed) if packed is not None else None
        if metadata is None:
            raise UserError('The checkpoint holds a classifier without class names: it was not written by this head.')
        names, templates = tuple(metadata['class_names']), tuple(metadata['templates'])
        asked_names, asked_templates = self._asked_names, self._asked_templates
        if asked_names is not None and tuple(asked_names) != names:
            print_log(
                f"The checkpoint's classifier ({len(names)} classes: {_few(names)}) is replaced by the config's "
                f'({len(asked_names)} classes: {_few(asked_names)}).',
                logger='current',
            )
            return False
        if asked_templates is not None and tuple(asked_templates) != templates:
            print_log(
                f"The checkpoint's classifier was made with the templates {_few(templates)}; it is replaced by one "
                f"made with the config's {_few(asked_templates)}.",
                logger='current',
            )
            return False
        return True


def if_known(source: Any, name: str) -> Any:
    """A source's class names, templates or width; None where their file is not at hand (a checkpoint may know them)."""
    try:
        return getattr(source, name)
    except UserError:
        return None
