"""Registered projections of the heads, and the one function that builds them."""

from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from textxfer_mm.errors import UserError
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.layers.projections import ConSE, LinearProjection, MLPProjection
from textxfer_mm.part_configs import build_part
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.registry import MODELS
from textxfer_mm.vision.packaged import packaged_imagenet_classifier

MODELS.register_module(module=LinearProjection)
MODELS.register_module(module=MLPProjection)

_SHORT_NAMES = {'linear': 'LinearProjection', 'mlp': 'MLPProjection'}


@MODELS.register_module()
class ConSEProjection(LazyWeights, ConSE):
    """:class:`~textxfer_mm.layers.projections.ConSE` whose classifier and concepts are fetched from outside.

    Args:
        in_channels: The width of the features.
        out_channels: The width D of the class embeddings.
        concepts: The classifier source of the embeddings of the concepts' names, (num_concepts, D).
        image_classifier: ``'packaged'`` (ImageNet layer of the packaged EfficientNet-lite0, in_channels 1280) or a
            safetensors file with ``weight`` (num_concepts, in_channels) and ``bias`` (num_concepts,).
        num_concepts: How many concepts the classifier knows.
        temperature: Divides the classifier's logits.
        top_k: How many concepts are combined; ``None`` combines all.
        residual: Adds a trainable linear map that starts at zero.
    """

    _fetched_prefixes = ('fc.', 'concepts')

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        concepts: dict[str, Any],
        image_classifier: str = 'packaged',
        num_concepts: int = 1000,
        temperature: float = 1.0,
        top_k: int | None = 10,
        residual: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            num_concepts=num_concepts,
            temperature=temperature,
            top_k=top_k,
            residual=residual,
        )
        self.source = build_classifier_source(concepts)
        self.image_classifier = image_classifier

    def fetch_weights(self) -> None:
        """Read the image classifier and embed the concepts' names.

        Raises:
            UserError: Their shapes do not fit this projection.
        """
        weight, bias = self._read_image_classifier()
        concepts = self.source.build().weight
        want = tuple(self.fc.weight.shape)
        if tuple(weight.shape) != want or tuple(concepts.shape) != tuple(self.concepts.shape):
            raise UserError(
                f'ConSEProjection expects an image classifier of shape {want} and concepts of shape '
                f'{tuple(self.concepts.shape)}, got {tuple(weight.shape)} from {self.image_classifier!r} and '
                f'{tuple(concepts.shape)} from {self.source.encoder_id}. Check in_channels, num_concepts and encoder.'
            )
        self.load(weight, bias, concepts)

    def _read_image_classifier(self) -> tuple[Tensor, Tensor]:
        if self.image_classifier == 'packaged':
            return packaged_imagenet_classifier()
        path = Path(self.image_classifier)
        if not path.is_file():
            raise UserError(f'ConSEProjection: image_classifier {path} is neither "packaged" nor an existing file.')
        try:
            tensors = load_file(path)
            return tensors['weight'], tensors['bias']
        except (SafetensorError, KeyError) as error:
            raise UserError(f'{path} is no safetensors file with the tensors `weight` and `bias` ({error}).') from error

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_channels) to (..., D)."""
        self.ensure_weights()
        return super().forward(x)


#: What they are, for whoever does not know their names.
_WORDS = {
    LinearProjection: 'a linear map',
    MLPProjection: 'a small network',
    ConSEProjection: 'the mean embedding of the objects of ImageNet that are seen',
}


def build_projection(cfg: str | dict[str, Any] | None, in_channels: int, out_channels: int) -> nn.Module:
    """Build the map from the features' width to the classifier's; what was chosen is logged.

    Args:
        cfg: ``None`` (the widths must be equal), ``'linear'``, ``'mlp'`` or a config dict.
        in_channels: The width of the features.
        out_channels: The width D of the class embeddings.

    Raises:
        UserError: The widths differ without a projection, or a name or an argument is unknown.
    """
    if cfg is None:
        if in_channels != out_channels:
            raise UserError(
                f'The features are {in_channels} wide and the class embeddings {out_channels}: give the head a '
                "`projection` ('linear', 'mlp' or dict(type='ConSEProjection', ...)), or an encoder pair of one width."
            )
        return nn.Identity()
    args = dict(type=cfg) if isinstance(cfg, str) else dict(cfg)
    args['type'] = _SHORT_NAMES.get(args.get('type'), args.get('type'))
    for key, width in (('in_channels', in_channels), ('out_channels', out_channels)):
        if args.setdefault(key, width) != width:
            raise UserError(f'The projection has {key}={args[key]}, but the head needs {width}: leave it out.')
    projection = build_part(args, 'projection', (*_SHORT_NAMES, 'LinearProjection', 'MLPProjection', 'ConSEProjection'))
    words = _WORDS.get(type(projection), type(projection).__name__)
    weights = sum(parameter.numel() for parameter in projection.parameters() if parameter.requires_grad)
    print_log(
        f'From features {in_channels} wide to class embeddings {out_channels} wide: {words}, '
        f'{f"{weights} weights to train" if weights else "nothing to train"}.',
        logger='current',
    )
    return projection
