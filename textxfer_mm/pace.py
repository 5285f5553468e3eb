"""How fast work goes and how long it takes, in words."""


def rate_words(rate: float) -> str:
    """E.g. ``'12.3 a second'``, or ``'4.2 a minute'`` where that is slow."""
    return f'{rate:.1f} a second' if rate >= 1 or rate == 0 else f'{60 * rate:.1f} a minute'


def duration_words(seconds: float) -> str:
    """E.g. ``'1 h 05 min'``, ``'12 min'`` or ``'40 s'``."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 90 else f'{minutes // 60} h {minutes % 60:02} min'
