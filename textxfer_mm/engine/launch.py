"""What ``tools/train.py`` and ``tools/test.py`` share: arguments, config, runner, clean endings."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from textxfer_mm.compat import close_process_group
from textxfer_mm.errors import UserError, nearest


def add_launch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/<config name>)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config: key=value, nested keys joined by dots; lists as key="[a,b]" or key=a,b',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')


def load_config(args: argparse.Namespace) -> Config:
    """Load ``args.config`` and merge ``--cfg-options``, ``--launcher`` and ``--work-dir`` into it.

    Raises:
        UserError: If the file is missing or has a syntax error.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    path = Path(args.config)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob('*.py')] if path.parent.is_dir() else []
        raise UserError(f'config {path} does not exist.{nearest(path.name, siblings)}')
    try:
        cfg = Config.fromfile(path)
    except SyntaxError as error:
        raise UserError(f'config {path}: {error}') from error
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('./work_dirs', path.stem)
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for (``runner_type``), by default MMEngine's ``Runner``."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def run_tool(main: Callable[[], None]) -> int:
    """Run a script's main function; a user's mistake ends in one line on stderr.

    Returns:
        The exit status: 0, or 2 after a :class:`UserError`.
    """
    try:
        main()
    except UserError as error:
        if int(os.environ.get('LOCAL_RANK', 0)) > 0:
            time.sleep(3)  # an error that all ranks share is printed by the first, whose end ends this process too
        # A data worker's error arrives with its traceback in the message.
        print(f'error: {str(error).rsplit("UserError: ", 1)[-1].strip()}', file=sys.stderr, flush=True)
        close_process_group(wait=False)
        return 2
    close_process_group()
    return 0
