"""What the scripts in ``tools/`` share: arguments, config, clean endings. Light: no torch before it is needed."""

import argparse
import atexit
import datetime
import hashlib
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from textxfer_mm import register_all_modules
from textxfer_mm.compat import close_process_group
from textxfer_mm.engine.config_files import load_config
from textxfer_mm.engine.config_keys import check_options, check_shapes
from textxfer_mm.errors import UserError, shown_message
from textxfer_mm.files import require_writable_folder, unwritable
from textxfer_mm.inputs import find_config
from textxfer_mm.interrupts import TERMINATED, Terminated, end_data_workers, ending_on_sigterm
from textxfer_mm.memory import end_at_once
from textxfer_mm.registry_errors import explain_config_error

#: Where Slurm's srun and MPI say which rank this is; torchrun's ranks have a store to agree through.
RANK_VARIABLES = ('SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
#: Where ``_torchrun.py`` says into which file the first rank writes what is to be told of an interruption.
LAST_WORDS = 'TEXTXFER_LAST_WORDS'
#: Seconds to wait for SIGTERM after another process of the run has ended: whoever ends them all asks one after another.
_TURN = 1.0


class KeyValueAction(DictAction):
    """MMEngine's action, with a usage message for what is no ``key=value``."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Parse the words after ``--cfg-options``."""
        for word in values:
            if not re.match(r'[^=]+=', word):
                parser.error(f'{option_string} takes key=value, got {word!r}')
        super().__call__(parser, namespace, values, option_string)


def add_launch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/<config name>)')
    add_config_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValueAction,
        help='override settings of the config: key=value, nested keys joined by dots; lists as key="[a,b]" or key=a,b',
    )


