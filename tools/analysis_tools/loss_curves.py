"""Compare the losses of runs (Fig. 4): ``python tools/analysis_tools/loss_curves.py OUT.png RUN [RUN ...]``.

A run is a work dir, with all its resumed parts, or one log (vis_data/scalars.json).
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from textxfer_mm.analysis.training_logs import TrainingCurve, read_training_curve
from textxfer_mm.engine.launch import run_tool
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import require_png


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('out', type=Path, help='PNG file to write')
    parser.add_argument('runs', nargs='+', metavar='RUN', help='work dir or log')
    parser.add_argument('--names', nargs='+', help='one name for each run (default: the name of its work dir)')
    parser.add_argument('--key', default='loss', help='what to plot: loss, loss_cls, top1_acc, grad_norm, ...')
    parser.add_argument('--x', choices=['iteration', 'epoch'], default='iteration', help='the horizontal axis')
    parser.add_argument(
        '--smoothing', type=int, help='width of the running mean in logged values, 1: none (default: a fortieth)'
    )
    parser.add_argument('--log', action='store_true', help='logarithmic scale')
    return parser.parse_args()


def read_curves(args: argparse.Namespace) -> list[TrainingCurve]:
    """Read all runs; their names must differ."""
    if args.names and len(args.names) != len(args.runs):
        raise UserError(f'--names: {len(args.runs)} runs need as many names, got {len(args.names)}.')
    names = args.names or [None] * len(args.runs)
    curves = [read_training_curve(run, key=args.key, name=n) for run, n in zip(args.runs, names, strict=True)]
    taken = [curve.name for curve in curves]
    if len(set(taken)) != len(taken):
        raise UserError(f'The runs need different names, got {", ".join(taken)}: give --names.')
    return curves


def positions(curve: TrainingCurve, axis: str) -> list[float]:
    """Where the values of a run lie on the axis."""
    if axis == 'iteration':
        return curve.iterations.tolist()
    if curve.epochs is None:
        raise UserError(f'{curve.name} was not counted in epochs; use --x iteration.')
    return curve.epochs.tolist()


def summary(curves: list[TrainingCurve], key: str) -> Table:
    """First and last values of each run."""
    table = Table()
    for column in ('run', 'iterations', 'epochs', escape(f'{key}, first'), 'last'):
        table.add_column(column, justify='left' if column == 'run' else 'right')
    for curve in curves:
        epochs = '' if curve.epochs is None else f'{curve.epochs[-1]:.1f}'
        values = [f'{curve.values[i]:.4g}' for i in (0, -1)]
        table.add_row(Text(shown(curve.name)), f'{curve.iterations[-1]}', epochs, *values)
    return table


def main() -> None:
    """Read, plot, summarise."""
    args = parse_args()
    require_png(args.out, 'OUT')
    if args.smoothing is not None and args.smoothing < 1:
        raise UserError(f'--smoothing is a number of values, at least 1, not {args.smoothing}.')
    curves = read_curves(args)

    from textxfer_mm.visualization import plot_loss_curves  # matplotlib: not for whoever mistyped a path

    plot_loss_curves(
        args.out,
        {curve.name: (positions(curve, args.x), curve.values) for curve in curves},
        xlabel=args.x,
        ylabel='training loss' if args.key == 'loss' else args.key,
        smoothing=args.smoothing,
        log_scale=args.log,
    )
    console = Console()
    console.print(summary(curves, args.key))
    for line in filter(None, (curve.bad_values() for curve in curves)):
        console.print(Text(shown(line), style='yellow'), soft_wrap=True)


if __name__ == '__main__':
    sys.exit(run_tool(main))
