"""Modules that training alone needs: a checkpoint without them is whole."""

import logging
from collections.abc import Mapping
from typing import Any

from torch import nn

logger = logging.getLogger(__name__)

#: What heads call it: the parts of a state dict that a published checkpoint leaves out.
ATTRIBUTE = 'training_only'


class TrainingOnly(nn.ModuleDict):
    """Modules by name that testing does not need, such as the projections and the expander of MultiTrain.

    A state dict that has none of them is loaded without complaint, and they stay as they are; one that has some and
    lacks others is refused as any other.
    """

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        own = {prefix + name: value for name, value in self.state_dict().items()}
        if own and not any(key.startswith(prefix) for key in state_dict):
            state_dict.update({name: value.detach().clone() for name, value in own.items()})
            logger.info('The checkpoint holds no %s: testing needs none, training would start them anew.', _list(self))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _list(modules: Mapping[str, nn.Module]) -> str:
    return ' and no '.join(modules)
