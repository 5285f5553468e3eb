"""Lists of class names: from Python, from a file, or by the name of a dataset.

The order is the order of the labels. Names are kept as written, since a faithful zero-shot run must not touch them
(UCF101's are in camel case in the papers, too); only white space around a name in a file is dropped.
"""

import importlib.util
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from textxfer_mm.errors import UserError, first_few, nearest, shown
from textxfer_mm.text.name_files import read_names

_LABEL_MAPS = Path(__file__).parent / 'label_maps'
_FILE_SUFFIXES = ('.txt', '.csv', '.tsv', '.json', '.list', '.lst')
#: Marks that change nothing at the ends of a name.
_MARKS = '.,:;!?"\'`\u2018\u2019\u201c\u201d\u2026\u3002\uff0c\uff01\uff1f '
#: No name is longer; the text encoders say themselves what they can read.
_MAX_LENGTH = 10_000


def load_class_names(source: str | Path | Sequence[str], *, distinct: bool = True) -> tuple[str, ...]:
    """Return the class names that ``source`` stands for, in the order of their labels.

    Args:
        source: One of

            - a sequence of names;
            - a ``.json`` file: a list, ``{index: name}`` or ``{name: index}``;
            - a ``.csv`` or ``.tsv`` file: a column of names, or indices and names, with commas, semicolons or tabs
              between them; the header (``id,name``, ...) is optional;
            - any other file: one name a line;
            - the name of a dataset, see :func:`list_datasets`.
        distinct: Whether names must differ; False where glosses may tell equal ones apart, which is then the caller's
            to check (:func:`check_class_names`).

    Raises:
        UserError: The dataset or file is unknown, the file cannot be parsed, indices are not 0..K-1 (or 1..K), or
            :func:`check_class_names` objects. Lists known by the name of a dataset are taken as they are: two of the
            1000 names of ImageNet occur twice.
    """
    names = read_class_names(source)
    if is_dataset_name(source):
        return names
    try:
        (check_class_names if distinct else _check_each_name)(names)
    except UserError as error:
        raise UserError(f'{source}: {error}' if isinstance(source, str | Path) else str(error)) from None
    return names


