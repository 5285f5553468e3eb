"""Parameters and multiply-adds of a recognizer, as they are and as the paper counts them.

The model is built and run on the meta device, which computes shapes and nothing else: ViT-L/14 with 32 frames takes
seconds and no memory. Unit: **multiply-adds**, which papers on recognition (this one included) call FLOPs.

* *True*: all matrix products and convolutions, counted by PyTorch's own ``FlopCounterMode`` (which takes a multiply-add
  for two operations). Norms, activations, softmax and sums are left out, as usual. All weights, and the classifier.
* *The paper's*: only linear layers and convolutions that are called as modules, and the classifier as the linear layer
  that it stands for. ``nn.MultiheadAttention`` is passed over (it reads the weights of its projections itself, and its
  products are no modules), and so are norms and weights that are no module's (class token, positions, CLIP's last
  projection). The profiler thop counts CLIP's towers so; Tables 7 and 12 come out of it.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from textxfer_mm.analysis.views import Views, views_of_config
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.engine.classes import head_of
from textxfer_mm.engine.frameworks import HEADS, enter_scope, takes_images
from textxfer_mm.errors import UserError
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.models.heads import CosineHead, TextEmbeddingHead
from textxfer_mm.registry import MODELS
from textxfer_mm.registry_errors import accepted_arguments

PARTS = ('backbone', 'neck', *HEADS)

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Cost:
    """What a part of a model costs for one view.

    Attributes:
        params: All weights; a frozen classifier included.
        macs: Multiply-adds.
        paper_params: The weights of linear layers and convolutions that are called, and the classifier.
        paper_macs: Their multiply-adds.
    """

    params: int
    macs: int
    paper_params: int
    paper_macs: int

    def __add__(self, other: 'Cost') -> 'Cost':
        return Cost(
            self.params + other.params,
            self.macs + other.macs,
            self.paper_params + other.paper_params,
            self.paper_macs + other.paper_macs,
        )


@dataclass(frozen=True)
class Complexity:
    """What a recognizer costs.

    Attributes:
        parts: The cost of ``backbone``, ``neck`` (where there is one) and head, for one view.
        views: The view, and how many of them a video has in testing.
        frame: The cost of one frame of the view in a backbone that works frame by frame; None for others.
    """

    parts: dict[str, Cost]
    views: Views
    frame: Cost | None

    @property
    def total(self) -> Cost:
        """The sum of the parts."""
        return sum(self.parts.values(), Cost(0, 0, 0, 0))


def count_complexity(cfg: Config, *, shape: tuple[int, ...] | None = None) -> Complexity:
    """Count the parameters and multiply-adds of one view of a config's recognizer; nothing is downloaded.

    Args:
        cfg: A config with ``model``, and with a test pipeline unless ``shape`` is given.
        shape: The shape of one view instead of the test pipeline's: (3, T, H, W), (T, 3, H, W) for 2-D recognizers, or
            (3, H, W) for models of images.

    Raises:
        UserError: The model is no recognizer of frames, does not take the shape, or needs true values to run.
    """
    if 'backbone' not in cfg.get('model', {}):
        raise UserError('The config has no `model` with a backbone.')
    views = Views(tuple(shape)) if shape else views_of_config(cfg)
    model = build_on_meta(cfg)
    inputs = torch.empty(1, *_as_inputs(views.shape, cfg.model), device='meta')
    counter = FlopCounterMode(display=False)
    with _paper_macs(model) as paper_macs, _autocast_ignores_meta(), counter, torch.no_grad():
        try:
            model(inputs, mode='tensor', **({} if takes_images(cfg.model) else dict(stage='head')))
        except UserError:
            raise
        except Exception as error:  # any model's code runs here
            raise UserError(
                f'{cfg.model.type} with {cfg.model.backbone.type} cannot be run on one view of shape {views.shape} '
                f'without values ({type(error).__name__}: {error}). Check --shape: 3 T H W, T 3 H W in 2-D, or 3 H W.'
            ) from error
    parts = _costs(model, counter, paper_macs)
    return Complexity(parts, views, _frame(parts['backbone'], views.shape, cfg.model))


def build_on_meta(cfg: Config) -> nn.Module:
    """Build a config's model without its weights, in evaluation mode.

    Heads that run a text tower in training classify by a matrix in testing: they are built as ``TextEmbeddingHead``.

    Raises:
        UserError: A text head's class names are not at hand, or a part cannot be built without values.
    """
    enter_scope(cfg)
    with _parameters_on_meta():
        try:
            model = MODELS.build(_without_text_tower(_without_weights(deepcopy(cfg.model))))
        except NotImplementedError as error:  # such as "Cannot copy out of meta tensor"
            raise UserError(
                f'{cfg.model.type} with {cfg.model.backbone.type} cannot be built without values ({error}), so that '
                'it cannot be counted here.'
            ) from error
    for module in model.modules():
        if isinstance(module, LazyWeights):
            module._weights_filled = True  # nothing is to be fetched
        if isinstance(module, ClassRows):
            _fill(module)
    return model.to('meta').eval()


def _fill(rows: ClassRows) -> None:
    """Give class rows some values, so that nothing is encoded."""
    names = rows.class_names or tuple(map(str, range(rows.num_classes)))
    if not names:
        raise UserError(
            f'The class names of {type(rows.source).__name__} are not at hand here, so that its classes cannot be '
            'counted: --cfg-options model.cls_head.num_classes=K.'
        )
    values = torch.ones(len(names), rows.embed_dims)
    rows.replace(ClassifierBundle.from_rows(values, class_names=names, encoder_id='none'))


def _as_inputs(shape: tuple[int, ...], model: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of a video of one view: (1, 3, T, H, W) for Recognizer3D, (T, 3, H, W) for 2-D; (3, H, W) of images."""
    is_2d, of_images = model['type'] == 'Recognizer2D', takes_images(model)
    wanted = '3 H W' if of_images else 'T 3 H W' if is_2d else '3 T H W'
    if len(shape) != len(wanted.split()) or shape[1 if is_2d else 0] != 3 or min(shape) < 1:
        raise UserError(f'One view of {model["type"]} has the shape {wanted}, not {" ".join(map(str, shape))}.')
    return shape if is_2d or of_images else (1, *shape)


