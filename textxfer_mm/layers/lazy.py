"""Weights that come from outside (pretrained towers, image classifiers) and stay there when a checkpoint has them."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from torch import nn


class LazyWeights:
    """Mixin for an ``nn.Module`` whose weights come from a file, a hub or a text encoder.

    Nothing is fetched at construction. :meth:`fetch_weights` runs once, at ``init_weights()`` (which ``Runner.train``
    calls) or at the first forward (a test or a prediction without a checkpoint), unless a checkpoint held all that
    would be fetched. That is what makes a checkpoint self-contained: it loads where the pretrained file does not exist.
    Put the mixin before the module class: ``class X(LazyWeights, BaseModule)``.
    """

    _weights_filled: bool = False
    #: Prefixes, within this module, of the state that is fetched.
    _fetched_prefixes: tuple[str, ...]
    #: Brings the weights from outside; called at most once. The module or its base defines it.
    fetch_weights: Callable[[], None]

    def ensure_weights(self) -> None:
        """Fetch the weights unless they are there; to be called at the start of ``forward``."""
        if not self._weights_filled:
            self.fetch_weights()
            self._weights_filled = True

    def init_weights(self) -> None:
        """Initialise as the base class does, then fetch."""
        if hasattr(super(), 'init_weights'):
            super().init_weights()
        self.ensure_weights()

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        wanted = [name for name in saved_names(self) if name.startswith(self._fetched_prefixes)]
        if wanted and all(prefix + name in state_dict for name in wanted):
            self._weights_filled = True


def saved_names(module: nn.Module) -> Iterator[str]:
    """Yield the names of the parameters and persistent buffers of a module and its children.

    They are the keys of its state dict but for extra state; nothing is saved, so no hook of a child runs.
    """
    for path, part in module.named_modules():
        for name, tensor in chain(part._parameters.items(), part._buffers.items()):
            if tensor is not None and name not in part._non_persistent_buffers_set:
                yield f'{path}.{name}' if path else name
