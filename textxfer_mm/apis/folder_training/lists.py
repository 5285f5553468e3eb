"""The lists of a run, and the dataloaders that read them."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from textxfer_mm.apis.model_configs import load_config
from textxfer_mm.files import write_text


def loader(file: Path, pipeline: Sequence[Any], *, train: bool = False) -> ConfigDict:
    """The dataloader of a list that :func:`write_list` wrote."""
    base = load_config('_base_/datasets/small_videos.py')
    made = copy.deepcopy(base.train_dataloader if train else base.val_dataloader)
    dataset = dict(type='VideoDataset', ann_file=str(file.absolute()), delimiter='\t', pipeline=list(pipeline))
    made.dataset = ConfigDict(dataset, test_mode=not train)
    return made


def write_list(file: Path, files: Sequence[str], labels: Sequence[int]) -> None:
    """Write a list with absolute paths, which is read wherever one stands."""
    lines = [f'{Path(name).absolute()}\t{label}\n' for name, label in zip(files, labels, strict=True)]
    write_text(file, ''.join(lines))