def config_of_args(args: argparse.Namespace) -> Config:
    """Load ``args.config`` and merge ``--cfg-options``, ``--launcher`` and ``--work-dir`` into it.

    Everything is registered as well, as stock configs do not ask for it; paths are checked before.

    Raises:
        UserError: If the file is missing or broken, an option does not fit it, or the work dir cannot be written to.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    find_config(args.config)
    if args.work_dir is not None:
        require_writable_folder(args.work_dir, '--work-dir')
    register_all_modules()
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options, args.config)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('./work_dirs', Path(args.config).stem)
    return cfg


def merge_options(cfg: Config, options: dict[str, Any] | None, source: str) -> None:
    """Merge ``--cfg-options`` into the config read from ``source``.

    Raises:
        UserError: If an option does not fit it, nothing would read it, or what comes out is not what a runner reads.
    """
    check_options(options or {}, cfg, source)
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError, IndexError, AssertionError) as error:
        raise UserError(f'--cfg-options do not fit {source}: {str(error).strip(chr(34))}') from error
    except AttributeError as error:  # MMEngine merges what is no dict into an entry of a list
        raise UserError(f'--cfg-options do not fit {source}: one gives a value where it has a dict.') from error
    check_shapes(cfg, source)


def options_of_words(words: Sequence[str]) -> dict[str, Any]:
    """Read the words ``key=value`` of ``--cfg-options`` of the ``textxfer`` command.

    Raises:
        UserError: One is none.
    """
    pairs = [word.partition('=') for word in words]
    for key, sign, _ in pairs:
        if not key or not sign:
            raise UserError(f'--cfg-options takes key=value, got {key!r}.')
    return {key: DictAction._parse_iterable(value) for key, _, value in pairs}


def require_parts(cfg: Config, names: Sequence[str], source: str) -> None:
    """Check that a config is a whole one.

    Args:
        cfg: The config.
        names: The parts it needs, such as ``'model'``.
        source: Its file.

    Raises:
        UserError: Some are missing.
    """
    missing = [name for name in names if cfg.get(name) is None]
    if missing:
        raise UserError(
            f'{source} is no whole config: it has no {", ".join(missing)}. Begin it with `_base_ = [...]`, naming the '
            'config that it changes.'
        )


def run_tool(main: Callable[[], None]) -> int:
    """Run a script's main function; a user's mistake, a full disk, Ctrl-C and SIGTERM end in one line on stderr.

    A ``KeyboardInterrupt`` or :class:`~textxfer_mm.interrupts.Terminated` with a message tells what was kept.

    Returns:
        The exit status: 0, 2 after a :class:`UserError`, 130 after Ctrl-C, or 143 after SIGTERM.
    """
    end_at_once()
    atexit.register(signal.signal, signal.SIGTERM, signal.SIG_IGN)  # what is done when it comes stays done, status 0
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is no reason for many tracebacks
    try:
        with ending_on_sigterm():
            _run(main)
    except UserError as error:
        return _end(error)
    except KeyboardInterrupt as stop:
        end_data_workers()
        return _leave('interrupted', str(stop), 130)
    except Terminated as stop:
        return _leave('terminated', str(stop), TERMINATED)
    except (KeyError, TypeError, ValueError, AssertionError, OSError) as error:
        if isinstance(error, OSError):
            explained = _explain_full_disk(error)
        else:
            explained = _explain_image(error) or explain_config_error(error)
        if explained is None:
            raise
        return _end(explained)
    close_process_group()
    return 0


def _run(main: Callable[[], None]) -> None:
    """Call it; where others ended first because all are asked to end, wait for our own turn."""
    try:
        main()
    except UserError:
        raise
    except Exception as error:
        if _is_launched() or 'killed by signal: Terminated' in str(error):  # a data worker's end, as PyTorch words it
            time.sleep(_TURN)  # SIGTERM ends this sleep
        raise


def _explain_full_disk(error: OSError) -> UserError | None:
    """The one-line message for a file that is written piece by piece, such as the log of scalars."""
    reason = unwritable(error)
    where = f'{error.filename}: ' if error.filename else ''
    return reason and UserError(f'{where}{reason}. The checkpoints that were saved before stand; go on with --resume.')


def _explain_image(error: Exception) -> UserError | None:
    """The one-line message for an image that MMCV cannot decode, in this process or in a data worker."""
    names = re.findall(r'failed to load image: (.+)', str(error))  # a worker's error shows the line of code before
    if not names:
        return None
    return UserError(
        f'cannot decode {names[-1]}: it is no image, or a damaged one. Restore it, or take it off the list or out of '
        'the folder. `textxfer evaluate` leaves such files out and names them all.'
    )


def _is_launched() -> bool:
    """Whether this is one of several processes that a launcher started."""
    return 'RANK' in os.environ or any(name in os.environ for name in RANK_VARIABLES)


def _leave(word: str, kept: str, status: int) -> int:
    """Say in one line why it ends, once over all ranks, and return the exit status; torchrun speaks for its ranks."""
    line = shown_message(f'{word}: {kept}' if kept else word)
    if is_first_rank():
        if 'TORCHELASTIC_RUN_ID' not in os.environ:
            sys.stderr.write(f'{line}\n')
        elif LAST_WORDS in os.environ:
            Path(os.environ[LAST_WORDS]).write_text(line, encoding='utf-8', errors='backslashreplace')
    close_process_group(wait=False)
    return status


def _rank() -> str:
    """Which rank the launcher says this is; '0' without one."""
    return next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), '0')


def is_first_rank() -> bool:
    """Whether this process is the one that speaks, as far as the launcher says."""
    return os.environ.get('RANK', _rank()) == '0'


def say(line: str) -> None:
    """Print one line, once over all ranks."""
    if is_first_rank():
        sys.stdout.write(f'{line}\n')


def _end(error: UserError) -> int:
    """Print the message once over all ranks, as far as they know of each other, and return the exit status."""
    # A data worker's error arrives with its traceback.
    message = shown_message(str(error).rsplit('UserError: ', 1)[-1].strip())
    if os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == 'True':
        rank, is_news = '0', _is_news(message)
    else:
        rank, is_news = _rank(), True
    if is_news:
        sys.stderr.write(f'{"" if rank == "0" else f"rank {rank}: "}error: {message}\n')
        sys.stderr.flush()
    close_process_group(wait=False)
    return 2


def _is_news(message: str) -> bool:
    """Tell by torchrun's key-value store whether no other rank has reported this message yet."""
    from torch.distributed import DistError, TCPStore

    host, port = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])
    try:
        store = TCPStore(host, port, is_master=False, timeout=datetime.timedelta(seconds=10))
        return store.add(f'textxfer_mm/{hashlib.sha256(message.encode()).hexdigest()}', 1) == 1
    except DistError:  # the store is gone: better twice than never
        return True
