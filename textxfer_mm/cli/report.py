"""``textxfer report``: mean and spread of several results, beside published ones."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.errors import shown
from textxfer_mm.files import require_form, require_writable_file, write_text


def report(
    results: Annotated[list[Path], typer.Argument(metavar='RESULT.json...', help='What evaluate --json wrote.')],
    compare: Annotated[
        str | None,
        typer.Option(help="Print published numbers of a dataset beside ours, such as ucf101; they are the papers'."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write the means to this file.')] = None,
    markdown_file: Annotated[Path | None, typer.Option('--markdown', help='Write the tables to this file.')] = None,
) -> None:
    """Mean and spread over seeds, or over the splits that several models were trained and tested on.

    Results of different protocols, class lists, views, pipelines or templates are refused.
    """
    if json_file is not None:
        require_form(json_file, '--json', '.json')
    if markdown_file is not None:
        require_writable_file(markdown_file, '--markdown')
    console = Console()
    with console.status('importing'):
        from textxfer_mm import register_all_modules

        register_all_modules()
        from textxfer_mm.apis.evaluation.published import comparison
        from textxfer_mm.apis.evaluation.report import COLUMNS, NUMBERS, markdown_table, table_of
        from textxfer_mm.apis.evaluation.seeds import mean_over_results, read_results

    result = mean_over_results(read_results(results), results)
    spread = f', ± the sample deviation over {result["number"]} {result["over"]}' if result['number'] > 1 else ''
    caption = f'{result["number"]} result(s) of {result["config"]}; per cent{spread}.'
    tables = [('', COLUMNS, table_of(result), NUMBERS)]
    notes = [caption]
    if compare is not None:
        compared, more = comparison(compare, result)
        tables += [(table.title, table.columns, table.rows, table.columns[1:-1]) for table in compared]
        notes += more
    if json_file is not None:
        write_text(json_file, json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + '\n')
    if markdown_file is not None:
        parts = ['\n\n'.join(notes)]
        for title, columns, rows, numbers in tables:
            parts += [f'## {title[0].upper()}{title[1:]}'] if title else []
            parts.append('\n'.join(markdown_table(columns, rows, numbers)))
        write_text(markdown_file, '\n\n'.join(parts) + '\n')
    for title, columns, rows, numbers in tables:
        table = Table(title=title or None)
        for column in columns:
            table.add_column(column, justify='right' if column in numbers else 'left', overflow='fold')
        for row in rows:
            table.add_row(*(Text(shown(cell)) for cell in row))
        console.print(table)
    for note in notes:
        console.print(Text(shown(note, None)), soft_wrap=True)
    for file in filter(None, (json_file, markdown_file)):
        console.print(Text(f'Wrote {shown(file)}'), soft_wrap=True)
