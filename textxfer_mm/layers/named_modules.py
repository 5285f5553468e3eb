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
            self._modules[module_key(name)] = (
                module  # not by add_module, which refuses the names of nn.Module's attributes
            )

    def __getitem__(self, name: str) -> nn.Module:
        return self._modules[module_key(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and module_key(name) in self._modules

    def __iter__(self) -> Iterator[str]:
        return map(unquote, self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def items(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield names and modules in the order they were given."""
        return zip(self, self._modules.values(), strict=True)

    def init_weights(self) -> None:
        """Initialise the modules; MMEngine calls it."""
        for module in self.children():
            if hasattr(module, 'init_weights'):
                module.init_weights()


def module_key(name: str) -> str:
    """The name as a part of a state-dict key: without dots."""
    return quote(name, safe='').replace('.', '%2E')
