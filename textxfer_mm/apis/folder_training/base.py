"""The frozen encoder that features come from, and the heads that may stand behind it."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from torch import Tensor, nn

from textxfer_mm import register_all_modules
from textxfer_mm.apis.feature_cache import write_features
from textxfer_mm.apis.folder_training.candidates import (
    Candidate,
    CosineFromText,
    LinearProbe,
    Prototypes,
    TipAdapter,
    ZeroShot,
)
from textxfer_mm.apis.folder_training.videos import LabelledVideos
from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.apis.model_configs import DEFAULT_CONFIG, clip_zero_shot_config, config_of_checkpoint, load_config
from textxfer_mm.datasets.transforms_video import with_exact_decoding
from textxfer_mm.engine.classes import classifier_of, head_of, set_class_names
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.engine.frameworks import in_scope, takes_images
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.feature_shards import FeatureShards
from textxfer_mm.files import write_text
from textxfer_mm.inputs import find_clip_folder
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.layers.pooling import pool_features
from textxfer_mm.registry import MODELS
from textxfer_mm.text.clip_folders import read_clip_folder

#: A class of fewer videos is few: prototypes and Tip-Adapter are tried.
FEW_SHOTS = 10
LIST = 'videos.txt'
PROTOTYPES = 'prototypes.safetensors'


@dataclass(frozen=True)
class Starting:
    """What the encoder is made of.

    Attributes:
        cfg: A config with ``model`` and the pipeline, ``test_pipeline``, of one view of a video.
        checkpoint: Its checkpoint; None takes the pre-trained weights that it names.
        title: What it is called.
    """

    cfg: Config
    checkpoint: Path | None
    title: str


def starting_point(
    class_names: Sequence[str],
    *,
    config: str | Path | None = None,
    checkpoint: str | Path | None = None,
    model: str | None = None,
    pretrained: str | None = None,
) -> Starting:
    """The model to start from: a checkpoint, a config, a CLIP model, or the packaged one.

    Args:
        class_names: K names; a text classifier is given them.
        config: A config of a recognizer; without it a checkpoint's own is taken.
        checkpoint: A checkpoint.
        model: A name of open_clip, or a folder of such a model.
        pretrained: Its weights; OpenAI's unless given.

    Raises:
        UserError: It is a model of images, or has no pipeline.
    """
    if model is not None:
        folder = None if find_clip_folder(model) is None else read_clip_folder(model)
        arch, weights = (model, pretrained or 'openai') if folder is None else (folder.arch, str(folder.weights))
        cfg, title = clip_zero_shot_config(arch, weights, class_names), f'CLIP {model}'
    elif config is None and checkpoint is None:
        cfg, title = load_config(DEFAULT_CONFIG), 'EfficientNet-lite0 (ImageNet), the packaged model'
    else:
        cfg = load_config(config) if config is not None else config_of_checkpoint(checkpoint)
        title = Path(checkpoint or config).name
    if 'model' not in cfg or takes_images(cfg.model):
        raise UserError(f'{title} is no model of videos: train makes recognizers of MMAction2.')
    validation = cfg.get('val_dataloader')
    steps = next(innermost_datasets(validation.dataset)).get('pipeline') if validation else cfg.get('test_pipeline')
    if not steps:
        raise UserError(f'{title} needs a val_dataloader or the variable `test_pipeline` to encode videos with.')
    cfg.test_pipeline = with_exact_decoding([dict(step) for step in steps])
    if classifier_of(cfg).get('type') == 'TextClassifier':
        set_class_names(cfg, class_names)
    return Starting(cfg, Path(checkpoint) if checkpoint is not None else None, title)


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
        self.text_reason = _why_no_text(start)
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

    def encode(self, progress: Callable[[int, int], None] | None = None) -> tuple[Tensor, dict[str, str], Path]:
        """Encode the videos, or read what was encoded before.

        Returns:
            Rows (n, R, D) of those that could be decoded, reasons by file of the others, and the folder of the frame
            features.
        """
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
        with torch.no_grad():
            rows = [self._rows(file.read(row, 0)) for file in shards.files for row in range(file.shape[0])]
        return torch.stack(rows), dict(written.skipped), written.folder

    def _rows(self, features: Tensor) -> Tensor:
        """Features of the backbone (V, D, T, H, W), or (V * T, D, H, W) -> rows (R, D) before the head's projection."""
        neck = getattr(self.model, 'neck', None)
        feats = features if neck is None else neck(features)[0]
        return pool_features(feats, getattr(getattr(self.model, 'cls_head', None), 'feature', 'auto'))

    def candidates(self, width: int) -> list[Candidate]:
        """What to try on the features.

        Args:
            width: D.
        """
        names, few = self._videos.class_names, min(self._videos.counts) < FEW_SHOTS
        made: list[Candidate] = []
        topk = dict(topk=1) if len(names) < 5 else {}
        if not self.text_reason:
            text = self._text_head()
            made.append(ZeroShot(text, head_of(dict(model=self.model_cfg))))
        classes = dict(type='OneHotClassifier', class_names=list(names), embed_dims=len(names))
        linear = dict(type='TextEmbeddingHead', in_channels=width, embed_dims=len(names), classifier=classes)
        linear |= dict(projection=dict(type='LinearProjection', bias=True), normalize=False, **topk)
        made.append(LinearProbe(self._build(linear), linear))
        if few:
            file = dict(type='FileClassifier', path=str((self._out / PROTOTYPES).absolute()))
            cosine = dict(type='TextEmbeddingHead', in_channels=width, embed_dims=width, classifier=file, **topk)
            cosine |= dict(num_classes=len(names), test_scale=None, init_scale=20.0)
            (self._out / PROTOTYPES).unlink(missing_ok=True)  # that of an earlier run
            with in_scope(self.start.cfg):
                made.append(Prototypes(MODELS.build(copy.deepcopy(cosine)), cosine, names))
        if not self.text_reason:
            made.append(self._cosine(text))
            made += [TipAdapter(text, len(names))] if few else []
        return made

    def _text_head(self) -> nn.Module:
        """The head that compares with the embedded class names, its rows made."""
        head = self.model.cls_head
        _fetch(head)
        return head

    def _cosine(self, text: nn.Module) -> Candidate:
        """The head that starts at the text rows."""
        cfg = copy.deepcopy(dict(head_of(dict(model=self.model_cfg))))
        cfg.update(frozen=False, test_scale=None, init_scale=float(text.cosine.scale(False)), learn_scale=True)
        if isinstance(cfg.get('projection'), dict) and cfg['projection']['type'] == 'ConSEProjection':
            cfg['projection'] = dict(cfg['projection'], residual=True)
        head = self._build(cfg)
        head.projection.load_state_dict(text.projection.state_dict(), strict=False)
        return CosineFromText(head, cfg)

    def _build(self, cfg: dict[str, Any]) -> nn.Module:
        """Build a head, with its rows made."""
        with in_scope(self.start.cfg):
            head = MODELS.build(copy.deepcopy(cfg))
        _fetch(head)
        return head


def _fetch(head: nn.Module) -> None:
    """Make the rows of a head, and read the weights of its projection."""
    head.class_rows.fill()
    if isinstance(head.projection, LazyWeights):
        head.projection.ensure_weights()


def _why_no_text(start: Starting) -> str:
    """Why class names say nothing to a model; '' where they do."""
    head = head_of(start.cfg)
    if head.get('type') != 'TextEmbeddingHead' or classifier_of(start.cfg).get('type') != 'TextClassifier':
        return f'its head is {head.get("type", "none")}, which reads no class names'
    if not head.get('normalize', True):
        return 'its head has no cosines'
    projection = head.get('projection')
    kind = projection.get('type') if isinstance(projection, dict) else projection
    if kind not in (None, 'ConSEProjection') and start.checkpoint is None:
        return 'its projection is not trained yet'
    return 'it is one of several labels' if head.get('multi_class') else ''


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


def _remove_features(folder: Path) -> None:
    """Remove a record and its shards."""
    for file in (*folder.glob('*-of-*.safetensors'), folder / 'record.json'):
        file.unlink()
