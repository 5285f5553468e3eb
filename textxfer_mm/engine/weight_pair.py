"""Two models of one architecture, and the weights between them (WiSE-FT: Wortsman et al., 2022)."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.classifiers.stored_rows import FILLED, METADATA, WEIGHT, StoredRows, stored_rows
from textxfer_mm.errors import UserError, first_few


@dataclass(frozen=True, eq=False)
class WeightPair:
    """The states of a pre-trained model and of what fine-tuning made of it.

    Floating-point tensors are interpolated; counters and the classifier (rows, class names, templates) are those of the
    fine-tuned model. Rows that were trained themselves are interpolated as well: they begin as the text embeddings.

    Attributes:
        pretrained: The state dict of the pre-trained model.
        fine_tuned: The state dict of the fine-tuned one.
        names: What the two are called in messages.
        kind: Says what a module is, by its path; '' where that is not known.

    Raises:
        UserError: The fine-tuned model has modules that the pre-trained one lacks, the two are no one architecture, or
            their trained rows are those of other classes.
    """

    pretrained: Mapping[str, Any]
    fine_tuned: Mapping[str, Any]
    names: tuple[str, str]
    kind: Callable[[str], str] = lambda path: ''

    def __post_init__(self) -> None:
        theirs, ours = self._interpolated(self.pretrained), self._interpolated(self.fine_tuned)
        rows = tuple(stored_rows(self.fine_tuned))
        lacking = [name for name in ours if name not in theirs]
        left = [name for name in theirs if name not in ours and not name.startswith(rows)]
        other = [name for name in ours if name in theirs and ours[name].shape != theirs[name].shape]
        if lacking and not left and not other:
            refuse_untrained(lacking, self.fine_tuned, f'{self.names[0]} lacks', self.kind)
        if lacking or left or other:
            differences = [f'{name} {_shape(theirs[name])} against {_shape(ours[name])}' for name in other]
            differences += [f'{name} only in {self.names[1]}' for name in lacking]
            differences += [f'{name} only in {self.names[0]}' for name in left]
            raise UserError(
                f'{self.names[0]} and {self.names[1]} are two architectures, so there is nothing between them: '
                f'{first_few(differences, 3, "; ")}. Give the checkpoint that the fine-tuning began from.'
            )
        self._check_trained_rows()

    def at(self, alpha: float) -> dict[str, Any]:
        """The state dict at a share of the way: 0 is the pre-trained model, 1 the fine-tuned one.

        Args:
            alpha: From 0 to 1.

        Raises:
            UserError: It is not.
        """
        require_alpha(alpha)
        state = copy.copy(self.fine_tuned)  # with PyTorch's record of versions
        for name, ours in self._interpolated(self.fine_tuned).items():
            state[name] = _between(self.pretrained[name], ours, alpha)
        return state

    @property
    def moved_rows(self) -> tuple[str, ...]:
        """The prefixes of class rows that something interpolated makes: a text tower, or learned prompts."""
        return tuple(prefix for prefix in stored_rows(self.fine_tuned) if _movers(self.fine_tuned, prefix))

    def _interpolated(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """The floating-point tensors of a state that are no classifier."""
        kept = {prefix + name for prefix in stored_rows(state) for name in (WEIGHT, FILLED, METADATA)}
        kept -= {prefix + WEIGHT for prefix in self._trained_rows()}
        return {
            name: value
            for name, value in state.items()
            if isinstance(value, Tensor) and value.is_floating_point() and name not in kept
        }

    def _trained_rows(self) -> dict[str, StoredRows]:
        """The rows of the fine-tuned model that are a parameter."""
        found = stored_rows(self.fine_tuned)
        return {p: rows for p, rows in found.items() if rows.trained and not _movers(self.fine_tuned, p)}

    def _check_trained_rows(self) -> None:
        before = stored_rows(self.pretrained)
        for prefix, rows in self._trained_rows().items():
            names = before[prefix].class_names if prefix in before else ()
            if names != rows.class_names:
                raise UserError(
                    f'The rows of {self.names[1]} were trained, for {first_few(rows.class_names)}, and {self.names[0]} '
                    f'has those of other classes: {first_few(names)}. Give the checkpoint that its training began from.'
                )


def refuse_untrained(
    tensors: Iterable[str],
    state: Mapping[str, Any],
    what: str,
    kind: Callable[[str], str] = lambda path: '',
    *,
    beside: Iterable[str] = (),
) -> None:
    """Refuse modules that do not exist pre-trained, by their names.

    Args:
        tensors: The names of their tensors.
        state: The state dict of the whole model.
        what: What is wrong with them: ``'a.pth lacks'``.
        kind: Says what a module is, by its path.
        beside: The names of tensors that may belong to these modules or to others.

    Raises:
        UserError: Always.
    """
    modules = [f'{path} ({kind(path)})' if kind(path) else path for path in _modules(tensors, state, beside)]
    raise UserError(
        f'{what} {first_few(modules)}: what begins untrained does not exist pre-trained, so there is nothing to '
        'interpolate it with. Interpolate a model without it (TAP in the place of T-Trans), or give as the pre-trained '
        'one a checkpoint that has it.'
    )


def require_alpha(alpha: float) -> float:
    """Return a share of the way.

    Raises:
        UserError: It does not lie from 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f'alpha goes from 0, the pre-trained model, to 1, the fine-tuned one; got {alpha:g}.')
    return alpha


def _between(pretrained: Tensor, fine_tuned: Tensor, alpha: float) -> Tensor:
    """Interpolate in float32 at least, and return the type of the fine-tuned tensor; the ends are exact."""
    if pretrained.dtype == fine_tuned.dtype and pretrained.equal(fine_tuned):  # a mask with infinities, for one
        return fine_tuned
    wide = torch.promote_types(torch.promote_types(pretrained.dtype, fine_tuned.dtype), torch.float32)
    return torch.lerp(pretrained.to(wide), fine_tuned.to(wide), alpha).to(fine_tuned.dtype)


def _movers(state: Mapping[str, Any], prefix: str) -> list[str]:
    """The tensors of a text tower or of learned prompts that make the rows of a prefix."""
    own = {prefix + name for name in (WEIGHT, FILLED, METADATA)}
    return [name for name in state if name.startswith(prefix) and name not in own]


def _modules(tensors: Iterable[str], state: Mapping[str, Any], beside: Iterable[str]) -> list[str]:
    """The outermost modules all of whose tensors are among some; a tensor beside others goes by its own name."""
    wanted = set(tensors)
    rest = [name for name in state if _is_float(state[name]) and name not in wanted.union(beside)]
    mixed = {path for name in rest for path in _paths(name)}
    found = [next((path for path in _paths(name) if path not in mixed), name) for name in sorted(wanted)]
    return list(dict.fromkeys(found))


def _paths(name: str) -> list[str]:
    """The modules that a tensor lies in, the outermost first."""
    parts = name.split('.')
    return ['.'.join(parts[:depth]) for depth in range(1, len(parts))]


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
