"""Pairs of classes across datasets that a trained MultiDatasetHead found: ``cross_dataset_pairs.py CHECKPOINT OUT``.

They are the largest weights of its projections (MultiTrain, supplementary Table 4), as a table, and with the maps of
these classes as a figure.
"""

import argparse
import json
import sys
from pathlib import Path

from textxfer_mm.engine.launch import run_tool
from textxfer_mm.errors import UserError
from textxfer_mm.files import require_png, require_writable_file, write_text
from textxfer_mm.inputs import find_config, require_file


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of a training')
    parser.add_argument('out', type=Path, metavar='OUT', help='PNG file of the maps to write')
    parser.add_argument('--num', type=int, default=5, help='how many pairs of each projection (default: 5)')
    parser.add_argument('--config', help='config that names the classes (default: the one inside the checkpoint)')
    parser.add_argument(
        '--class-names', nargs='+', default=[], metavar='DATASET=NAMES', help='class-name file or name of a known list'
    )
    parser.add_argument('--markdown', type=Path, help='also write the table to this file')
    parser.add_argument('--json', type=Path, help='also write the pairs to this file')
    return parser.parse_args()


def names_given(words: list[str]) -> dict[str, str]:
    """The lists of class names by dataset."""
    wrong = next((word for word in words if '=' not in word), None)
    if wrong is not None:
        raise UserError(f'--class-names takes DATASET=NAMES, such as k400=kinetics400, got {wrong!r}.')
    return dict(word.split('=', 1) for word in words)


def main() -> None:
    """Read, choose, write; what is heavy is imported behind the arguments and paths."""
    args = parse_args()
    given = names_given(args.class_names)
    if args.num < 1:
        raise UserError(f'--num is a number of pairs from 1, got {args.num}.')
    require_png(args.out, 'OUT')
    for option, file in (('--markdown', args.markdown), ('--json', args.json)):
        if file is not None:
            require_writable_file(file, option)
    require_file(args.checkpoint, 'checkpoint', '*.pth')
    if args.config:
        find_config(args.config)

    import textxfer_mm.register  # noqa: F401
    from textxfer_mm.analysis import cross_dataset_pairs as analysis
    from textxfer_mm.visualization.projection_maps import plot_projection_maps

    projections = analysis.read_projections(args.checkpoint)
    names = analysis.names_of_datasets(projections, analysis.config_with_names(args.checkpoint, args.config), given)
    pairs = analysis.cross_dataset_pairs(projections, names, args.num)
    maps = {
        f'columns of {source} speak for rows of {target}': analysis.map_of(
            matrix, pairs[source, target], names[source], names[target]
        )
        for (source, target), matrix in projections.items()
    }
    plot_projection_maps(args.out, maps)
    table = analysis.to_markdown(pairs)
    if args.markdown:
        write_text(args.markdown, table)
    if args.json:
        write_text(args.json, json.dumps(analysis.to_json(pairs), indent=2))
    print(table, end='')


if __name__ == '__main__':
    sys.exit(run_tool(main))
