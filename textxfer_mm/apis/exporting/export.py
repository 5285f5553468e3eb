"""A checkpoint as one file that stands alone and stays open-vocabulary, checked right after it was written."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.export import Dim

from textxfer_mm.apis.chosen_model import model_of
from textxfer_mm.apis.exporting.files import require_out, write_graph
from textxfer_mm.apis.exporting.graphs import ExportedGraph
from textxfer_mm.apis.exporting.plans import frame_shape, plan_of
from textxfer_mm.apis.exporting.texts import export_text_encoder
from textxfer_mm.apis.prediction_inputs import scores_of
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.dataset_rows import DatasetRows
from textxfer_mm.engine.classes import rows_of
from textxfer_mm.engine.frameworks import head_module, in_scope
from textxfer_mm.errors import UserError, shown
from textxfer_mm.exported.description import ModelDescription, pack
from textxfer_mm.exported.model import ExportedModel
from textxfer_mm.exported.rows import NamedRows
from textxfer_mm.files import replacing
from textxfer_mm.version import __version__

#: Logits of the file and of the model differ by no more, relative to one and to the largest logit.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        file: The file of the model.
        description: What it says of itself.
        shape: Of the frames of one video: (V, 3, T, H, W), or (V, 3, H, W).
        difference: The largest difference between logits of the file and of the model.
        largest: The largest logit, positive or negative.
        text_file: The file of the text encoder; None where it was not asked for.
        text_difference: The largest difference between embeddings of that file and of the encoder.
    """

    file: Path
    description: ModelDescription
    shape: tuple[int, ...]
    difference: float
    largest: float
    text_file: Path | None = None
    text_difference: float = 0.0


def export_model(
    model: nn.Module | Config | str | Path | None,
    out: str | Path,
    *,
    checkpoint: str | Path | None = None,
    pretrained: str | None = None,
    labels: str | Path | Sequence[str] | None = None,
    dataset: str | None = None,
    text_encoder: str | Path | None = None,
    overwrite: bool = False,
) -> Export:
    """Export a model: frames and class rows in, logits out, with a free number of videos and classes.

    The file holds all that prediction needs: names, templates and class rows, the test pipeline, mean and std, which
    the network applies itself. It is loaded again and compared with the model before it takes its place.

    Args:
        model: A checkpoint, a config, the name or folder of a CLIP model, or a model that is built; see
            :class:`~textxfer_mm.apis.Recognizer`. One that is built stays as it is; of one on a GPU a copy on the CPU
            is exported.
        out: The file, ``.onnx`` or ``.pt2``.
        checkpoint: Weights for a config.
        pretrained: Tag or file of the weights of a CLIP model, or of a config's text encoder.
        labels: Class names; None takes the model's.
        dataset: By the class rows of which dataset it classifies, where it has those of several.
        text_encoder: A file for the text encoder too, which makes class rows of other names.
        overwrite: Whether files that are there are replaced.

    Raises:
        UserError: The model, its pipeline or its text encoder cannot be exported (and why), a file is there, or what
            was written gives other logits than the model.
    """
    file = require_out(out, 'OUT', overwrite)
    text_file = None if text_encoder is None else require_out(text_encoder, '--text-encoder', overwrite)
    if text_file == file:
        raise UserError(f'{shown(out)} cannot be the model and its text encoder at once.')
    device = None if isinstance(model, nn.Module) else 'cpu'
    model = _on_cpu(model_of(model, checkpoint=checkpoint, pretrained=pretrained, labels=labels, device=device))
    with in_scope(model.cfg), _as_it_was(model):
        return _export(model.eval(), file, text_file, dataset)


def _export(model: nn.Module, file: Path, text_file: Path | None, dataset: str | None) -> Export:
    """Write the files of a model that is ready."""
    rows = _choose_rows(model, dataset)
    graph = ExportedGraph(model).eval()
    plan = plan_of(model.cfg.test_pipeline, images=graph.images)
    shape = frame_shape(plan)
    bundle = rows.bundle()
    described = _describe(graph, rows, bundle, plan, shape)
    frames = _random_frames(1, shape, seed=7)
    predicted = scores_of(model, [_samples(frames[0], graph.images)]).numpy()  # which loads late weights too
    text_difference = 0.0
    with replacing(file) as part, _without_view_limit(model):
        views = max(2, shape[0]) if graph.any_views else shape[0]
        example = _random_frames(2, (views, *shape[1:])), _random_rows(3, bundle.embed_dims)
        free = [{0: Dim('N'), 1: Dim('V')} if graph.any_views else {0: Dim('N')}, {0: Dim('K')}]
        write_graph(graph, example, free, 'logits', part, pack(described, bundle.weight.numpy()))
        difference, largest = _check(part, graph, shape, frames, predicted)
        if text_file is not None:  # nothing is left of either when one fails
            text_difference = export_text_encoder(rows, text_file)
    return Export(file, described, shape, difference, largest, text_file, text_difference)


def _on_cpu(model: nn.Module) -> nn.Module:
    """The model, or a copy of it on the CPU where some of it is elsewhere: it is compared there with its file."""
    if all(each.device.type == 'cpu' for each in (*model.parameters(), *model.buffers())):
        return model
    return copy.deepcopy(model).cpu()


