"""Publish a checkpoint, without what only training needs: ``python tools/deployment/publish_model.py IN OUT``."""

import argparse
import sys

from textxfer_mm.engine.launch import run_tool
from textxfer_mm.errors import first_few
from textxfer_mm.files import require_writable_file
from textxfer_mm.inputs import require_file


def parse_args() -> argparse.Namespace:
    """Parse the command line, which is that of OpenMMLab's tool of this name."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('in_file', metavar='IN', help='checkpoint of a training')
    parser.add_argument('out_file', metavar='OUT', help='file to write; the beginning of its hash is added to its name')
    return parser.parse_args()


def main() -> None:
    """Write the file and say what it holds; what is heavy is imported behind the paths."""
    args = parse_args()
    require_file(args.in_file, 'IN', '*.pth')
    require_writable_file(args.out_file, 'OUT')

    import textxfer_mm.register  # noqa: F401
    from textxfer_mm.engine.publishing import publish

    done = publish(args.in_file, args.out_file)
    size = done.path.stat().st_size / 2**20
    print(f'{done.path}: {done.weights} weights, {size:.1f} MiB')
    if done.left_out:
        print(f'left out, as only training needs them: {first_few(done.left_out)}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
