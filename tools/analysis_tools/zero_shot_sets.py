"""Zero-shot recognition on several sets of images, in the form of iCLIP's Table 3: ``zero_shot_sets.py CONFIG``.

Each set is tested by its class names alone, under its own measure. A set whose files are missing ends the run, unless
--skip names it; its cell is then empty, and the mean is over the others.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from textxfer_mm.engine.launch import run_tool
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.files import require_writable_file, write_text
from textxfer_mm.inputs import find_config, require_file

SETS = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets' / 'zero_shot_sets.py'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('config', metavar='CONFIG', help='config of a model with a text encoder')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', nargs='?', help='checkpoint (default: untrained)')
    parser.add_argument(
        '--sets', default=str(SETS), help='config with zero_shot_sets (default: the twelve of Kornblith et al.)'
    )
    parser.add_argument('--skip', nargs='+', default=[], metavar='SET', help='sets to leave out')
    parser.add_argument('--glosses', nargs='+', default=[], help='shipped tables of glosses, or files')
    parser.add_argument('--device', help='where the model runs (default: the GPU where there is one)')
    parser.add_argument('--json', type=Path, help='also write the results to this file')
    return parser.parse_args()


def main() -> None:
    """Read, evaluate, print; what is heavy is imported behind the arguments and paths."""
    args = parse_args()
    if args.json is not None:
        require_writable_file(args.json, '--json')
    if args.checkpoint is not None:
        require_file(args.checkpoint, 'checkpoint', '*.pth')
    find_config(args.config)

    from rich.console import Console

    from textxfer_mm.apis import evaluate_sets, load_config, load_recognizer, sets_table
    from textxfer_mm.cli.progress import progress_on
    from textxfer_mm.text.glosses.table import gloss_table, joined_tables

    cfg = load_config(args.config)
    if not cfg.get('test_dataloader'):
        raise UserError(f'{args.config} has no test_dataloader, whose pipeline reads the sets.')
    sets = load_config(args.sets).get('zero_shot_sets') or {}
    unknown = next((name for name in args.skip if name not in sets), None)
    if unknown is not None:
        raise UserError(f'--skip: there is no set {unknown!r}.{nearest(unknown, sets)}')
    table = joined_tables([gloss_table(one) for one in args.glosses]) if args.glosses else None
    model = load_recognizer(cfg, args.checkpoint, device=args.device)
    kept = {name: options for name, options in sets.items() if name not in args.skip}
    with progress_on(Console(stderr=True)) as tell:
        progress = lambda name, *numbers: tell(f'Encoding the images of {name}', *numbers)  # noqa: E731
        found = evaluate_sets(model, kept, cfg.test_dataloader, glosses=table, progress=progress)
    print(sets_table(found, args.skip))
    if args.json is not None:
        write_text(args.json, json.dumps({name: asdict(one) for name, one in found.items()}, indent=1) + '\n')


if __name__ == '__main__':
    sys.exit(run_tool(main))
