"""What ``tools/train.py`` and ``tools/test.py`` share: arguments, config, runner, clean endings."""

import argparse
import datetime
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch.distributed import DistError, TCPStore

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
        message = str(error).rsplit('UserError: ', 1)[-1].strip()  # a data worker's error arrives with its traceback
        if _is_news(message):
            print(f'error: {message}', file=sys.stderr, flush=True)
        close_process_group(wait=False)
        return 2
    close_process_group()
    return 0


def _is_news(message: str) -> bool:
    """Tell by torchrun's key-value store whether no other rank has reported this message yet."""
    if os.environ.get('TORCHELASTIC_USE_AGENT_STORE') != 'True':
        return True
    host, port = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])
    try:
        store = TCPStore(host, port, is_master=False, timeout=datetime.timedelta(seconds=10))
        return store.add(f'textxfer_mm/{hashlib.sha256(message.encode()).hexdigest()}', 1) == 1
    except DistError:  # the store is gone: better twice than never
        return True