def _without_weights(node: Any) -> Any:
    """Take all requests for pretrained weights out of a model config."""
    if isinstance(node, dict):
        if 'pretrained' in node:
            node['pretrained'] = False if isinstance(node['pretrained'], bool) else None
        node.pop('init_cfg', None)
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        _without_weights(child)
    return node


def _without_text_tower(model: dict[str, Any]) -> dict[str, Any]:
    """Put a plain ``TextEmbeddingHead`` in the place of one that learns prompts or trains the text tower."""
    head = head_of(dict(model=model))
    kind = MODELS.get(head['type']) if isinstance(head.get('type'), str) else head.get('type')
    if isinstance(kind, type) and issubclass(kind, CosineHead) and 'datasets' not in head:
        known = accepted_arguments(TextEmbeddingHead)
        for key in [key for key in head if key not in known and key != '_scope_']:
            del head[key]
        head['type'] = 'TextEmbeddingHead'
    return model


@contextlib.contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Let modules be built whose parameters have no values. Other tensors have: towers compute with them in Python."""
    register = nn.Module.register_parameter

    def register_on_meta(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
        register(module, name, param if param is None else nn.Parameter(param.to('meta'), param.requires_grad))

    with patch.object(nn.Module, 'register_parameter', register_on_meta):
        yield


@contextlib.contextmanager
def _autocast_ignores_meta() -> Iterator[None]:
    """Autocast knows no meta device, and is off there: let ``with torch.autocast('meta', ...)`` pass."""
    autocast = torch.autocast

    def tolerant(device_type: str, *args: Any, **kwargs: Any) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext() if device_type == 'meta' else autocast(device_type, *args, **kwargs)

    with patch.object(torch, 'autocast', tolerant):
        yield


@contextlib.contextmanager
def _paper_macs(model: nn.Module) -> Iterator[dict[nn.Module, int]]:
    """Count the multiply-adds of each linear layer and convolution that is called while the model runs."""
    macs: dict[nn.Module, int] = {}

    def count(module: nn.Module, args: Any, output: Tensor) -> None:
        macs[module] = macs.get(module, 0) + output.numel() * module.weight[0].numel()

    handles = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, _LAYERS)]
    try:
        yield macs
    finally:
        for handle in handles:
            handle.remove()


def _costs(model: nn.Module, counter: FlopCounterMode, paper_macs: dict[nn.Module, int]) -> dict[str, Cost]:
    """The cost of each part; what runs outside of neck and head belongs to the backbone."""
    flops = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    root = type(model).__name__
    parts = {name: getattr(model, name) for name in PARTS if getattr(model, name, None) is not None}
    macs = {name: flops.get(f'{root}.{name}', 0) // 2 for name in parts}
    macs['backbone'] = flops['Global'] // 2 - sum(macs[name] for name in parts if name != 'backbone')
    return {name: _cost(part, macs[name], paper_macs) for name, part in parts.items()}


def _cost(part: nn.Module, macs: int, paper_macs: dict[nn.Module, int]) -> Cost:
    """The cost of one part, whose true multiply-adds are known."""
    classifiers = _classifiers(part)
    counted = [module for module in part.modules() if module in paper_macs]
    return Cost(
        params=_numel(part.parameters()) + _numel(c for c in classifiers if not isinstance(c, nn.Parameter)),
        macs=macs,
        paper_params=_numel(p for module in counted for p in module.parameters()) + _numel(classifiers),
        paper_macs=sum(paper_macs[module] for module in counted) + _numel(classifiers),
    )


def _frame(backbone: Cost, shape: tuple[int, ...], model: Mapping[str, Any]) -> Cost | None:
    """The share of one frame in the cost of a backbone that works frame by frame."""
    if model['type'] != 'Recognizer2D' and model['backbone']['type'] != 'CLIPBackbone':
        return None
    frames = shape[0] if model['type'] == 'Recognizer2D' else shape[1]
    return replace(backbone, macs=backbone.macs // frames, paper_macs=backbone.paper_macs // frames)


def _numel(tensors: Iterable[Tensor]) -> int:
    """How many numbers they hold together."""
    return sum(tensor.numel() for tensor in tensors)


def _classifiers(part: nn.Module) -> list[Tensor]:
    """The class embeddings (K, D) of text heads: parameters where they are trained, buffers where they are frozen."""
    return [module.weight for module in part.modules() if isinstance(module, ClassRows)]
