"""Inter-class correlation maps (Fig. 1): ``tools/analysis_tools/class_correlation.py OUT.png SOURCE [SOURCE ...]``.

A source is a config (its head's classifier is built), a checkpoint (the classifier in it, frozen or learned) or a
classifier bundle (.safetensors).
"""

import argparse
import csv
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from textxfer_mm.engine.launch import run_tool
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import replacing, require_png, require_writable_folder
from textxfer_mm.inputs import CONFIG_SUFFIXES, find_config, require_checkpoint, require_file
from textxfer_mm.text.class_names import load_class_names

DEFAULT_NUM = 20


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('out', type=Path, help='PNG file to write')
    parser.add_argument('sources', nargs='+', metavar='SOURCE', help='config, checkpoint or classifier bundle')
    parser.add_argument('--titles', nargs='+', help='one title for each source (default: file names)')
    parser.add_argument('--classes', nargs='+', help='class names or indices, or one text file of them')
    parser.add_argument('--num', type=int, help=f'how many classes to draw (default: {DEFAULT_NUM}, or all if fewer)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the draw')
    parser.add_argument('--class-names', help='class-name file or dataset name, for checkpoints that hold no names')
    parser.add_argument('--key', help='name of the weight in checkpoints whose classifier is not found')
    parser.add_argument('--vmin', nargs='+', type=float, help='lowest colour: one for all, or one for each source')
    parser.add_argument('--vmax', nargs='+', type=float, help='highest colour, likewise')
    parser.add_argument('--own-scales', action='store_true', help='give each map its own colour scale')
    parser.add_argument('--csv', type=Path, metavar='FOLDER', help='also write each map as a csv file')
    return parser.parse_args()


def csv_name(title: str) -> str:
    """The file that a map is written to."""
    return f'{re.sub("[^A-Za-z0-9._-]+", "_", title)}.csv'


def titles_of(args: argparse.Namespace) -> list[str]:
    """One title for each source; as names of files they differ too."""
    titles = args.titles or [Path(source).stem for source in args.sources]
    if len(titles) != len(args.sources) or len(set(map(csv_name, titles))) != len(titles):
        raise UserError(
            f'--titles: {len(args.sources)} sources need as many different titles, got {", ".join(titles)}.'
        )
    return titles


def classes_of(words: list[str] | None) -> list[str] | None:
    """The chosen classes; one word may be a text file of them."""
    if words and len(words) == 1 and Path(words[0]).suffix in ('.txt', '.csv', '.json'):
        return list(load_class_names(words[0]))
    return words


def find_source(path: str) -> None:
    """Check that a source is there."""
    suffix = Path(path).suffix.lower()
    if suffix in CONFIG_SUFFIXES:
        find_config(path)
    elif suffix == '.safetensors':
        require_file(path, 'classifier bundle', '*.safetensors')
    else:
        require_checkpoint(path)


def write_csv(path: Path, names: tuple[str, ...], values: list[list[float]]) -> None:
    """Write a map with its names."""
    with replacing(path) as part, part.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['', *names])
        writer.writerows([name, *(f'{value:.6f}' for value in row)] for name, row in zip(names, values, strict=True))


def main() -> None:
    """Read, choose, plot; what is heavy is imported behind the arguments and paths."""
    args = parse_args()
    titles = titles_of(args)
    require_png(args.out, 'OUT')
    folder = require_writable_folder(args.csv, '--csv') if args.csv else None
    given = load_class_names(args.class_names) if args.class_names else None
    words = classes_of(args.classes)
    for source in args.sources:
        find_source(source)

    import textxfer_mm.register  # noqa: F401
    from textxfer_mm.analysis.class_embeddings import choose_classes, load_class_embeddings, select_rows, with_names
    from textxfer_mm.visualization import class_correlation, plot_class_correlations

    embeddings = with_names([load_class_embeddings(source, key=args.key) for source in args.sources], given)
    names = choose_classes(embeddings, classes=words, num=args.num, seed=args.seed)
    if words is None and args.num is None and len(names) > DEFAULT_NUM:
        names = choose_classes(embeddings, num=DEFAULT_NUM, seed=args.seed)
    maps = {title: class_correlation(select_rows(e, names)) for title, e in zip(titles, embeddings, strict=True)}
    plot_class_correlations(
        args.out, maps, names, vmin=args.vmin or [None], vmax=args.vmax or [None], own_scales=args.own_scales
    )
    if folder:
        for title, values in maps.items():
            write_csv(folder / csv_name(title), names, values.tolist())
    Console().print(Text(f'{shown(args.out)}: {len(names)} classes, {len(maps)} map(s).'), soft_wrap=True)


if __name__ == '__main__':
    sys.exit(run_tool(main))
