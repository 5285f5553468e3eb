"""Class rows as a checkpoint holds them: the matrix, and names, templates and encoder id beside it."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.classifiers.sources import ClassifierSource, if_known
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.text.glosses.table import Glosses

logger = logging.getLogger(__name__)

WEIGHT, FILLED, METADATA = 'weight', 'filled', '_extra_state'
#: What tells whether stored rows are those that a source asks for.
_COMPARED = dict(class_names='class names', encoder_id='encoder', templates='templates', glosses='glosses')


@dataclass(frozen=True)
class StoredRows:
    """The class rows in a state dict.

    Attributes:
        weight: (K, D).
        class_names: K names.
        templates: M templates, or ``()``.
        encoder_id: What made the rows.
        trained: Whether training moved them.
        glosses: A tuple of glosses for each class, or ``()``.
    """

    weight: Tensor
    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    encoder_id: str
    trained: bool
    glosses: Glosses = ()

    @classmethod
    def read(cls, state: Mapping[str, Any], prefix: str) -> 'StoredRows | None':
        """Read the rows of one module; None where there are none, or none were made before it was saved.

        Args:
            state: A state dict.
            prefix: The beginning of the module's keys, with its dot.

        Raises:
            UserError: They have no class names, or another number of them, or rows without a direction.
        """
        weight = state.get(prefix + WEIGHT)
        if weight is None:
            return None
        if prefix + METADATA not in state or prefix + FILLED not in state:
            raise UserError('The checkpoint holds class rows without class names: it was not written by this package.')
        if not bool(state[prefix + FILLED]):
            return None
        held = unpack_metadata(state[prefix + METADATA])
        names = held['class_names']
        if weight.ndim != 2 or len(weight) != len(names):
            raise UserError(
                f"The checkpoint's class rows are {tuple(weight.shape)}, but it names {len(names)} classes: it is "
                'damaged. Use another one.'
            )
        norms = weight.float().norm(dim=1)
        broken = [name for name, norm in zip(names, norms.tolist(), strict=True) if not 0 < norm < float('inf')]
        if broken:
            raise UserError(
                f"The checkpoint's rows of {len(broken)} of {len(names)} classes ({first_few(broken)}) are zero or not "
                'finite: they recognise nothing. Did its training diverge? Use an earlier checkpoint.'
            )
        glosses = tuple(map(tuple, held.get('glosses', ())))  # a checkpoint from before there were any has none
        if glosses and len(glosses) != len(names):
            raise UserError(
                f"The checkpoint's class rows have {len(names)} names and glosses of {len(glosses)} classes: it is "
                'damaged. Use another one.'
            )
        labels = tuple(names), tuple(held['templates']), held['encoder_id']
        return cls(weight, *labels, bool(held.get('trained')), glosses)

    def require_fit(self, embed_dims: int, num_classes: int | None, source: ClassifierSource) -> None:
        """Check that a model can hold the rows, or replace them.

        Args:
            embed_dims: The width D of the model's rows.
            num_classes: The K that its config gives, if any.
            source: Its classifier source.

        Raises:
            UserError: Another width, or another K where the source's own class names are not at hand.
        """
        if self.weight.shape[1] != embed_dims:
            raise UserError(
                f"The checkpoint's class rows have width {self.weight.shape[1]}, this model's {embed_dims}: they "
                'were made with different text encoders. Use the config the checkpoint was trained with.'
            )
        if if_known(source, 'class_names') is None and num_classes not in (None, len(self.class_names)):
            raise UserError(
                f'num_classes={num_classes}, but the checkpoint has {len(self.class_names)} class names '
                f'({first_few(self.class_names)}). Drop num_classes.'
            )

    def doubts_about(self, source: ClassifierSource) -> str:
        """Why features that were trained against these rows may not fit those of a source; '' where they may."""
        if self.trained:
            return ' Its rows were trained; the features may not fit others.'
        if getattr(source, 'is_drawn', False):
            return ' The rows of the new one are drawn, whatever the names are: the features know nothing of them.'
        if if_known(source, 'encoder_id') not in (None, self.encoder_id):
            return f' The features were trained against rows by {self.encoder_id}; they may not fit others.'
        return ''

    def first_difference(self, source: ClassifierSource) -> tuple[str, Any] | None:
        """What a source asks for and these rows were not made with: an attribute of ours, and the source's value.

        Names come first. What the source does not have at hand is no difference. None where there is none.
        """
        for name in _COMPARED:
            asked = if_known(source, name)
            if asked is not None:
                asked = asked if isinstance(asked, str) else tuple(asked)
                if asked != getattr(self, name):
                    return name, asked
        return None

    def suits(self, source: ClassifierSource, doubts: Callable[[], str]) -> bool:
        """Whether these are the rows that a source asks for; what is decided is logged.

        Args:
            source: A classifier source. What it does not have at hand (a file of class names) is taken from here.
            doubts: Says why features that were trained against these rows may not fit the source's.
        """
        found = self.first_difference(source)
        for name, what in _COMPARED.items():
            if found is not None and name == found[0]:
                doubt = doubts()
                logger.log(
                    logging.WARNING if doubt else logging.INFO,
                    "The checkpoint's classifier (%d classes; %s: %s) is replaced by the config's (%s: %s).%s",
                    *(len(self.class_names), what, _shown(getattr(self, name)), what, _shown(found[1]), doubt),
                )
                return False
            if if_known(source, name) is None:
                logger.warning("The config's %s are not at hand here; the checkpoint's are used.", what)
        return True


def stored_rows(state: Mapping[str, Any]) -> dict[str, StoredRows]:
    """All class rows in a state dict, by the prefix of their module (with its dot).

    Raises:
        UserError: See :meth:`StoredRows.read`.
    """
    found = {prefix: StoredRows.read(state, prefix) for prefix in _prefixes(state)}
    return {prefix: rows for prefix, rows in found.items() if rows is not None}


def _prefixes(state: Mapping[str, Any]) -> Iterator[str]:
    for key in state:
        if key.endswith(FILLED):
            prefix = key.removesuffix(FILLED)
            if prefix + WEIGHT in state and prefix + METADATA in state:
                yield prefix


def leave_out_tower(state: dict[str, Any], prefix: str) -> None:
    """Drop the text tower of a checkpoint's class rows from its state, with a line in the log."""
    stored = [key for key in state if key.startswith(f'{prefix}tower.')]
    for key in stored:
        del state[key]
    if stored:
        logger.info(
            "The checkpoint's text tower (%d tensors) is left out: testing needs the class rows alone.", len(stored)
        )


def pack_metadata(metadata: Mapping[str, Any]) -> Tensor:
    """JSON as a uint8 tensor: what a state dict can hold under ``weights_only=True``."""
    return torch.tensor(list(json.dumps(metadata, sort_keys=True).encode()), dtype=torch.uint8)


def unpack_metadata(packed: Tensor) -> dict[str, Any]:
    """The inverse of :func:`pack_metadata`."""
    return json.loads(bytes(packed.cpu().tolist()).decode())


def _shown(value: str | Sequence[str] | Glosses) -> str:
    """Class names, templates, glosses or an encoder id for a message."""
    if isinstance(value, str):
        return value
    return first_few(each if isinstance(each, str) else '; '.join(each) or '-' for each in value) or 'none'
