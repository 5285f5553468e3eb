"""``textxfer glosses``: definitions of a dictionary for class names."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import require_new_file, require_writable_file
from textxfer_mm.inputs import require_file


def glosses(
    class_names: Annotated[
        str, typer.Argument(metavar='CLASS_NAMES', help='A .txt, .csv or .json file, or a dataset name (kinetics400).')
    ],
    out: Annotated[Path, typer.Argument(metavar='OUT', help='The table to write: a .csv or .json file.')],
    wordnet: Annotated[
        Path, typer.Option(help="Folder of WordNet 3.0's files; by default that of Debian's package wordnet-base.")
    ] = Path('/usr/share/wordnet'),
    sense: Annotated[
        str,
        typer.Option(
            help="similar: the sense nearest to the whole name by a sentence encoder; first: WordNet's first."
        ),
    ] = 'similar',
    max_senses: Annotated[int, typer.Option(min=1, help='How many senses a class may have.')] = 1,
    overrides: Annotated[
        Path | None,
        typer.Option(
            help='CSV or JSON file with the senses (n01440764 or tench.n.01) or the glosses of some names; by default '
            'what is shipped for the list of a dataset.'
        ),
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(help="WordNet's ids of the classes, one a line, such as ImageNet's.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help='Write every chosen sense to this .md or .csv file.')] = None,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace files that are there.')] = False,
) -> None:
    """Look the class names of a list up in WordNet, and write a table for `glosses=` and `--glosses`.

    A name is read as a phrase, as a verb and its object, or by its last noun. Look at the report, and put right what is
    wrong by --overrides: a dictionary has several senses for most verbs.
    """
    for option, file in (('OUT', out), ('--report', report)):
        if file is not None:
            require_writable_file(file, option)
            require_new_file(file, overwrite)
    for option, file in (('--overrides', overrides), ('--ids', ids)):
        if file is not None:
            require_file(file, option, '*.*')
    _require_different(
        {'OUT': out, '--report': report, 'CLASS_NAMES': Path(class_names), '--overrides': overrides, '--ids': ids}
    )
    console = Console()
    with console.status('Looking the class names up ...'):
        from textxfer_mm.apis.glosses import build_glosses, require_suffixes, write_glosses, write_report
        from textxfer_mm.text.glosses.report import coverage_lines

        require_suffixes(out, report)
        options = dict(sense=sense, max_senses=max_senses, overrides=overrides, ids=ids)
        chosen = build_glosses(class_names, wordnet, **options)
    if not any(choice.entry.glosses for choice in chosen):
        raise UserError(f'WordNet has no gloss for any of the {len(chosen)} class names of {shown(class_names)}.')
    write_glosses(chosen, out)
    if report is not None:
        write_report(chosen, report)
    for line in coverage_lines(chosen):
        console.print(Text(shown(line, None)), soft_wrap=True)
    for file in filter(None, (out, report)):
        console.print(Text(f'Wrote {shown(file)}'), soft_wrap=True)


def _require_different(files: dict[str, Path | None]) -> None:
    """Refuse to write the table and the report into one file, or over what is read.

    Raises:
        UserError: Two options name one file.
    """
    written = {name: files[name].expanduser().resolve() for name in ('OUT', '--report') if files[name] is not None}
    for name, file in written.items():
        for other, given in files.items():
            if other != name and given is not None and given.expanduser().resolve() == file:
                raise UserError(f'{name} and {other} are one file, {shown(given)}: give another {name}.')
