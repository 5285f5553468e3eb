"""The command of a page: does the runs that are missing, anywhere and in any number of goes, and writes the page."""

import argparse
import ast
import sys
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

from harness.page import Given, Page
from harness.queue import perform, serve
from harness.report import write_page
from harness.runs import ResultsFile, Run
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.memory import keep_freed_memory

BENCHMARKS = Path(__file__).parents[1]
DOCS = BENCHMARKS.parent / 'docs'


def run_command(page: Page, script: str, description: str, argv: Sequence[str] | None = None) -> int:
    """Train what is missing and write the page; the exit status.

    Args:
        page: The page.
        script: The file that calls this with this page, which workers run too.
        description: What ``--help`` says; its first line.
        argv: The command line; None takes that of the process.

    Raises:
        UserError: A row or an entry of the scale is unknown, there are no results to report, or the folder that all of
            the rows need is not given.
    """
    args = _parser(page, description).parse_args(argv)
    changes = _changes(args.scale, page)
    page = replace(page, work=replace(page.work, scale=replace(page.work.scale, **changes)))
    if args.list:
        print('\n'.join(page.work.rows()))
        return 0
    if args.worker:
        keep_freed_memory()
        serve(page.work.run, lambda run: page.work.do(run, args.folder))
        return 0
    for row in args.only or ():
        if row not in page.work.rows():
            raise UserError(f'--only: there is no row {row!r}.{nearest(row, page.work.rows())}')
    runs = page.work.runs(args.seeds)
    results = ResultsFile(args.results)
    if args.report_only and not results.of(runs):
        raise UserError(f'--report-only: {args.results} holds no result of this page. Run without it.')
    failures = [] if args.report_only else _perform(page, runs, results, args, script)
    if not changes:
        say(f'wrote {write_page(page, args.docs, results.of(runs))}')
    for failure in failures:
        print(f'error: {failure}', file=sys.stderr)
    return 1 if failures else 0


def say(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)


def _parser(page: Page, description: str) -> argparse.ArgumentParser:
    """The options of a page's command."""
    results = BENCHMARKS / 'results' / f'{page.name}.jsonl'
    parser = argparse.ArgumentParser(description=description.split('\n')[0], allow_abbrev=False)
    folder = Path('work_dirs') / (page.folder or page.name)
    parser.add_argument('--folder', type=Path, default=folder, help='data and log')
    parser.add_argument('--results', type=Path, default=results, help='results of finished runs (%(default)s)')
    parser.add_argument('--seeds', type=int, nargs='+', default=page.seeds)
    parser.add_argument('--jobs', type=int, default=2, help='processes of one thread each')
    parser.add_argument('--only', nargs='+', metavar='ROW', help='do only these rows')
    parser.add_argument('--docs', type=Path, default=DOCS, help='folder of the page and of its images')
    parser.add_argument('--report-only', action='store_true', help='do nothing but write the page from the results')
    parser.add_argument('--list', action='store_true', help='print the names of the rows and end')
    parser.add_argument(
        '--scale',
        nargs='*',
        default=[],
        metavar='KEY=VALUE',
        help='another scale, such as a learning rate, to choose one; no page is written',
    )
    if page.given:
        parser.add_argument(f'--{page.given.option}', type=Path, metavar='FOLDER', help=page.given.help)
    parser.add_argument('--worker', action='store_true', help=argparse.SUPPRESS)
    return parser


def _changes(words: Sequence[str], page: Page) -> dict[str, Any]:
    """The changed entries of the scale."""
    known = {key: value for key, value in vars(page.work.scale).items() if not is_dataclass(value)}
    changes = {}
    for word in words:
        key, _, value = word.partition('=')
        if key not in known:
            raise UserError(f'--scale: there is no {key!r}.{nearest(key, known)}')
        try:
            changes[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise UserError(f'--scale: {word!r} gives no value; write {key}={known[key]!r}, for example.') from error
    return changes


def _perform(page: Page, runs: Sequence[Run], results: ResultsFile, args: argparse.Namespace, script: str) -> list[str]:
    """Prepare and do the chosen runs that are missing; what went wrong."""
    chosen = [run for run in runs if not args.only or run.row in args.only]
    args.folder.mkdir(parents=True, exist_ok=True)
    if page.given:
        chosen = _with_given(page, page.given, chosen, results, args)
    page.work.prepare([run for run in chosen if run not in results], args.folder, say)
    command = [sys.executable, script, '--worker', '--folder', str(args.folder), '--scale', *args.scale]
    log = args.folder / 'workers.log'

    def told(result: Mapping[str, Any]) -> str:
        numbers = {page.measures[name]: page.measures[name].of(result) for name in page.columns}
        return ', '.join(f'{one.title} {value:.{one.digits}f}' for one, value in numbers.items() if value is not None)

    return perform(chosen, results, jobs=args.jobs, command=command, log=log, say=say, told=told)


def _with_given(
    page: Page, given: Given, runs: Sequence[Run], results: ResultsFile, args: argparse.Namespace
) -> list[Run]:
    """Take the folder that some rows need, if one of them is missing; without it, the runs that are left.

    Raises:
        UserError: The folder is needed and does not hold what it should, or nothing is left without it.
    """
    missing = [run for run in runs if run.row in given.rows and run not in results]
    folder = getattr(args, given.option)
    if not missing:
        return list(runs)
    if folder is not None:
        given.take(folder, args.folder / 'data', page.work.scale, say)
        return list(runs)
    rows = ', '.join(dict.fromkeys(run.row for run in missing))
    left = [run for run in runs if run not in missing]
    if not left:
        raise UserError(f'{rows}: give --{given.option} FOLDER, {given.help}.')
    say(f'without --{given.option} FOLDER, {given.help}, these rows are skipped: {rows}')
    return left
