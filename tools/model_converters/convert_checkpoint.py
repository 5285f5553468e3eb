"""Convert a checkpoint to ours, or back: ``convert_checkpoint.py --source {text4vis,openai,...} SRC DST``."""

import argparse
import sys
from pathlib import Path

from textxfer_mm.convert import SOURCES
from textxfer_mm.engine.launch import run_tool
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.files import require_writable_file
from textxfer_mm.inputs import find_config, require_file

WEIGHT_SUFFIXES = ('.bin', '.ckpt', '.pt', '.pth', '.safetensors')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint of others to one for tools/test.py, load_from and textxfer predict.',
        allow_abbrev=False,
    )
    parser.add_argument('src', metavar='SRC', help='checkpoint to read; no code in it runs')
    parser.add_argument('dst', metavar='DST', help='checkpoint to write; an older one is replaced')
    sources = '; '.join(f'{name}: {looks}' for name, looks in SOURCES.items())
    parser.add_argument('--source', required=True, choices=SOURCES, help=sources)
    parser.add_argument(
        '--arch',
        help='open_clip model name or JSON file with a model config, checked against the weights (default: recognised)',
    )
    parser.add_argument(
        '--class-names',
        help='with --source vifi-clip, the classes it was trained on (a file or the name of a dataset): their '
        'classifier is made with its text tower and written beside DST',
    )
    parser.add_argument(
        '--config', help='with --source open_clip --reverse, the config of the run (default: the one inside SRC)'
    )
    parser.add_argument(
        '--reverse',
        action='store_true',
        help='SRC is ours; DST gets the layout of text4vis, or with --source open_clip is a folder for the two towers',
    )
    parser.add_argument(
        '--rename',
        nargs='+',
        default=[],
        metavar='THEIRS=OURS',
        help='with --source multitrain, what datasets of the file are called in the config',
    )
    args = parser.parse_args()
    if args.reverse and args.arch:
        parser.error('--arch says nothing with --reverse')
    if args.arch and args.source == 'multitrain':
        parser.error('--arch says nothing with --source multitrain, whose weights tell it')
    if args.rename and (args.reverse or args.source != 'multitrain'):
        parser.error('--rename needs --source multitrain, and says nothing with --reverse')
    if any(not all(pair.partition('=')) for pair in args.rename):
        parser.error('--rename takes pairs like kinetics=k400')
    if args.class_names and (args.reverse or args.source != 'vifi-clip'):
        parser.error('--class-names needs --source vifi-clip, and says nothing with --reverse')
    if args.config and not (args.reverse and args.source == 'open_clip'):
        parser.error('--config needs --source open_clip --reverse')
    return args


def require_no_folder(src: str) -> None:
    """Refuse the folder of a model, such as those of Hugging Face, and name the files of weights in it."""
    folder = Path(src).expanduser()
    if folder.is_dir():
        weights = sorted(path.name for path in folder.iterdir() if path.suffix in WEIGHT_SUFFIXES)
        raise UserError(
            f'SRC {src} is a folder: give the file of the weights in it. Known: {first_few(weights) or "none"}.'
        )


def main() -> None:
    """Convert, and say what was recognised; what is heavy is imported behind the arguments and paths."""
    args = parse_args()
    require_no_folder(args.src)
    require_file(args.src, 'SRC', '*.p*')
    if args.config:
        find_config(args.config)
    to_folder = args.reverse and args.source == 'open_clip'
    if not to_folder:
        require_writable_file(args.dst, 'DST')

    import textxfer_mm.register  # noqa: F401
    from textxfer_mm.convert import multitrain, multitrain_summary
    from textxfer_mm.convert.conversion import convert_checkpoint
    from textxfer_mm.convert.reverse import reverse_checkpoint, reverse_to_folder
    from textxfer_mm.convert.summary import report

    if to_folder:
        print(f'{args.src} -> {reverse_to_folder(args.src, args.dst, args.config)}')
    elif args.reverse:
        lines = reverse_checkpoint(args.src, args.dst, source=args.source)
        print('\n'.join([f'{args.src} -> {args.dst}', *(f'left out, {line}' for line in lines)]))
    elif args.source == 'multitrain':
        renamed = dict(pair.split('=', 1) for pair in args.rename)
        print('\n'.join(multitrain_summary.report(multitrain.convert_multitrain(args.src, args.dst, renamed=renamed))))
    else:
        done = convert_checkpoint(args.src, args.dst, source=args.source, arch=args.arch, class_names=args.class_names)
        print('\n'.join(report(done)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
