"""The quick start: the whole way from rendered videos to a report, in one process."""

from textxfer_mm.quickstart.run import CONFIG, STEPS, QuickstartSettings, run_quickstart

__all__ = ['CONFIG', 'STEPS', 'QuickstartSettings', 'run_quickstart']