def _choose_rows(model: nn.Module, dataset: str | None) -> ClassRows:
    """The class rows that classify.

    Raises:
        UserError: There are those of several datasets, and none is named, or one is named that there is not.
    """
    head = head_module(model)
    shared = getattr(head, 'class_rows', None)
    if dataset is not None and isinstance(shared, DatasetRows):
        rows = shared.of(dataset)
        head.predict_as = shared.chosen = dataset
        return rows
    if dataset is not None:
        raise UserError(f'--dataset {dataset}: {type(head).__name__} has not the class rows of several datasets.')
    if shared is None:
        ExportedGraph(model)  # says that there are none
    if isinstance(shared, DatasetRows) and shared.other is None and shared.chosen is None:
        known = ', '.join(shared.datasets)
        raise UserError(
            f'{type(head).__name__} has the class rows of several datasets: say by those of which the exported model '
            f'classifies, --dataset {known}.'
        )
    return rows_of(model)


def _describe(
    graph: ExportedGraph, rows: ClassRows, bundle: Any, plan: Mapping[str, Any], shape: tuple[int, ...]
) -> ModelDescription:
    cosine = graph.head.cosine
    with torch.no_grad():
        scale = float(cosine.scale(training=False))
    return ModelDescription(
        class_names=bundle.class_names,
        templates=bundle.templates,
        glosses=bundle.glosses,
        encoder_id=bundle.encoder_id,
        embed_dims=bundle.embed_dims,
        scale=scale,
        bias=0.0 if cosine.logit_bias is None else float(cosine.logit_bias),
        mean=tuple(graph.mean.flatten().tolist()),
        std=tuple(graph.std.flatten().tolist()),
        size=shape[-2:],
        num_frames=plan['clip_len'] or 1,
        num_views=shape[0],
        average_clips=graph.average_clips,
        activation=graph.activation,
        rows_are_trained=rows.are_trained,
        inputs=plan,
        made_by=f'textxfer_mm {__version__}',
    )


def _check(
    file: Path, graph: ExportedGraph, shape: tuple[int, ...], pixels: Tensor, predicted: np.ndarray
) -> tuple[float, float]:
    """Compare a file that was written with its model.

    Args:
        file: The file.
        graph: What was exported.
        shape: Of the frames of one video.
        pixels: Frames of one video.
        predicted: The scores that the model itself, not the graph, predicts for them.

    Returns:
        The largest difference of logits, and the largest logit.

    Raises:
        UserError: They differ.
    """
    exported = ExportedModel(file)
    own, width = exported.classes, exported.description.embed_dims
    differences, largest = [], []
    for videos, classes in ((1, None), (3, len(own.class_names) + 2)):
        frames = _random_frames(videos, shape, seed=videos)
        if classes is not None:
            rows = _random_rows(classes, width, seed=classes).numpy()
            exported.compare_with(NamedRows(tuple(map(str, range(classes))), rows, own.encoder_id))
        with torch.no_grad():
            wanted = graph(frames, torch.from_numpy(exported.classes.rows)).numpy()
        got = exported.logits(frames.numpy())
        if not np.isfinite(wanted).all():
            raise UserError('The model gives logits that are not finite: its training diverged. Nothing was exported.')
        differences.append(float(np.abs(got - wanted).max()) if got.shape == wanted.shape else float('inf'))
        largest.append(float(np.abs(wanted).max()))
    exported.compare_with(own)
    score_difference = float(np.abs(exported.scores(pixels.numpy()) - predicted).max())
    worst = max(*differences, score_difference)
    if not (score_difference <= TOLERANCE and worst <= TOLERANCE * (1 + max(largest))):
        raise UserError(
            f'The exported model differs from the model by {worst:.2g}, with logits up to {max(largest):.3g}: nothing '
            'was written. Tell us of it, with the config.'
        )
    return max(differences), max(largest)


def _samples(frames: Tensor, images: bool) -> list[dict[str, Any]]:
    """Frames (V, 3, ...) of a video as its pipeline would pack them."""
    if images:
        from mmpretrain.structures import DataSample

        return [dict(inputs=frame.flip(0), data_samples=DataSample()) for frame in frames]  # BGR
    from mmaction.structures import ActionDataSample

    return [dict(inputs=frames, data_samples=ActionDataSample())]


def _random_frames(videos: int, shape: Sequence[int], seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (videos, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def _random_rows(classes: int, width: int, seed: int = 0) -> Tensor:
    rows = torch.randn(classes, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=-1)


@contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    """Leave a model in the mode and with the dataset that it had."""
    head, modes = head_module(model), {module: module.training for module in model.modules()}
    shared = getattr(head, 'class_rows', None)
    chosen = (head.predict_as, shared.chosen) if isinstance(shared, DatasetRows) else None
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        if chosen is not None:
            head.predict_as, shared.chosen = chosen


class _without_view_limit:
    """Lets a recognizer take all views at once: its limit, which spares memory, takes one video at a time."""

    def __init__(self, model: nn.Module) -> None:
        self._model, self._kept = model, getattr(model, 'test_cfg', None)

    def __enter__(self) -> None:
        if self._kept:
            self._model.test_cfg = {key: value for key, value in self._kept.items() if key != 'max_testing_views'}

    def __exit__(self, *_: object) -> None:
        if self._kept:
            self._model.test_cfg = self._kept
