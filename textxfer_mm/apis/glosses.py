"""Glosses for the class names of a list, from WordNet's files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import write_text
from textxfer_mm.text.class_names import is_dataset_name, read_class_names
from textxfer_mm.text.encoding import TextEncoder
from textxfer_mm.text.glosses.choice import ChosenGloss, choose_glosses, require_sense, table_of
from textxfer_mm.text.glosses.files import gloss_csv, gloss_json, read_overrides
from textxfer_mm.text.glosses.report import report_csv, report_markdown
from textxfer_mm.text.glosses.table import shipped_file
from textxfer_mm.text.glosses.wordnet import WordNet
from textxfer_mm.text.language_encoder import LanguageModelEncoder

_WRITERS = {'.csv': gloss_csv, '.json': gloss_json}
_REPORTERS = {'.csv': report_csv, '.md': report_markdown}


def build_glosses(
    class_names: str | Path | Sequence[str],
    wordnet: str | Path | WordNet,
    *,
    sense: str = 'similar',
    max_senses: int = 1,
    overrides: str | Path | Mapping[str, str | Sequence[str] | None] | None = None,
    ids: str | Path | Sequence[str] | None = None,
    encoder: TextEncoder | None = None,
) -> list[ChosenGloss]:
    """Choose a gloss for each class of a list.

    Args:
        class_names: See :func:`~textxfer_mm.text.class_names.read_class_names`; names that are ids of WordNet
            (``n01440764``) are looked up by it and become the first word of the sense, and names may repeat.
        wordnet: The folder of WordNet 3.0's files, or what was read of it.
        sense: ``'similar'`` or ``'first'``, see :func:`~textxfer_mm.text.glosses.choice.choose_glosses`.
        max_senses: The most glosses of a class.
        overrides: A file or a dict of senses or own words by class name. None takes those that are shipped for the list
            of a dataset, where there are some.
        ids: Ids of WordNet in the order of the labels: a list, or a file with one a line.
        encoder: The sentence encoder of ``'similar'``; None takes the packaged one.

    Returns:
        One choice for each class, see :func:`write_glosses`.

    Raises:
        UserError: Something is missing, malformed or unknown.
    """
    require_sense(sense)
    names = read_class_names(class_names)
    if not names:
        raise UserError('The list of class names is empty.')
    if overrides is None and is_dataset_name(class_names):
        overrides = shipped_file(f'{class_names}_overrides')
    if isinstance(overrides, str | Path):
        overrides = read_overrides(Path(overrides).expanduser())
    if isinstance(ids, str | Path):
        ids = read_class_names(Path(ids))
    wordnet = wordnet if isinstance(wordnet, WordNet) else WordNet(wordnet)
    encoder = encoder or LanguageModelEncoder()
    try:
        return choose_glosses(
            names,
            wordnet,
            encode=encoder.encode,
            sense=sense,
            max_senses=max_senses,
            overrides=overrides,
            ids=ids,
        )
    finally:
        encoder.release()


def write_glosses(chosen: Sequence[ChosenGloss], path: str | Path) -> None:
    """Write what was chosen as a table that ``glosses=PATH`` takes: CSV or JSON, as the suffix says.

    Raises:
        UserError: The suffix is another.
    """
    write_text(path, _by_suffix(_WRITERS, path)(table_of(chosen, str(path))))


def write_report(chosen: Sequence[ChosenGloss], path: str | Path) -> None:
    """Write every class with the sense that was chosen: CSV or Markdown, as the suffix says.

    Raises:
        UserError: The suffix is another.
    """
    write_text(path, _by_suffix(_REPORTERS, path)(chosen))


def require_suffixes(out: str | Path, report: str | Path | None) -> None:
    """Check, before any work is done, that the files can be of the kinds that their suffixes say.

    Raises:
        UserError: They cannot.
    """
    _by_suffix(_WRITERS, out)
    if report is not None:
        _by_suffix(_REPORTERS, report)


def _by_suffix(writers: Mapping[str, Callable[..., str]], path: str | Path) -> Callable[..., str]:
    writer = writers.get(Path(path).suffix.lower())
    if writer is None:
        raise UserError(f'{shown(path)}: give a name that ends in {" or ".join(writers)}.')
    return writer
