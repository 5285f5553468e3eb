"""A dict of modules whose names may hold any character."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote

from torch import nn

from textxfer_mm.errors import UserError


class NamedModules(nn.Module):
    """Modules by name, as ``nn.ModuleDict``, whose keys cannot hold a dot or be called ``'keys'`` or ``'train'``.

    In the state dict a name is percent-encoded where it has to be: ``'Kinetics-400'`` stays as it is, and
    ``'a/b v1.0'`` becomes ``'a%2Fb%20v1%2E0'``.

    Args:
        modules: The modules by name.

    Raises:
        UserError: A name is empty or no string.
    """

    def __init__(self, modules: Mapping[str, nn.Module] | Iterable[tuple[str, nn.Module]]) -> None:
        super().__init__()
        for name, module in dict(modules).items():
            if not isinstance(name, str) or not name:
                raise UserError(f'Modules are told apart by names that are not empty, got {name!r}.')
            self.add_module(self._key(name), module)

    def __getitem__(self, name: str) -> nn.Module:
        return self._modules[self._key(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(name) and self._key(name) in self._modules

    def __iter__(self) -> Iterator[str]:
        return map(unquote, self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def items(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield names and modules in the order they were given."""
        return zip(self, self._modules.values(), strict=True)

    def _key(self, name: str) -> str:
        """The name as a part of a state-dict key: without dots, and no attribute of ``nn.Module``."""
        key = quote(name, safe='').replace('.', '%2E')
        if hasattr(type(self), key) or (hasattr(self, key) and key not in self._modules):
            key = f'%{ord(key[0]):02X}{key[1:]}'
        return key
