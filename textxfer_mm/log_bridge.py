"""What the pure rooms log (:mod:`logging`, below ``'textxfer_mm'``) also reaches the log of MMEngine's run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

#: ``extra`` of a record that a person should see although it is no warning; :mod:`textxfer_mm.engine.terminal` does so.
TO_TERMINAL = dict(to_terminal=True)


class _Bridge(logging.Handler):
    """Hands records to MMEngine's current logger, which writes them to the console and to the log file of the run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record."""
        from mmengine.logging import MMLogger

        try:
            MMLogger.get_current_instance().log(record.levelno, record.getMessage(), extra=TO_TERMINAL)
        except Exception:  # as every handler does: logging must not end the run
            self.handleError(record)


def forward_to_mmengine() -> None:
    """Forward from INFO upwards; the second call does nothing.

    Records still go on to the handlers of the root logger, which an application (or pytest) may have set up. Without
    any, nothing is printed twice: :mod:`logging` falls back to the console only where no handler was met.
    """
    logger = logging.getLogger('textxfer_mm')
    if any(isinstance(handler, _Bridge) for handler in logger.handlers):
        return
    logger.addHandler(_Bridge(logging.INFO))
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


@contextmanager
def warnings_only() -> Iterator[None]:
    """Keep what is less than a warning out of MMEngine's current logger, for whoever tells what happens otherwise."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
