"""Parameters and FLOPs of one view: ``python tools/analysis_tools/flops.py CONFIG [CONFIG ...] [--json FILE]``."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from textxfer_mm.engine.config_files import load_config
from textxfer_mm.engine.launch import add_config_options, merge_options, run_tool
from textxfer_mm.errors import shown
from textxfer_mm.files import require_writable_file, write_text
from textxfer_mm.inputs import find_config

if TYPE_CHECKING:
    from textxfer_mm.analysis.complexity import Complexity, Cost

NOTE = (
    "FLOPs are multiply-adds, as in papers on recognition. True: all matrix products and convolutions. The paper's: "
    'without nn.MultiheadAttention, norms, class token, positions and last projection (what thop counts of CLIP).'
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Count parameters and FLOPs of one view', epilog=NOTE, allow_abbrev=False
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files; no weights are loaded')
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar='N',
        help='shape of one view: 3 T H W, of 2-D recognizers T 3 H W, of images 3 H W (default: what the test pipeline '
        'makes)',
    )
    parser.add_argument('--json', type=Path, help='write the counts to this file')
    add_config_options(parser)
    return parser.parse_args()


def table_of(path: str, result: 'Complexity') -> Table:
    """The counts of one config."""
    views, name = result.views, escape(shown(Path(path).name))
    table = Table(title=f'{name}\nview {" x ".join(map(str, views.shape))}, {views.clips} x {views.crops} views')
    table.add_column('')
    for column in ('params, M', 'GFLOPs', "params, paper's, M", "GFLOPs, paper's"):
        table.add_column(column, justify='right')
    for part, cost in result.parts.items():
        table.add_row(part, *cells(cost))
    if result.frame is not None:
        table.add_row('backbone, a frame', *cells(result.frame))
    table.add_section()
    table.add_row('one view', *cells(result.total), style='bold')
    times = f'x {views.clips} x {views.crops}'
    table.add_row(
        'FLOPs x views',
        '',
        f'{result.total.macs / 1e9:.0f} {times}',
        '',
        f'{result.total.paper_macs / 1e9:.0f} {times}',
    )
    return table


def cells(cost: 'Cost') -> list[str]:
    """A cost in millions and billions."""
    return [
        f'{cost.params / 1e6:.1f}',
        f'{cost.macs / 1e9:.1f}',
        f'{cost.paper_params / 1e6:.1f}',
        f'{cost.paper_macs / 1e9:.1f}',
    ]


def record_of(path: str, result: 'Complexity') -> dict[str, Any]:
    """The counts of one config as JSON holds them."""
    parts = {**result.parts, 'total': result.total}
    if result.frame is not None:
        parts['backbone_per_frame'] = result.frame
    return dict(config=path, unit='multiply-adds', **asdict(result.views), **{k: asdict(v) for k, v in parts.items()})


def main() -> None:
    """Count and report; what is heavy is imported behind the arguments and paths."""
    args = parse_args()
    if args.json:
        require_writable_file(args.json, '--json')
    for path in args.configs:
        find_config(path)

    import textxfer_mm.register  # noqa: F401
    from textxfer_mm.analysis.complexity import count_complexity

    console = Console()
    records = []
    for path in args.configs:
        cfg = load_config(path)
        merge_options(cfg, args.cfg_options, path)
        result = count_complexity(cfg, shape=args.shape and tuple(args.shape))
        console.print(table_of(path, result))
        records.append(record_of(path, result))
    console.print(NOTE, style='dim')
    if args.json:
        write_text(args.json, json.dumps(records, indent=2) + '\n')


if __name__ == '__main__':
    sys.exit(run_tool(main))
