"""What is trained by gradient on the features: the cosine classifier, and the temporal module before it."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from textxfer_mm.apis.folder_training.candidates import Fitted, Samples, fitted_head, head_scores, nll
from textxfer_mm.apis.folder_training.folds import inner_folds
from textxfer_mm.layers.projections import ConSE

#: Numbers of training steps, of which the cosine classifier takes one; 0 leaves it as it began.
_STEPS = (0, 10, 20, 40, 80, 160)
_LEARNING_RATE = 1e-3
#: Numbers of epochs, of which the temporal module takes one; 0 leaves it as it began.
_EPOCHS = (0, 3, 6, 10, 20)
#: Videos a step of the temporal module, and its rate.
_BATCH, _TEMPORAL_RATE = 16, 3e-4


class CosineFromText:
    """The text rows, trained on together with the scale and what the projection has to train; steps by validation."""

    title = 'cosine classifier from the text rows'
    again = 'tools/train.py trains rows, scale and projection from the text rows on, behind the frozen encoder.'

    def __init__(self, head: nn.Module, recipe: Config) -> None:
        self._head, self.recipe = head, recipe

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Train it."""
        folds = inner_folds(samples.labels.numpy(), samples.groups, seed)
        steps = 40
        if folds:
            head, known, unknown = copy.deepcopy(self._head), samples.at(folds[0].train), samples.at(folds[0].val)
            losses = {n: nll(head_scores(head, unknown.rows), unknown.labels) for n in self._trained(head, known)}
            steps = min(losses, key=losses.get)
        head = copy.deepcopy(self._head)
        for done in self._trained(head, samples):
            if done == steps:
                break
        return fitted_head(head, dict(steps=steps))

    @staticmethod
    def _trained(head: nn.Module, samples: Samples) -> Any:
        """Yield each number of :data:`_STEPS` when the head has been trained for so many."""
        head.train()
        embed = _embedder(head, samples)
        weights = [weight for weight in head.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=_LEARNING_RATE, weight_decay=0.0)
        for step in range(max(_STEPS) + 1):
            if step in _STEPS:
                yield step
                head.train()
            loss = F.cross_entropy(head.logits(embed(), training=True), samples.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _embedder(head: nn.Module, samples: Samples) -> Callable[[], Tensor]:
    """What embeds the videos (n, D) by the weights as they are; what does not change is computed once."""
    if not isinstance(head.projection, ConSE) or head.projection.residual is None or head.dropout.p:
        return lambda: head.embed_videos(samples.rows.flatten(0, 1), len(samples.labels))
    with torch.no_grad():
        combined = head.projection.combine(samples.rows).mean(1)
    return lambda: combined + head.projection.residual(samples.means)


class TemporalModule:
    """A temporal transformer on the frame features, before the head that starts at the text rows; epochs by validation.

    The transformer starts at the average over frames (its last map is zero) or, in a checkpoint that has one, at that.

    Args:
        neck: The transformer.
        head: The head, as :class:`CosineFromText` starts with it.
        recipe: The config that it is handed out with.
    """

    title = 'temporal module on frame features'
    again = 'tools/train.py trains module and head from their beginning on, behind the frozen encoder.'
    is_costly = True

    def __init__(self, neck: nn.Module, head: nn.Module, recipe: Config) -> None:
        self._neck, self._head, self.recipe = neck, head, recipe

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Train both."""
        folds = inner_folds(samples.labels.numpy(), samples.groups, seed)
        epochs = _EPOCHS[len(_EPOCHS) // 2]
        if folds:
            known, unknown = samples.at(folds[0].train), samples.at(folds[0].val)
            losses = {}
            for epochs, scores, _ in self._trained(known, seed):
                losses[epochs] = nll(scores(unknown), unknown.labels)
                if all(loss > min(losses.values()) for loss in list(losses.values())[-2:]):
                    break  # it has been getting worse for two of them
            epochs = min(losses, key=losses.get)
        for done, scores, parts in self._trained(samples, seed):  # noqa: B007
            if done == epochs:
                break
        return Fitted(scores, dict(epochs=epochs), parts)

    def _trained(self, samples: Samples, seed: int) -> Iterator[tuple[int, Any, dict[str, nn.Module]]]:
        """Yield each number of :data:`_EPOCHS`, the scores by then, and the parts that give them."""
        neck, head = copy.deepcopy(self._neck), copy.deepcopy(self._head)
        weights = [weight for part in (neck, head) for weight in part.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=_TEMPORAL_RATE, weight_decay=0.0)
        draws = torch.Generator().manual_seed(seed)
        for epoch in range(max(_EPOCHS) + 1):
            if epoch in _EPOCHS:
                yield epoch, lambda given: _frame_scores(neck, head, given.frames), dict(neck=neck, cls_head=head)
            neck.train(), head.train()
            for batch in torch.randperm(len(samples.labels), generator=draws).split(_BATCH):
                rows = neck(samples.frames[batch].flatten(0, 1)[..., None, None])[0]
                logits = head.logits(head.embed_videos(rows, len(batch)), training=True)
                loss = F.cross_entropy(logits, samples.labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


@torch.no_grad()
def _frame_scores(neck: nn.Module, head: nn.Module, frames: Tensor) -> Tensor:
    """Probabilities (n, K) of frames (n, V, D, T), by a neck and a head."""
    neck.eval()
    parts = []
    for some in frames.split(256):
        maps = neck(some.flatten(0, 1)[..., None, None])[0]  # (n * V, D, T, 1, 1)
        parts.append(head_scores(head, maps.flatten(2).mean(2).unflatten(0, (len(some), -1))))
    return torch.cat(parts)
