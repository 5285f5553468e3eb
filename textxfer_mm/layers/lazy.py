"""Weights that come from outside (pretrained towers, text matrices) and stay there when a checkpoint has them."""

from collections.abc import Mapping
from typing import Any


class LazyWeights:
    """Mixin for an ``nn.Module`` whose weights come from a file, a hub or a text encoder.

    Nothing is fetched at construction. :meth:`fetch_weights` runs once, at ``init_weights()`` (which ``Runner.train``
    calls) or at the first forward (a test or a prediction without a checkpoint), unless a checkpoint held all that
    would be fetched. That is what makes a checkpoint self-contained: it loads where neither the pretrained file nor the
    text encoder exists. Put the mixin before the module class: ``class X(LazyWeights, BaseModule)``.
    """

    _weights_filled: bool = False
    #: Prefixes, within this module, of the state that is fetched.
    _fetched_prefixes: tuple[str, ...] = ('',)

    def fetch_weights(self) -> None:
        """Bring the weights from outside; called at most once. Subclasses override this."""
        raise NotImplementedError(f'{type(self).__name__} must say how its weights are fetched')

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
        wanted = {key for key in self.state_dict() if key.startswith(self._fetched_prefixes)}
        if wanted and all(prefix + key in state_dict for key in wanted):
            self._weights_filled = True
