"""The bases of a config that are not there: which was meant."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from textxfer_mm.errors import UserError, nearest, shown
from textxfer_mm.files import config_dir


def require_bases(file: Path) -> None:
    """Check that the bases of a config file exist, and theirs.

    Args:
        file: A config file in which something is wrong; what else that is, is not looked for here.

    Raises:
        UserError: A base does not exist; the nearest names are listed.
    """
    for base in _bases(file):
        package, is_foreign, name = base.partition('::')
        folder = _configs_of(package, file, base) if is_foreign else file.parent
        path = folder / (name if is_foreign else base)
        if not path.is_file():
            hint = _similar(path, folder, bool(is_foreign))
            raise UserError(f'config {shown(file)}: its _base_ {shown(base)!r} does not exist.{hint}')
        if package == 'textxfer_mm' or not is_foreign:
            require_bases(path)


def _bases(file: Path) -> Iterator[str]:
    """The names of the bases as the file has them."""
    try:
        found = Config._get_base_files(str(file))
    except Exception:  # it cannot be parsed, which is said elsewhere
        return
    yield from (base for base in found if isinstance(base, str))


def _configs_of(package: str, file: Path, base: str) -> Path:
    """The folder of the configs of a package."""
    if package == 'textxfer_mm':
        return config_dir()
    if package not in MODULE2PACKAGE:
        raise UserError(
            f'config {shown(file)}: its _base_ {shown(base)!r} is in no package whose configs can be inherited from.'
            f'{nearest(package, MODULE2PACKAGE)}'
        )
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise UserError(f'config {shown(file)}: its _base_ {shown(base)!r} needs the package {package}: install it.')
    return Path(spec.submodule_search_locations[0]) / '.mim' / 'configs'


def _similar(path: Path, folder: Path, of_package: bool) -> str:
    """Name the configs that may have been meant: those beside the path, else all of the package."""
    if path.parent.is_dir():
        return nearest(path.name, (other.name for other in path.parent.glob('*.py')))
    if of_package:
        return nearest(
            str(path.relative_to(folder)), (str(other.relative_to(folder)) for other in folder.rglob('*.py'))
        )
    return f' There is no folder {shown(path.parent)}.'
