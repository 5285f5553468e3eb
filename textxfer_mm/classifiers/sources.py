"""Classifier sources: where the frozen matrix of class embeddings comes from.

A source is any object with the members of :class:`ClassifierSource`; every head takes any source.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.nn import functional

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.cache import cached_bundle
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.text.encoding import TextEncoder, isolated
from textxfer_mm.text.templates import fill, resolve_templates

#: Part of every cache key; raised whenever the same inputs would give another matrix.
_RECIPE_VERSION = 2


@runtime_checkable
class ClassifierSource(Protocol):
    """What a classifier source offers.

    All properties are cheap (no weights are loaded), so that a head can be built from them and then filled from a
    checkpoint without ever calling :meth:`build`. Rules for a new source: :meth:`build` returns the same matrix in
    every call, in every run and on every rank (draws come from a local, seeded generator), in float32 with rows of unit
    norm (``ClassifierBundle.from_rows`` normalises), and leaves the global random state alone. A source without prompts
    has no templates; one that takes class names resolves them with ``load_class_names``.
    """

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""

    @property
    def templates(self) -> tuple[str, ...]:
        """The M prompt templates, or ``()``."""

    @property
    def encoder_id(self) -> str:
        """What makes the rows; saved with the classifier."""

    @property
    def embed_dims(self) -> int:
        """D."""

    def build(self) -> ClassifierBundle:
        """Make the classifier."""


class NamedClasses:
    """Class names that are checked at once when they are a list, and read when first needed when they are a file.

    A file may be missing where a checkpoint has the names.

    Args:
        class_names: A list, a file, or the name of a dataset (see ``load_class_names``).

    Raises:
        UserError: A list of class names is wrong. A wrong file or dataset name is reported when the names are first
            needed.
    """

    def __init__(self, class_names: str | Path | Sequence[str]):
        self._given_names = class_names
        if not isinstance(class_names, (str, Path)):
            _ = self.class_names

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""
        return load_class_names(self._given_names)


class TextClassifier(NamedClasses):
    """The classifier of embedded class names.

    All K x M prompts are encoded; each embedding is brought to unit norm, those of a class are averaged over the M
    templates, and the mean is brought to unit norm again (Radford et al., 2021, section 3.1.4).

    Args:
        class_names: A list, a file, or the name of a dataset (see ``load_class_names``).
        encoder: A text encoder.
        templates: The name of a set of templates, one template or several (see ``resolve_templates``).
        use_cache: Whether to look for the classifier in the cache, and to store it there.

    Raises:
        UserError: Templates or a list of class names are wrong. A wrong file or dataset name is reported when the names
            are first needed.
    """

    def __init__(
        self,
        class_names: str | Path | Sequence[str],
        encoder: TextEncoder,
        templates: str | Sequence[str] = 'text4vis',
        *,
        use_cache: bool = True,
    ):
        if isinstance(encoder, str) or not callable(getattr(encoder, 'encode', None)):
            raise UserError(f'`encoder` is a text encoder such as CLIPTextEncoder(...), not {type(encoder).__name__}.')
        super().__init__(class_names)
        self.templates = resolve_templates(templates)
        self.encoder = encoder
        self.use_cache = use_cache

    @property
    def encoder_id(self) -> str:
        """The id of the text encoder."""
        return self.encoder.encoder_id

    @property
    def embed_dims(self) -> int:
        """D, the width of the text encoder."""
        return self.encoder.embed_dims

    def cache_key(self) -> str:
        """Hash of everything the matrix depends on: names, templates, and the encoder with its weights."""
        return self._key('classifier', self.templates)

    def build(self) -> ClassifierBundle:
        """Make the classifier, or take it from the cache; the weights of the encoder are freed afterwards."""
        return self._cached(self.cache_key(), self._ensemble)

    def renamed(self, class_names: Sequence[str]) -> 'TextClassifier':
        """The classifier of other class names with the same encoder and templates."""
        return TextClassifier(class_names, self.encoder, self.templates, use_cache=self.use_cache)

    def embeddings(self, templates: Sequence[str]) -> Tensor:
        """Embed the class names in each of several templates alone.

        Like the classifier, they are kept in the cache: as a bundle of the M*K prompts.

        Args:
            templates: M templates, whatever those of the classifier are.

        Returns:
            (M, K, D) float32 on the CPU, rows of unit norm.
        """
        templates = tuple(templates)
        prompts = self._cached(self._key('prompts', templates), lambda: self._prompt_bundle(templates))
        return prompts.weight.unflatten(0, (len(templates), -1))

    def _key(self, kind: str, templates: Sequence[str]) -> str:
        parts = [_RECIPE_VERSION, kind, self.class_names, templates, self.encoder.fingerprint()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _cached(self, key: str, build: Callable[[], ClassifierBundle]) -> ClassifierBundle:
        return cached_bundle(key, build) if self.use_cache else build()

    def _ensemble(self) -> ClassifierBundle:
        rows = ensemble(self._encode(self.templates))
        return ClassifierBundle.from_rows(
            rows, class_names=self.class_names, templates=self.templates, encoder_id=self.encoder_id
        )

    def _prompt_bundle(self, templates: Sequence[str]) -> ClassifierBundle:
        prompts = list(chain.from_iterable(fill(templates, self.class_names)))
        return ClassifierBundle.from_rows(
            self._encode(templates).flatten(0, 1), class_names=prompts, encoder_id=self.encoder_id
        )

    def _encode(self, templates: Sequence[str]) -> Tensor:
        try:
            return embed_prompts(self.encoder.encode, templates, self.class_names)
        finally:
            self.encoder.release()


class FileClassifier:
    """A classifier that was saved as a bundle (see ``ClassifierBundle.save``).

    The file is read, and its hash verified, when something of it is first needed.

    Args:
        path: The safetensors file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()

    @cached_property
    def _bundle(self) -> ClassifierBundle:
        return ClassifierBundle.load(self.path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names."""
        return self._bundle.class_names

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates the rows were made with."""
        return self._bundle.templates

    @property
    def encoder_id(self) -> str:
        """What made the rows."""
        return self._bundle.encoder_id

    @property
    def embed_dims(self) -> int:
        """D."""
        return self._bundle.embed_dims

    def build(self) -> ClassifierBundle:
        """Return what the file holds."""
        return self._bundle


def embed_prompts(
    encode: Callable[[Sequence[str]], Tensor], templates: Sequence[str], class_names: Sequence[str]
) -> Tensor:
    """Encode all M x K prompts with a text encoder, or with a tower that is being trained.

    Args:
        encode: Maps n prompts to (n, D).
        templates: M templates.
        class_names: K names.

    Returns:
        (M, K, D), not normalised.
    """
    prompts = list(chain.from_iterable(fill(templates, class_names)))
    return encode(prompts).unflatten(0, (len(templates), -1))


def ensemble(features: Tensor) -> Tensor:
    """Combine the embeddings of several prompts a class.

    Args:
        features: (M, K, D), not normalised.

    Returns:
        (K, D): the mean over M of the normalised embeddings; its rows are shorter than 1.
    """
    with isolated(features.device):
        return mean_of_normalised(features)


def mean_of_normalised(features: Tensor) -> Tensor:
    """The mean (K, D) over M of normalised embeddings (M, K, D), with gradient."""
    return functional.normalize(features.float(), dim=-1).mean(dim=0)


def if_known(source: ClassifierSource, name: str) -> Any:
    """A source's class names, templates, encoder id or width; None where they are not at hand.

    A checkpoint may know them.
    """
    try:
        return getattr(source, name)
    except NotAtHandError:
        return None
