"""Classifier sources: where the frozen matrix of class embeddings comes from.

A source is any object with the members of :class:`ClassifierSource`; every head takes any source.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.cache import cached_bundle
from textxfer_mm.classifiers.ensembles import embed_prompts, ensemble
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text.class_names import check_class_names, is_dataset_name, load_class_names
from textxfer_mm.text.encoding import TextEncoder
from textxfer_mm.text.glosses.table import Glosses, find_glosses
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
    has no templates; one that takes class names resolves them with ``load_class_names``. One that puts glosses behind
    the names has them as ``glosses``, a tuple for each class.
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

    With glosses the prompts are ``{template(name)} {gloss}`` (iCLIP, "dictionary enhanced class names"; the format is
    our choice). A class of G glosses has M x G of them, which are averaged alike; one without has its bare name.

    Args:
        class_names: A list, a file, or the name of a dataset (see ``load_class_names``).
        encoder: A text encoder.
        templates: The name of a set of templates, one template or several (see ``resolve_templates``).
        glosses: Texts behind the class names: the name of a shipped table (``'kinetics400'``), a JSON or CSV file, a
            dict ``{name: gloss or glosses}``, or one for each class in the order of the labels; None is none. Classes
            of one name need glosses that tell them apart. See ``find_glosses``.
        require_glosses: Whether a class without a gloss is an error.
        use_cache: Whether to look for the classifier in the cache, and to store it there.

    Raises:
        UserError: Templates, a list of class names or glosses that are no file are wrong. A wrong file or dataset name
            is reported when the names are first needed.
    """

    def __init__(
        self,
        class_names: str | Path | Sequence[str],
        encoder: TextEncoder,
        templates: str | Sequence[str] = 'text4vis',
        *,
        glosses: Any = None,
        require_glosses: bool = False,
        use_cache: bool = True,
    ):
        if isinstance(encoder, str) or not callable(getattr(encoder, 'encode', None)):
            raise UserError(f'`encoder` is a text encoder such as CLIPTextEncoder(...), not {type(encoder).__name__}.')
        self._given_glosses = glosses
        self._require_glosses = require_glosses
        super().__init__(class_names)
        self.templates = resolve_templates(templates)
        self.encoder = encoder
        self.use_cache = use_cache

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""
        names = load_class_names(self._given_names, distinct=self._given_glosses is None)
        with suppress(NotAtHandError):  # the checkpoint may know the glosses
            self.__dict__['glosses'] = self._find_glosses(names)
        return names

    @cached_property
    def glosses(self) -> Glosses:
        """A tuple of glosses for each class, or ``()``.

        Raises:
            UserError: They are not at hand (``NotAtHandError``), or wrong.
        """
        needless = self._given_glosses is None and not self._require_glosses
        return () if needless else self._find_glosses(self.class_names)

    def _find_glosses(self, names: tuple[str, ...]) -> Glosses:
        found = find_glosses(self._given_glosses, names, required=self._require_glosses)
        if found and not is_dataset_name(self._given_names):
            check_class_names(names, found)
        return found

    @property
    def encoder_id(self) -> str:
        """The id of the text encoder."""
        return self.encoder.encoder_id

    @property
    def embed_dims(self) -> int:
        """D, the width of the text encoder."""
        return self.encoder.embed_dims

    def cache_key(self) -> str:
        """Hash of everything the matrix depends on: names, templates, glosses, and the encoder with its weights."""
        return self._key('classifier', self.templates)

    def build(self) -> ClassifierBundle:
        """Make the classifier, or take it from the cache; the weights of the encoder are freed afterwards."""
        return self._cached(self.cache_key(), self._ensemble)

    def renamed(self, class_names: Sequence[str], glosses: Glosses = ()) -> 'TextClassifier':
        """The classifier of other class names and glosses with the same encoder and templates."""
        options = dict(glosses=glosses or None, use_cache=self.use_cache)
        return TextClassifier(class_names, self.encoder, self.templates, **options)

    def embeddings(self, templates: Sequence[str]) -> Tensor:
        """Embed the class names, with their glosses, in each of several templates alone.

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
        parts += [self.glosses] if self.glosses else []
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _cached(self, key: str, build: Callable[[], ClassifierBundle]) -> ClassifierBundle:
        return cached_bundle(key, build) if self.use_cache else build()

    def _ensemble(self) -> ClassifierBundle:
        rows = ensemble(self._encode(self.templates), self.glosses)
        labels = dict(class_names=self.class_names, templates=self.templates, encoder_id=self.encoder_id)
        return ClassifierBundle.from_rows(rows, glosses=self.glosses, **labels)

    def _prompt_bundle(self, templates: Sequence[str]) -> ClassifierBundle:
        prompts = list(chain.from_iterable(fill(templates, self.class_names)))
        features = self._encode(templates)  # (M, S, D)
        rows = torch.cat([ensemble(one[None], self.glosses) for one in features])  # (M*K, D)
        return ClassifierBundle.from_rows(rows, class_names=prompts, encoder_id=self.encoder_id)

    def _encode(self, templates: Sequence[str]) -> Tensor:
        try:
            return embed_prompts(self.encoder.encode, templates, self.class_names, self.glosses, self.encoder)
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
    def glosses(self) -> Glosses:
        """The glosses the rows were made with."""
        return self._bundle.glosses

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


def if_known(source: ClassifierSource, name: str) -> Any:
    """A source's class names, templates, glosses, encoder id or width; None where they are not at hand.

    A checkpoint may know them. A source that knows nothing of glosses has none.
    """
    try:
        return getattr(source, name, ()) if name == 'glosses' else getattr(source, name)
    except NotAtHandError:
        return None