def read_class_names(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Return the class names that ``source`` stands for as they are, without :func:`check_class_names`.

    Args:
        source: See :func:`load_class_names`.

    Raises:
        UserError: The dataset or file is unknown, or the file cannot be parsed.
    """
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return tuple(source)
    if not isinstance(source, str | Path):
        raise UserError(f'Class names are a list, a file or the name of a dataset, not a {type(source).__name__}.')
    if isinstance(source, Path) or _looks_like_file(source):
        return read_names(Path(source).expanduser())
    return _read_dataset(source)


def split_class_names(words: str, *, distinct: bool = True) -> tuple[str, ...]:
    """Class names as they are typed: separated by commas.

    Args:
        words: The names.
        distinct: As in :func:`load_class_names`.

    Raises:
        UserError: A name is empty, or see :func:`check_class_names`.
    """
    names = [name.strip() for name in words.split(',')]
    if not all(names):
        raise UserError(
            f'One of the labels {shown(words, 60)!r} is empty: write names with one comma between them, such as '
            '"waving,clapping hands".'
        )
    return load_class_names(names, distinct=distinct)


def check_class_names(names: Sequence[str], glosses: Sequence[Sequence[str]] | None = None) -> None:
    """Check that there is one usable, distinct name per class.

    Names that differ only in case, white space, underscores, hyphens between words or marks at their ends count as
    duplicates: they make (nearly) the same prompt, so that the two classes could not be told apart. Classes of one name
    are distinct where their glosses are.

    Args:
        names: K names.
        glosses: K sequences of glosses, or None.

    Raises:
        UserError: No names at all, an empty name or one of a whole text's length, something that is not a string, or
            duplicates, which are named.
    """
    _check_each_name(names)
    seen: dict[tuple[str, ...], int] = {}
    duplicates = []
    for index, name in enumerate(names):
        plain = (folded(name), *sorted(map(folded, glosses[index] if glosses else ())))
        if plain in seen:
            first = names[seen[plain]]
            duplicates.append(f"'{shown(first)}' (class {seen[plain]}) and '{shown(name)}' (class {index})")
        seen.setdefault(plain, index)
    if duplicates:
        what, cure = 'class names', ', or give glosses that tell them apart'
        if glosses:
            what, cure = 'class names, whose glosses do not tell them apart either', ''
        raise UserError(f'Duplicate {what}: {first_few(duplicates, 5, "; ")}. Rename or merge them{cure}.')


def _check_each_name(names: Sequence[str]) -> None:
    """Check that there are names, and that each is one."""
    if not names:
        raise UserError('The list of class names is empty.')
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise UserError(f'Class names are strings; class {index} is {shown(repr(name))} ({type(name).__name__}).')
        if len(name) > _MAX_LENGTH:
            raise UserError(
                f'The name of class {index} is as long as a text: {shown(name, 40)}. Is it one name a line?'
            )
        if not name.strip():
            raise UserError(f'The name of class {index} is empty.')


def folded(name: str) -> str:
    """Return a name as far as it counts: without case, white space, underscores, hyphens and marks at its ends."""
    plain = re.sub(r'_|(?<=\w)-(?=\w)', ' ', unicodedata.normalize('NFC', name).casefold())
    return ' '.join(plain.split()).strip(_MARKS) or name


def require_same_names(one: Sequence[str], two: Sequence[str], first: str, second: str) -> None:
    """Check that two lists name the same classes in the same order; spellings may differ as in :func:`folded`.

    Args:
        one: Class names.
        two: Other ones.
        first: Where the first come from, for the message.
        second: Where the second come from.

    Raises:
        UserError: They disagree in number, order or names.
    """
    pairs = list(zip(map(folded, one), map(folded, two), strict=False))
    differing = [index for index, (a, b) in enumerate(pairs) if a != b]
    if not differing and len(one) == len(two):
        return
    place = differing[0] if differing else min(len(one), len(two))
    here, there = (f'{shown(names[place])!r}' if place < len(names) else 'none' for names in (one, two))
    if len(one) != len(two):
        what = f'{first} has {len(one)} classes and {second} {len(two)}; they part'
    elif {a for a, _ in pairs} == {b for _, b in pairs}:
        what = f'{first} and {second} have the same {len(one)} classes in another order; they part'
    else:
        what = f'{first} and {second} have other names for {len(differing)} of {len(one)} classes; they part'
    raise UserError(f'{what} at label {place}: {here} and {there}. Give both the same list of class names.')


def list_datasets() -> tuple[str, ...]:
    """Return the names of the datasets whose class names are known on this machine.

    These are the lists that come with this package, ``imagenet1k``, and those of MMAction2 where it runs from a source
    checkout (its released package leaves the label maps out).
    """
    return tuple(sorted({'imagenet1k', *_own_label_maps(), *_checkout_label_maps()}))


def is_known_list(names: Sequence[str]) -> bool:
    """Whether these are the class names of a dataset in :func:`list_datasets`, in their order."""
    lists = (_read_dataset(name) for name in (*_own_label_maps(), *_checkout_label_maps()))
    if tuple(names) in lists:
        return True
    return len(names) == 1000 and tuple(names) == _read_dataset('imagenet1k')  # imports open_clip


def is_dataset_name(source: str | Path | Sequence[str]) -> bool:
    """Whether class names are given as the name of a dataset, whose list is taken as it is."""
    return isinstance(source, str) and not _looks_like_file(source)


def _looks_like_file(source: str) -> bool:
    return source.lower().endswith(_FILE_SUFFIXES) or '/' in source or '\\' in source


def _read_dataset(name: str) -> tuple[str, ...]:
    if name == 'imagenet1k':
        from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

        return tuple(IMAGENET_CLASSNAMES)
    path = _own_label_maps().get(name) or _checkout_label_maps().get(name)
    if path is None:
        raise UserError(
            f"Unknown dataset '{shown(name)}' (a file of class names ends in .txt, .csv or .json)."
            f'{nearest(name, list_datasets())}'
        )
    return read_names(path)


def _own_label_maps() -> dict[str, Path]:
    return {path.stem: path for path in _LABEL_MAPS.glob('*.txt')}


def _checkout_label_maps() -> dict[str, Path]:
    """Find ``tools/data/<dataset>/label_map*.txt`` beside an MMAction2 that runs from its source."""
    spec = importlib.util.find_spec('mmaction')
    if spec is None or spec.origin is None:
        return {}
    package = Path(spec.origin).parent
    found = {}
    for root in (package / '.mim' / 'tools' / 'data', package.parent / 'tools' / 'data'):
        for path in sorted(root.glob('*/label_map*.txt')):
            name = path.stem.removeprefix('label_map').lstrip('_') or path.parent.name
            found.setdefault(re.sub(r'^k(?=\d+$)', 'kinetics', name), path)
    return found
