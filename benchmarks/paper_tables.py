"""The paper's tables at small scale: trains every row on the toy actions and writes docs/small_scale_tables.md.

Tables 1, 2, 3, 4, 6, supp. 2 and Figures 3 and 4 of Text4Vis, with the quick start's model (EfficientNet-lite0 with
ImageNet weights, MiniLM's sentence embeddings) instead of CLIP, and rendered videos instead of Kinetics-400. Each row
is trained with several seeds; a seed changes the videos, the weights and all draws. A run's result is one JSON file,
written in one piece, under a key made of its whole config: finished runs are skipped, a killed run can be run again.

    python benchmarks/paper_tables.py [--seeds 0 1 2] [--jobs 2] [--only text vision] [--report-only]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from paper_tables_parts.data import prepare  # isort: skip
from paper_tables_parts.queue import perform, plan, results_of, serve
from paper_tables_parts.report import write_page
from paper_tables_parts.rows import SETTINGS
from paper_tables_parts.settings import Scale
from paper_tables_parts.training import row_cosines, run
from textxfer_mm.quickstart.memory import keep_freed_memory

from textxfer_mm.errors import UserError, nearest

WITH_COSINES = ('text', 'random', 'orthogonal', 'template', 'templates-mean')
DOCS = Path(__file__).parents[1] / 'docs'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--folder', type=Path, default=Path('work_dirs/paper_tables'), help='videos, results and log')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=2, help='processes of one thread each')
    parser.add_argument('--only', nargs='+', metavar='SETTING', help='train only these rows')
    parser.add_argument('--docs', type=Path, default=DOCS, help='folder of the page and of its images')
    parser.add_argument('--report-only', action='store_true', help='train nothing, write the page from the results')
    parser.add_argument('--list', action='store_true', help='print the names of the rows and end')
    parser.add_argument('--lr', type=float, default=Scale.lr, help='another learning rate, to choose one')
    parser.add_argument('--worker', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def work(args: argparse.Namespace) -> None:
    """Do the runs that arrive on standard input."""
    scale = Scale(lr=args.lr)
    keep_freed_memory()

    def do(name: str, seed: int) -> None:
        (one,) = plan([SETTINGS[name]], [seed], scale, args.folder)
        data = prepare(args.folder / 'data', seed, scale.clips, lambda line: None)
        run(one.setting, one.config, seed, data, one.file)

    serve(do)


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing and write the page."""
    args = parse_args(argv)
    if args.list:
        print('\n'.join(SETTINGS))
        return 0
    if args.worker:
        work(args)
        return 0
    for name in args.only or ():
        if name not in SETTINGS:
            raise UserError(f'--only: there is no row {name!r}.{nearest(name, SETTINGS)}')
    scale = Scale(lr=args.lr)
    runs = plan(list(SETTINGS.values()), args.seeds, scale, args.folder)
    failures = []
    if not args.report_only:
        chosen = [one for one in runs if not args.only or one.setting.name in args.only]
        args.folder.mkdir(parents=True, exist_ok=True)
        for seed in sorted({one.seed for one in chosen if not one.file.exists()}):
            prepare(args.folder / 'data', seed, scale.clips, say)
        command = [sys.executable, __file__, '--worker', '--folder', str(args.folder), '--lr', str(args.lr)]
        failures = perform(chosen, args.jobs, command, args.folder / 'workers.log', say)
    if args.lr == Scale.lr:
        cosines = {one.setting.name: row_cosines(one.config) for one in runs if one.setting.name in WITH_COSINES}
        say(f'wrote {write_page(args.docs, results_of(runs), scale, cosines)}')
    for failure in failures:
        print(f'error: {failure}', file=sys.stderr)
    return 1 if failures else 0


def say(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f'error: {error}')
