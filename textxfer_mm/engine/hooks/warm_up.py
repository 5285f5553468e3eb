"""A warm-up that ends before it begins."""

from itertools import chain

from mmengine.hooks import Hook
from mmengine.optim.scheduler import LinearParamScheduler
from mmengine.runner import Runner

from textxfer_mm.registry import HOOKS


@HOOKS.register_module()
class WarmUpHook(Hook):
    """Warns of a linear warm-up of one iteration, which never leaves the rate it starts from.

    An epoch of warm-up is one iteration where the videos are fewer than two batches; MMEngine then multiplies the rate
    by ``start_factor`` and is done. The tools add this hook to every run.
    """

    def before_train(self, runner: Runner) -> None:
        """Look at the schedules."""
        given = runner.param_schedulers or []
        schedulers = chain.from_iterable(given.values()) if isinstance(given, dict) else given
        for scheduler in schedulers:
            if isinstance(scheduler, LinearParamScheduler) and scheduler.total_iters < 1:
                stays = scheduler.start_factor / scheduler.end_factor
                if stays != 1:
                    runner.logger.warning(
                        f'The warm-up (LinearLR) is one iteration long, so that the learning rate stays at {stays:g} '
                        'of what it should become: give more videos, a smaller train_dataloader.batch_size, or a '
                        'later `end`.'
                    )
