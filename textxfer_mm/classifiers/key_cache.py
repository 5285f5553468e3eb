"""A cache of known features with the class name of each, as Tip-Adapter keeps it: in a file, then in checkpoints."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.stored_rows import pack_metadata, unpack_metadata
from textxfer_mm.errors import UserError
from textxfer_mm.layers.key_votes import key_votes
from textxfer_mm.layers.lazy import LazyWeights


class KeyCache(LazyWeights, nn.Module):
    """Features of known videos, the keys, whose classes, the values, are kept as names.

    The keys are read when they are first needed, unless a checkpoint brought them: it needs no file.

    Args:
        path: A file of :meth:`ClassifierBundle.save <textxfer_mm.classifiers.bundle.ClassifierBundle.save>`, a row
            and a class name for each known video.
        num_keys: The number m of known videos.
        width: The width C of their features.
        trained: Whether the keys are trained (Tip-Adapter-F) or stay as they are.
    """

    keys: Tensor
    _fetched_prefixes = ('keys',)

    def __init__(self, path: str | Path, num_keys: int, width: int, *, trained: bool = False) -> None:
        super().__init__()
        if num_keys < 1:
            raise UserError(f'num_keys is the number of videos in the cache, got {num_keys}.')
        self.path = Path(path).expanduser()
        keys = torch.zeros(num_keys, width)
        if trained:
            self.keys = nn.Parameter(keys)
        else:
            self.register_buffer('keys', keys)
        self.names: tuple[str, ...] = ()
        self._known: tuple[tuple[str, ...], Tensor] | None = None

    def fetch_weights(self) -> None:
        """Read the file.

        Raises:
            UserError: It is missing, damaged, or holds keys of another number or width.
        """
        bundle = ClassifierBundle.load(self.path)
        if bundle.weight.shape != self.keys.shape:
            raise UserError(
                f'{self.path} holds {bundle.num_classes} keys of width {bundle.embed_dims}, the cache of this head has '
                f'num_keys={len(self.keys)} of width {self.keys.shape[1]}: give the file that it was made with.'
            )
        self.replace(bundle)

    def replace(self, bundle: ClassifierBundle) -> None:
        """Take other keys; their number may be another, unless they are trained."""
        with torch.inference_mode(False), torch.no_grad():
            if self.keys.shape == bundle.weight.shape:
                self.keys.copy_(bundle.weight)
            else:
                self.keys = bundle.weight.to(self.keys, copy=True)
        self.names, self._known, self._weights_filled = bundle.class_names, None, True

    def bundle(self) -> ClassifierBundle:
        """The keys as they are, for saving."""
        return ClassifierBundle.from_rows(self.keys, class_names=self.names, encoder_id='tip-adapter keys')

    def votes(self, features: Tensor, class_names: Sequence[str], beta: float) -> Tensor:
        """Votes (N, K) for some classes on features (N, C); of videos of other classes none count."""
        self.ensure_weights()
        return key_votes(features, self.keys, self._values(tuple(class_names)), beta)

    def _values(self, class_names: tuple[str, ...]) -> Tensor:
        """The classes (m, K) of the keys as zeros and ones, kept until other classes are asked for."""
        if self._known is None or self._known[0] != class_names or self._known[1].device != self.keys.device:
            places = {name: place for place, name in enumerate(class_names)}
            values = torch.zeros(len(self.names), len(class_names))
            for row, name in enumerate(self.names):
                if name in places:
                    values[row, places[name]] = 1.0
            self._known = class_names, values.to(self.keys.device)
        return self._known[1]

    def get_extra_state(self) -> Tensor:
        """The class names of the keys, saved beside them."""
        return pack_metadata(dict(names=self.names)).to(self.keys.device)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what :meth:`get_extra_state` gave."""
        self.names, self._known = tuple(unpack_metadata(state)['names']), None

    def _save_to_state_dict(self, *args: Any) -> None:
        if self.path.is_file():  # a state that is saved before the first forward is whole too
            self.ensure_weights()
        super()._save_to_state_dict(*args)
