"""Functions on several processes that train together."""

import copy
import json
import multiprocessing
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from textxfer_mm.files import write_text


def on_ranks(ranks: int, function: Callable[..., Any], cfg: Config, *args: Any, log: Path | None = None) -> Any:
    """Call a function with a config on so many gloo processes of one thread each; a single one is this process.

    Args:
        ranks: How many.
        function: A function of a module; it gets the config, which names the launcher, and the other arguments.
        cfg: The config.
        args: Plain values and functions of modules.
        log: What the processes print is added to this file. A single one is a process of its own then.

    Returns:
        What it returned on rank 0, as plain values.

    Raises:
        torch.multiprocessing.ProcessRaisedException: The function raised an exception, whose traceback is in the text.
        torch.multiprocessing.ProcessExitedException: A process ended otherwise.
    """
    if ranks == 1 and log is None:
        return function(cfg, *args)
    cfg = copy.deepcopy(cfg)
    cfg.launcher = 'pytorch' if ranks > 1 else 'none'
    folder = Path(tempfile.mkdtemp())
    try:
        torch.multiprocessing.spawn(_rank, (ranks, _free_port(), folder, log, function, cfg, *args), nprocs=ranks)
        return json.loads((folder / 'result.json').read_text())
    finally:
        shutil.rmtree(folder)


def _free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _rank(
    rank: int, ranks: int, port: int, folder: Path, log: Path | None, function: Callable[..., Any], *args: Any
) -> None:
    """What each of the processes does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if ranks > 1:
        os.environ.update(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
        )
    if log is not None:
        with log.open('a') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    result = function(*args)
    if rank == 0:
        write_text(folder / 'result.json', json.dumps(result))


def _end_with_parent() -> None:
    """End when the process that started this one does, however that ends; else it would go on, and meet its successor.

    PyTorch asks for SIGINT then, which is ignored in what a shell started in the background.
    """
    multiprocessing.parent_process().join()
    os._exit(1)
