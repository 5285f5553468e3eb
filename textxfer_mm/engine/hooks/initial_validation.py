"""How good a model is before it is trained."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from textxfer_mm.engine.random_state import keeping_random_state
from textxfer_mm.registry import HOOKS


@HOOKS.register_module()
class InitialValidationHook(Hook):
    """Validates once before the first training step, so that a log tells what training started from.

    The scores are logged as those of any validation, at step 0. A run that resumes was validated when it began and is
    not again; one without a validation (``--no-validate``) does nothing. What is trained stays the same: random
    generators go on as if nothing had been drawn, and data workers that persist are made anew. Add
    ``dict(type='InitialValidationHook')`` to ``custom_hooks``.
    """

    priority = 'LOWEST'  # after CheckpointHook, which finds its folder before training and keeps the best after

    def before_train(self, runner: Runner) -> None:
        """Validate, unless the run goes on."""
        if runner.val_loop is None or runner.iter or runner._resume:
            return
        with keeping_random_state():
            runner.val_loop.run()
        # making the workers of a loader draws a seed; those that persist would leave that draw out when they come again
        runner.val_loop.dataloader._iterator = None
