"""Writes the visual backbone of a checkpoint alone: ``export_backbone.py SRC DST [--layout openmmlab|swin]``."""

import argparse
import sys

from textxfer_mm.engine.launch import run_tool
from textxfer_mm.inputs import require_file


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('src', metavar='SRC', help='checkpoint of a training')
    parser.add_argument('dst', metavar='DST', help='file to write')
    parser.add_argument(
        '--layout',
        default='openmmlab',
        help="openmmlab (default): as MMDetection and MMSegmentation load it; swin: as Swin's released files, which "
        'SwinTransformer3D of MMAction2 inflates',
    )
    return parser.parse_args()


def main() -> None:
    """Read and write."""
    args = parse_args()
    require_file(args.src, 'SRC', '*.pth')

    from textxfer_mm.convert.backbone import export_backbone

    names = export_backbone(args.src, args.dst, layout=args.layout)
    print(f'Wrote {len(names)} entries, from {names[0]} to {names[-1]}, to {args.dst}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
