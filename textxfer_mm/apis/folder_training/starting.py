"""The model that a folder's training starts from: a checkpoint, a config, a CLIP model, or the packaged one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from textxfer_mm.apis.model_configs import DEFAULT_CONFIG, clip_zero_shot_config, config_of_checkpoint, load_config
from textxfer_mm.datasets.transforms_video import with_exact_decoding
from textxfer_mm.engine.classes import classifier_of, head_of, set_class_names
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.engine.frameworks import takes_images
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import find_clip_folder
from textxfer_mm.text.clip_folders import read_clip_folder


@dataclass(frozen=True)
class Starting:
    """What the encoder is made of.

    Attributes:
        cfg: A config with ``model`` and the pipeline, ``test_pipeline``, of one view of a video.
        checkpoint: Its checkpoint; None takes the pre-trained weights that it names.
        title: What it is called.
        is_packaged: Whether it is the model of whoever names none.
    """

    cfg: Config
    checkpoint: Path | None
    title: str
    is_packaged: bool = False


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
    named_none = model is None and config is None and checkpoint is None
    return Starting(cfg, Path(checkpoint) if checkpoint is not None else None, title, named_none)


def why_no_text(start: Starting) -> str:
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
