"""Tip-Adapter: a cache of the training features beside the text rows."""

import copy
from itertools import product

import torch.nn.functional as F
from mmengine.config import Config
from torch import nn

from textxfer_mm.apis.folder_training.candidates import Fitted, Samples, fitted_head, head_scores, nll
from textxfer_mm.apis.folder_training.folds import inner_folds
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.layers.key_votes import key_votes
from textxfer_mm.models.heads import TipAdapterHead

#: Of which inner validation takes one pair; without it the last ones.
_ALPHAS, _BETAS, _DEFAULTS = (0.5, 1.0, 2.0, 5.0, 10.0), (1.0, 2.0, 5.5, 10.0, 20.0), (1.0, 5.5)


class TipAdapter:
    """Tip-Adapter, training-free (Zhang et al., 2022, Eq. 5); alpha and beta by inner validation.

    Args:
        text: The head of the class names alone.
        head: The same with a cache, which is empty.
        recipe: The config that it is handed out with: it trains the keys, which is Tip-Adapter-F.
        class_names: K names.
    """

    title = 'Tip-Adapter'
    again = 'tools/train.py trains the keys of the cache from here on, which is Tip-Adapter-F.'

    def __init__(self, text: nn.Module, head: TipAdapterHead, recipe: Config, class_names: tuple[str, ...]) -> None:
        self._text, self._head, self.recipe, self._names = text, head, recipe, class_names

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Fill the cache, and choose alpha and beta."""
        losses = dict.fromkeys(product(_ALPHAS, _BETAS), 0.0)
        folds = inner_folds(samples.labels.numpy(), samples.groups, seed)
        for fold in folds:
            known, unknown = samples.at(fold.train), samples.at(fold.val)
            text = head_scores(self._text, unknown.rows).clamp(min=1e-12).log()
            values = F.one_hot(known.labels, len(self._names))
            for beta in _BETAS:
                votes = key_votes(unknown.means, known.means, values, beta)
                for alpha in _ALPHAS:
                    losses[alpha, beta] += nll((text + alpha * votes).softmax(-1), unknown.labels)
        alpha, beta = min(losses, key=losses.get) if folds else _DEFAULTS
        head, keys = copy.deepcopy(self._head), self._keys(samples)
        head.cache.replace(keys)
        head.alpha, head.beta = alpha, beta
        options = dict(num_keys=keys.num_classes, alpha=alpha, beta=beta)
        options = {f'model.cls_head.{name}': value for name, value in options.items()}
        return fitted_head(head, dict(alpha=alpha, beta=beta), options, {'model.cls_head.cache': keys})

    def _keys(self, samples: Samples) -> ClassifierBundle:
        """The features of the videos, each with the name of its class."""
        names = [self._names[label] for label in samples.labels.tolist()]
        return ClassifierBundle.from_rows(samples.means, class_names=names, encoder_id='tip-adapter keys')
