"""Makes a checkpoint that takes videos of one trained on features: ``add_backbone.py CONFIG TRAINED DST``."""

import argparse
import sys

from textxfer_mm.engine.launch import run_tool
from textxfer_mm.files import require_writable_file
from textxfer_mm.inputs import find_config, require_checkpoint, require_file


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('config', metavar='CONFIG', help='config whose features `textxfer features` wrote')
    parser.add_argument('trained', metavar='TRAINED', help='checkpoint of a training on these features')
    parser.add_argument('dst', metavar='DST', help='file to write')
    parser.add_argument('--checkpoint', help='checkpoint that the features were written with, if there was one')
    return parser.parse_args()


def main() -> None:
    """Read and write."""
    args = parse_args()
    find_config(args.config)
    require_file(args.trained, 'TRAINED', '*.pth')
    require_writable_file(args.dst, 'DST')
    if args.checkpoint is not None:
        require_checkpoint(args.checkpoint)

    from textxfer_mm import register_all_modules

    register_all_modules()
    from textxfer_mm.apis.feature_cache import whole_checkpoint
    from textxfer_mm.engine.config_files import load_config

    whole_checkpoint(load_config(args.config), args.trained, args.dst, checkpoint=args.checkpoint)
    print(f'Wrote {args.dst}: tools/test.py, textxfer predict and others take it with {args.config}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
