"""What a person sees of a run: a few lines before it, one an epoch, a summary; the log file keeps everything."""

from textxfer_mm.engine.terminal.showing import showing, telling_what_is_kept

__all__ = ['showing', 'telling_what_is_kept']
