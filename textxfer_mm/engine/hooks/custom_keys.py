"""Rates of weights that are not there."""

from collections.abc import Iterator

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from textxfer_mm.errors import closest, first_few, shown
from textxfer_mm.registry import HOOKS

#: Keys that recipes give for parts that some of their models lack: our own, and those of MMAction2 and MMPretrain.
_OF_RECIPES = (
    *('backbone.visual', 'cls_head.class_rows.tower', 'logit_scale', 'relative_position_bias_table', 'norm', 'bias'),
    *('absolute_pos_embed', 'absolute_position_bias', 'pos_embed', 'cls_token', 'class_embedding'),
)


@HOOKS.register_module()
class CustomKeysHook(Hook):
    """Warns of ``custom_keys`` of ``paramwise_cfg`` that are in the name of no weight: MMEngine passes over them.

    Keys that recipes carry for parts a model may lack, such as ``logit_scale``, are let pass. The tools add this hook
    to every run.
    """

    def before_train(self, runner: Runner) -> None:
        """Look for each key among the weights."""
        wrapper = runner.cfg.get('optim_wrapper') or {}
        keys = ((wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}).keys()
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        names = [name for name, _ in model.named_parameters()]
        for key in keys:
            if not any(key in name for name in names) and key.strip('.') not in _OF_RECIPES:
                runner.logger.warning(
                    f'paramwise_cfg.custom_keys of the config: {shown(key)!r} is in the name of no weight and has no '
                    f'effect.{_meant(key, names)}'
                )


def _meant(key: str, names: list[str]) -> str:
    """What may have been meant, or what there is."""
    prefixes = sorted({prefix for name in names for prefix in _prefixes(name)})
    meant = closest(key, prefixes, 1)
    if meant:
        return f' Did you mean: {shown(meant[0])}?'
    return f' The weights are those of {first_few(sorted({name.split(".")[0] for name in names}), 6)}.'


def _prefixes(name: str) -> Iterator[str]:
    """The modules that a weight lies in, itself last, and the weight's own name."""
    words = name.split('.')
    yield words[-1]
    yield from ('.'.join(words[: end + 1]) for end in range(len(words)))
