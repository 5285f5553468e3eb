"""The runner of a config, and how it takes a checkpoint."""

import functools
from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from textxfer_mm.engine.checkpoint import refusing_misfits
from textxfer_mm.engine.hooks import CustomKeysHook, FiniteLossHook, WarmUpHook
from textxfer_mm.errors import UserError, first_line
from textxfer_mm.files import require_writable_folder


def build_runner(cfg: Config, listen: Callable[[MMLogger], MMLogger] | None = None) -> Runner:
    """Build the runner that the config asks for (``runner_type``), by default MMEngine's ``Runner``.

    Args:
        cfg: The config.
        listen: Is handed the logger of the run before anything is logged, and may give its handlers other ones.

    Raises:
        UserError: If the work dir of the config cannot be written to.
    """
    require_writable_folder(cfg.work_dir, 'work_dir')
    kind = RUNNERS.get(cfg.get('runner_type', 'Runner'))
    if kind is None or listen is None:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    else:
        runner = _listened_to(kind, listen).from_cfg(cfg)
    stop_when_diverged(runner)
    runner.register_hook(WarmUpHook())
    runner.register_hook(CustomKeysHook())
    return runner


def _listened_to(kind: type[Runner], listen: Callable[[MMLogger], MMLogger]) -> type[Runner]:
    """A runner that hands its logger over as soon as it is made: MMEngine logs environment and config at once."""

    def build_logger(self: Runner, *args: Any, **kwargs: Any) -> MMLogger:
        return listen(kind.build_logger(self, *args, **kwargs))

    return type(kind.__name__, (kind,), dict(build_logger=build_logger))


def stop_when_diverged(runner: Runner) -> None:
    """Let a run end where its loss or scores are not finite, unless its config has a :class:`FiniteLossHook` itself."""
    if not any(isinstance(hook, FiniteLossHook) for hook in runner.hooks):
        runner.register_hook(FiniteLossHook())


def require_exact_resume(runner: Runner) -> None:
    """Let a runner refuse to resume from a checkpoint that does not fit its model or its optimizer."""
    require_full_checkpoint(runner)
    resume = runner.resume

    @functools.wraps(resume)
    def resume_exactly(filename: str, *args: Any, **kwargs: Any) -> None:
        try:
            resume(filename, *args, **kwargs)
        except ValueError as error:
            if 'parameter group' not in str(error):  # what torch.optim says of a state that is another's
                raise
            raise UserError(
                f'--resume: the state of the optimizer in {filename} does not fit this config ({first_line(error)}). '
                'Use the config it was trained with.'
            ) from error

    runner.resume = resume_exactly


def require_full_checkpoint(runner: Runner) -> None:
    """Let a runner refuse a checkpoint that does not fit its model; MMEngine would leave random weights in the gaps."""
    load_checkpoint = runner.load_checkpoint

    @functools.wraps(load_checkpoint)
    def load_strictly(filename: str, *args: Any, **kwargs: Any) -> Any:
        with refusing_misfits(filename):
            return load_checkpoint(filename, *args, **{**kwargs, 'strict': True})

    runner.load_checkpoint = load_strictly
