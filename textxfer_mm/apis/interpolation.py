"""Models between a pre-trained and a fine-tuned one, which keep zero-shot ability (WiSE-FT: Wortsman et al., 2022)."""

import copy
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from textxfer_mm.apis.batch_norm import batch_norm_statistics, reestimate_batch_norm
from textxfer_mm.apis.encoding import Progress
from textxfer_mm.apis.inference import choose_device
from textxfer_mm.apis.starting_model import prepare_building, starting_state
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.stored_rows import WEIGHT
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of
from textxfer_mm.engine.classes import set_class_names
from textxfer_mm.engine.config_files import load_config
from textxfer_mm.engine.finite import refuse_non_finite
from textxfer_mm.engine.saved_config import parse_saved_config
from textxfer_mm.engine.weight_pair import WeightPair
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS

#: What stands for the model that training started from: the pre-trained weights that the config names.
PRETRAINED = 'pretrained'


class Interpolation:
    """The models between a pre-trained one and what fine-tuning made of it.

    Args:
        pretrained: A checkpoint, or ``'pretrained'``: the model that the training of the config started from, with the
            weights it names (``pretrained`` of its parts, then ``load_from``).
        fine_tuned: A checkpoint.
        config: The config of both; None takes the one inside the fine-tuned checkpoint.

    Raises:
        UserError: A file is no checkpoint, a module does not exist pre-trained, or the two are no one architecture.
    """

    def __init__(self, pretrained: str | Path, fine_tuned: str | Path, *, config: str | Path | None = None) -> None:
        self.fine_tuned, self.pretrained = str(fine_tuned), str(pretrained)
        loaded = load_checkpoint_file(fine_tuned)
        self.meta: dict[str, Any] = dict(loaded.get('meta') or {}) if isinstance(loaded, dict) else {}
        self._config = None if config is None else load_config(config)
        state = _weights(loaded, self.fine_tuned)
        if self.pretrained == PRETRAINED:
            before, name = starting_state(self.cfg, state), 'the pre-trained model of the config'
        else:
            before, name = _weights(load_checkpoint_file(pretrained), self.pretrained), self.pretrained
        self.pair = WeightPair(before, state, (name, self.fine_tuned), self._kind)

    @cached_property
    def cfg(self) -> Config:
        """The config that was given, or the one inside the fine-tuned checkpoint.

        Raises:
            UserError: It holds none, or one that is more than values.
        """
        if self._config is not None:
            return self._config
        text = self.meta.get('cfg')
        if not isinstance(text, str):
            raise UserError(f'{self.fine_tuned} holds no config. Give the one it was trained with: --config FILE.')
        return parse_saved_config(text, self.fine_tuned)

    def build(self, class_names: list[str] | None = None, *, device: str | None = None) -> nn.Module:
        """Build the recognizer, for :meth:`load`.

        Args:
            class_names: Other names than those of the fine-tuned model, embedded by its text encoder.
            device: Where it runs; None takes the GPU where there is one.

        Raises:
            UserError: The config cannot be built, or has no text encoder for other names.
        """
        cfg = copy.deepcopy(self.cfg)
        if class_names is not None:
            set_class_names(cfg, class_names)
        prepare_building(cfg)
        return MODELS.build(cfg.model).to(choose_device(device)).eval()

    def load(self, model: nn.Module, alpha: float) -> None:
        """Load the weights at a share of the way into what :meth:`build` returned.

        Rows that a text tower or learned prompts make are made again.

        Args:
            model: The recognizer.
            alpha: From 0, the pre-trained model, to 1, the fine-tuned one.
        """
        load_fully(model, self.pair.at(alpha), self.fine_tuned)
        if alpha < 1:
            for rows in (module for module in model.modules() if isinstance(module, ClassRows)):
                if list(rows.moved_by()):
                    rows.replace(rows.make())

    def checkpoint(
        self,
        alpha: float,
        *,
        batch_norm: Mapping[str, Any] | None = None,
        device: str | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """The checkpoint at a share of the way: weights, and the config and metadata of the fine-tuned one.

        Args:
            alpha: From 0, the pre-trained model, to 1, the fine-tuned one.
            batch_norm: Config of a dataloader of training videos, with which the statistics of BatchNorm are estimated
                anew; None interpolates them.
            device: Where that runs; None takes the GPU where there is one.
            progress: Called with the number of finished videos and the number of all.

        Raises:
            UserError: alpha is out of range, the model has no BatchNorm, or its rows cannot be made again.
        """
        state = self.pair.at(alpha)
        if batch_norm is not None or (self.pair.moved_rows and alpha < 1):
            model = self.build(device=device)
            self.load(model, alpha)
            if batch_norm is not None:
                reestimate_batch_norm([model], batch_norm, progress=progress)
            wanted = {*batch_norm_statistics(model), *(prefix + WEIGHT for prefix in self.pair.moved_rows)}
            state.update({name: value.cpu() for name, value in model.state_dict().items() if name in wanted})
        record = dict(alpha=alpha, pretrained=self.pretrained, fine_tuned=self.fine_tuned)
        record['batch_norm'] = 'interpolated' if batch_norm is None else 'estimated'
        meta = {**self.meta, 'interpolation': record}
        if self._config is not None and 'cfg' not in meta:
            meta['cfg'] = self._config.pretty_text
        return dict(state_dict=state, meta=meta)

    def _kind(self, path: str) -> str:
        """The type of a module in the config, where it is known."""
        if self._config is None and 'cfg' not in self.meta:
            return ''
        node: Any = self.cfg.get('model')
        for part in path.split('.'):
            node = node.get(part) if isinstance(node, dict) else None
        return str(node.get('type', '')) if isinstance(node, dict) else ''


def interpolate(
    pretrained: str | Path, fine_tuned: str | Path, alpha: float, *, config: str | Path | None = None
) -> dict[str, Any]:
    """The checkpoint between a pre-trained and a fine-tuned model, to be saved with ``torch.save``.

    Args:
        pretrained: See :class:`Interpolation`.
        fine_tuned: See :class:`Interpolation`.
        alpha: From 0, the pre-trained model, to 1, the fine-tuned one.
        config: See :class:`Interpolation`.

    Raises:
        UserError: See :class:`Interpolation`.
    """
    return Interpolation(pretrained, fine_tuned, config=config).checkpoint(alpha)


def _weights(loaded: Any, path: str) -> dict[str, Any]:
    """The finite weights of a checkpoint."""
    state = state_of(loaded, path)
    refuse_non_finite(state, path)
    return state
