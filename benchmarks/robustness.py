"""Kills, full disks, read-only folders and broken videos, tried on the training of a config; prints a table.

Without a config it takes a tiny one (``benchmarks/trials/tiny_config.py``) and renders 17 clips for it. The run that
nothing happens to comes first; a run that was killed at random moments and while saving, and resumed each time, must
end with the same loss in each iteration, the same weights and the same best checkpoint. Needs Linux.

    python benchmarks/robustness.py [CONFIG] [--kills 20] [--seed 0] [--only kills full] [--cfg-options KEY=VALUE ...]
"""

import argparse
import platform
import random
import shutil
import sys
import time
from pathlib import Path

import textxfer_mm.register  # noqa: F401  (configs name registered classes)

from trials.kinds import TRIALS, Setup, finish  # isort: skip
from trials.training import Training  # isort: skip

from textxfer_mm.datasets.toy_actions import render_toy_actions
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import find_config

TINY = Path(__file__).parent / 'trials' / 'tiny_config.py'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('config', nargs='?', help='config whose training is tried; its data must be there')
    parser.add_argument('--kills', type=int, default=20, help='how often a run is killed and resumed (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the moments and of the broken videos')
    parser.add_argument('--folder', type=Path, default=Path('work_dirs/robustness'), help='everything goes here')
    parser.add_argument('--only', nargs='+', choices=TRIALS, default=list(TRIALS), help='do only these rows')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='changes of the config')
    return parser.parse_args()


def say(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)


def prepare(args: argparse.Namespace) -> Setup:
    """Make the data and the run that nothing happens to.

    Raises:
        UserError: That run fails.
    """
    shutil.rmtree(args.folder / 'runs', ignore_errors=True)
    folder, options = (args.folder / 'runs').resolve(), list(args.cfg_options)
    if args.config is None:
        data = render_toy_actions(args.folder.resolve() / 'clips', train_clips=1, val_clips=1, zero_shot_clips=1)
        for loader, split in (('train', 'train'), ('val', 'val')):
            prefix = f'{loader}_dataloader.dataset'
            options += [f'{prefix}.ann_file={data / split}.txt', f'{prefix}.data_prefix.video={data}']
    config = find_config(args.config or TINY).resolve()
    reference = Training(config, folder / 'reference', options)
    say('the run that nothing happens to ...')
    ended = finish(reference)
    if ended.status:
        raise UserError(f'{config} does not train (status {ended.status}): {ended.errors} See {reference.log}.')
    return Setup(config, folder, options, args.kills, random.Random(args.seed), reference, say)


def main() -> int:
    """Try everything and print the table; 1 if something does not hold."""
    args = parse_args()
    setup = prepare(args)
    rows, failed = [], []
    for name in args.only:
        trial, expected = TRIALS[name]
        say(f'{name} ...')
        begin = time.monotonic()
        times, problems = trial(setup)
        failed += [f'{name}: {problem}' for problem in problems]
        rows.append(f'| {expected} | {times} | {"no" if problems else "yes"} | {time.monotonic() - begin:.0f} |')
    say(
        '\n'.join(
            ['', '| what happens, and what must hold | times | holds | seconds |', '|---|---|---|---|', *rows, '']
        )
    )
    say(f'{setup.config.name}, seed {args.seed}, Python {platform.python_version()}, {platform.platform()}')
    for problem in failed:
        say(f'does not hold: {problem}')
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f'error: {error}')
