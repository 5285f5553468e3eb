"""The winner as files: one checkpoint that needs nothing else, and the config that it belongs to."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from textxfer_mm.apis.feature_cache.encoder import FrameEncoder
from textxfer_mm.apis.folder_training.candidates import Fitted
from textxfer_mm.apis.folder_training.encoder import Encoder
from textxfer_mm.engine.checkpoint import TRAINED_ON_FOLDER, write_checkpoint
from textxfer_mm.engine.frameworks import in_scope
from textxfer_mm.files import write_text

CHECKPOINT, CONFIG = 'model.pth', 'config.py'


def with_files(cfg: Config, fitted: Fitted, out: Path) -> Config:
    """A config with what was chosen in fitting, and with the files of rows that it reads, which are written.

    Their names tell their content: a checkpoint of another run goes on naming its own.
    """
    made, options = copy.deepcopy(cfg), dict(fitted.options)
    for key, bundle in fitted.files.items():
        file = out / f'rows-{bundle.fingerprint[:8]}.safetensors'
        options[key] = str(bundle.save(file).absolute())
    made.merge_from_dict(options)
    made.work_dir = str(out / 'run')  # by the name of the config all would share a folder
    return made


def hand_out(encoder: Encoder, fitted: Fitted, cfg: Config, out: Path, header: str, made: dict[str, Any]) -> Path:
    """Write ``model.pth`` and ``config.py``; return the checkpoint.

    Args:
        encoder: What gives the features.
        fitted: What was fitted.
        cfg: Its config.
        out: The folder.
        header: What the config begins with, as comments.
        made: What the checkpoint says of how it was made.
    """
    parts = dict(fitted.parts)
    if 'backbone' not in parts:
        with in_scope(cfg):
            parts['backbone'] = FrameEncoder(encoder.start.cfg, encoder.start.checkpoint, torch.device('cpu')).backbone
    if 'neck' not in parts and cfg.model.get('neck'):
        parts['neck'] = encoder.model.neck
    state = {
        f'{part}.{name}': value.cpu() for part, module in parts.items() for name, value in module.state_dict().items()
    }
    text = cfg.pretty_text
    write_checkpoint(out / CHECKPOINT, dict(meta={'cfg': text, TRAINED_ON_FOLDER: made}, state_dict=state))
    comments = ''.join(f'# {line}'.rstrip() + '\n' for line in header.splitlines())
    write_text(out / CONFIG, f'{comments}{text}')
    return out / CHECKPOINT
