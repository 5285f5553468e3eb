"""Reading configs: from files, which are code, and from checkpoints, which must not be."""

import traceback
from pathlib import Path

from mmengine.config import Config

from textxfer_mm.compat import allow_config_bases
from textxfer_mm.engine.config_bases import require_bases
from textxfer_mm.engine.config_keys import check_keys
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import find_config


def load_config(path: str | Path) -> Config:
    """Read a config file; a path relative to the shipped configs works as well.

    Raises:
        UserError: There is no such file (the nearest names are listed), it cannot be read as a config, or a name in it
            is misspelt.
    """
    file = find_config(path)
    allow_config_bases()
    try:
        cfg = Config.fromfile(file)
    except UserError:
        raise
    except Exception as error:  # a config is code: it may raise anything
        require_bases(file)
        raise UserError(f'config {file} cannot be read{_place(error)}: {type(error).__name__}: {error}') from error
    check_keys(cfg, file)
    return cfg


def _place(error: Exception) -> str:
    """Say in which file and line of the configs it went wrong, where that is known."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == '<module>']
    return f' ({frames[-1].filename}, line {frames[-1].lineno})' if frames else ''


def config_of_checkpoint(path: str | Path) -> Config:
    """The config that MMEngine saved inside a checkpoint; it is parsed, never executed.

    Raises:
        UserError: The checkpoint holds none, or one that is more than values.
    """
    from textxfer_mm.engine.checkpoint import load_checkpoint_file  # torch: not for whoever reads config files alone
    from textxfer_mm.engine.saved_config import parse_saved_config

    checkpoint = load_checkpoint_file(path)
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    text = meta.get('cfg') if isinstance(meta, dict) else None
    if not isinstance(text, str):
        raise UserError(f'{path} holds no config. Give the one it was trained with: --config FILE.')
    return parse_saved_config(text, path)
