"""The frozen encoder that features come from."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor, nn

from textxfer_mm import register_all_modules
from textxfer_mm.apis.feature_cache import write_features
from textxfer_mm.apis.folder_training.lists import loader, write_list
from textxfer_mm.apis.folder_training.starting import Starting, why_no_text
from textxfer_mm.apis.folder_training.videos import LabelledVideos
from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.engine.checkpoint import write_checkpoint
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.feature_shards import FeatureShards
from textxfer_mm.layers.pooling import pool_features

LIST, START = 'videos.txt', 'start.pth'
#: Necks behind which a temporal module can be put in their place: without weights, or one itself.
_TEMPORAL_NECKS = (None, 'TemporalAveragePool', 'TemporalTransformer')


@dataclass(frozen=True)
class Encoded:
    """What an encoder made of n videos.

    Attributes:
        rows: (n, R, D), as a head pools them: R rows a video, one a view (of a 2-D recognizer one a frame).
        frames: (n, V, D, T), the frames of each view before a neck; None where there are none to mix.
        lost: Reasons by file of the videos that could not be decoded.
        folder: The folder of the features.
    """

    rows: Tensor
    frames: Tensor | None
    lost: dict[str, str]
    folder: Path


class Encoder:
    """A frozen recognizer up to its head.

    Args:
        start: What it is made of.
        videos: The videos.
        out: The folder of the run.
        device: Where the backbone runs; None takes the GPU where there is one.
    """

    def __init__(self, start: Starting, videos: LabelledVideos, out: Path, device: str | None = None) -> None:
        self.start, self._videos, self._out, self._device = start, videos, out, device
        register_all_modules()
        cfg = copy.deepcopy(start.cfg)
        if start.checkpoint is None:  # a neck that nothing has trained yet
            cfg.model.pop('neck', None)
            if cfg.model.type == 'Recognizer3D':
                cfg.model.neck = dict(type='TemporalAveragePool')
        elif cfg.model.type == 'Recognizer2D' and cfg.model.get('neck'):
            raise UserError(f'{start.title} has a neck between its frames and its head, which train knows nothing of.')
        self.model_cfg = cfg.model
        self._model: nn.Module | None = None
        self.text_reason = why_no_text(start)
        if self.text_reason and start.checkpoint is None:
            self.model_cfg.pop('cls_head')

    @property
    def model(self) -> nn.Module:
        """The recognizer, on the CPU, with the weights that its checkpoint has."""
        if self._model is None:
            cfg = Config(dict(default_scope=self.start.cfg.get('default_scope', 'mmaction'), model=self.model_cfg))
            cfg.test_pipeline = self.start.cfg.test_pipeline
            self._model = load_recognizer(copy.deepcopy(cfg), self.start.checkpoint, device='cpu')
        return self._model

    @property
    def temporal_reason(self) -> str:
        """Why no temporal module can be put on the frames; '' where one can."""
        neck = (self.model_cfg.get('neck') or {}).get('type')
        if self.model_cfg.type != 'Recognizer3D':
            return f'{self.model_cfg.type} hands frames to its head one by one'
        if neck not in _TEMPORAL_NECKS:
            return f'its neck {neck} stands where it would'
        return self.text_reason and f'it starts at the class names, and {self.text_reason}'

    def starting_weights(self) -> Path | None:
        """Write the weights that candidates start from; None where the config names them, and no checkpoint has them.

        Rows of other classes are left out: they may be of another width.
        """
        if self.start.checkpoint is None:
            return None
        kept = ('backbone.', 'neck.', 'cls_head.projection.')
        state = {name: value for name, value in self.model.state_dict().items() if name.startswith(kept)}
        write_checkpoint(self._out / START, dict(state_dict=state))
        return self._out / START

    def encode(self, progress: Callable[[int, int], None] | None = None) -> Encoded:
        """Encode the videos, or read what was encoded before."""
        write_list(self._out / LIST, self._videos.files, self._videos.labels)
        cfg = copy.deepcopy(self.start.cfg)
        cfg.model = copy.deepcopy(self.model_cfg)
        cfg.train_dataloader = loader(self._out / LIST, cfg.test_pipeline)
        cfg.val_dataloader = cfg.train_dataloader
        folder = self._out / 'features'
        options = dict(checkpoint=self.start.checkpoint, device=self._device, shard_size=200, verify=True)
        told = None if progress is None else lambda _, done, total: progress(done, total)
        try:
            (written,) = write_features(cfg, folder, splits=('train',), **options, progress=told)
        except UserError as error:
            if 'holds features of another' not in str(error):
                raise
            _remove_features(folder / 'train')  # other videos, or another model: ours to make anew
            (written,) = write_features(cfg, folder, splits=('train',), **options, progress=told)
        shards = FeatureShards(written.folder)
        has_frames = not self.temporal_reason and len(shards.sample_shape) == 5 and shards.sample_shape[2] > 1
        rows, frames = [], []
        for features in (file.read(row, 0) for file in shards.files for row in range(file.shape[0])):
            rows.append(self._rows(features))
            if has_frames:
                frames.append(features.flatten(3).mean(3))  # (V, D, T)
        frames = torch.stack(frames) if has_frames else None
        return Encoded(torch.stack(rows), frames, dict(written.skipped), written.folder)

    @torch.no_grad()
    def _rows(self, features: Tensor) -> Tensor:
        """Features of the backbone (V, D, T, H, W), or (V * T, D, H, W) -> rows (R, D) before the head's projection."""
        neck = getattr(self.model, 'neck', None)
        feats = features if neck is None else neck(features)[0]
        return pool_features(feats, getattr(getattr(self.model, 'cls_head', None), 'feature', 'auto'))


def _remove_features(folder: Path) -> None:
    """Remove a record and its shards."""
    for file in (*folder.glob('*-of-*.safetensors'), folder / 'record.json'):
        file.unlink()
