"""What is exported: a model as one function of frames and class rows, and a text tower as one of token ids."""

import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn
from torch.nn import functional

from textxfer_mm.engine.classes import rows_of
from textxfer_mm.engine.frameworks import average_of, has_several_labels, head_module, takes_images
from textxfer_mm.errors import UserError
from textxfer_mm.text.text_tower import TextTower

from mmaction.models import ActionDataPreprocessor  # isort: skip  (after the registry: it repairs mmaction)

_AVERAGES = ('feature', 'prob', 'score')


class ExportedGraph(nn.Module):
    """A model from the pixels that its pipeline gives to its logits, with its class rows as an input.

    Args:
        model: A recognizer, or an image classifier.

    Attributes:
        average_clips: How views are averaged.
        activation: What makes scores of the logits: 'softmax', 'sigmoid' or 'none'.
        any_views: Whether the number of views is free.

    Raises:
        UserError: It has no class rows to be given, keeps its views apart, or prepares pixels in an unknown way.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        head = head_module(model)
        if head is None or not hasattr(head, 'cosine') or not hasattr(head, 'embed_views') or rows_of(model) is None:
            name = type(model if head is None else head).__name__
            raise UserError(
                f'{name} has no class rows that could be given to it: models of '
                'TextEmbeddingHead and its kin are exported, whose classifier is the embeddings of class names.'
            )
        self.images = takes_images(model)
        self.average_clips = 'feature' if self.images else average_of(head)
        if self.average_clips not in _AVERAGES:
            raise UserError(
                f'average_clips={self.average_clips!r} keeps the views of a video apart. Set one of '
                f'{", ".join(map(repr, _AVERAGES))} in the head of the config.'
            )
        self.several_labels = has_several_labels(head)
        self.model, self.head = model, head
        self.any_views = self.images or type(model).__name__ == 'Recognizer3D'
        self._read_preprocessor(model.data_preprocessor)

    @property
    def activation(self) -> str:
        """What makes scores of the logits."""
        if self.average_clips == 'score':
            return 'none'
        return 'sigmoid' if self.several_labels else 'softmax'

    def forward(self, frames: Tensor, class_rows: Tensor) -> Tensor:
        """Frames (N, V, 3, T, H, W), or (N, V, 3, H, W), RGB of type uint8, and class rows (K, D) -> logits (N, K)."""
        x = frames.flip(2) if self._flips else frames
        x = (x.float() - self.mean) / self.std
        if self.images:
            views = self.head.embed_views(self.model.extract_feat(x.flatten(0, 1)), frames.shape[0])  # (N, V, D)
        else:
            feats, kept = self.model.extract_feat(x, test_mode=True)
            views = self.head.embed_views(feats, frames.shape[0], **kept)
        if self.average_clips == 'feature':
            views = views.mean(1, keepdim=True)
        logits = self.head.cosine(views.flatten(0, 1), class_rows, training=False)
        return self._averaged(logits.unflatten(0, views.shape[:2]))

    def _averaged(self, logits: Tensor) -> Tensor:
        """Logits (N, V, K) -> (N, K), of which the activation makes the scores that the model predicts."""
        if self.average_clips != 'prob':
            return logits.mean(1)
        if self.several_labels:  # the logit of the mean of sigmoids
            return _log_sigmoid(logits).logsumexp(1) - _log_sigmoid(-logits).logsumexp(1)
        return logits.log_softmax(-1).logsumexp(1) - torch.zeros_like(logits).logsumexp(1)

    def _read_preprocessor(self, preprocessor: nn.Module) -> None:
        """Take over how a model prepares its pixels.

        Raises:
            UserError: It is not known how it does.
        """
        from mmpretrain.models import ClsDataPreprocessor

        if not isinstance(preprocessor, ActionDataPreprocessor | ClsDataPreprocessor | ImgDataPreprocessor):
            raise UserError(f'{type(preprocessor).__name__} prepares pixels in a way that cannot be exported.')
        swaps = getattr(preprocessor, 'to_rgb', None) or getattr(preprocessor, '_channel_conversion', False)
        self._flips = bool(swaps) != self.images  # images are read as BGR, and frames are given as RGB
        mean, std = torch.zeros(3), torch.ones(3)
        if preprocessor._enable_normalize:
            mean, std = (getattr(preprocessor, name).flatten().float().expand(3) for name in ('mean', 'std'))
        is_video = getattr(preprocessor, 'format_shape', 'NCHW') == 'NCTHW'
        shape = (-1, 1, 1, 1) if is_video else (-1, 1, 1)
        self.register_buffer('mean', mean.clone().view(shape))
        self.register_buffer('std', std.clone().view(shape))


def _log_sigmoid(x: Tensor) -> Tensor:
    """``logsigmoid``, which ONNX would take the logarithm of a rounded sigmoid for: 0.006 off at -12."""
    return -(functional.relu(-x) + x.abs().neg().exp().log1p())


class TextGraph(nn.Module):
    """A text tower from token ids to embeddings.

    Args:
        tower: The tower.
    """

    def __init__(self, tower: TextTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, token_ids: Tensor) -> Tensor:
        """Token ids (n, L) -> embeddings (n, D), not normalised."""
        return self.tower(token_ids).float()
