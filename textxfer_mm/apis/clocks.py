"""Times in a video as people read them. Light: no torch here."""


def clock(seconds: float) -> str:
    """Seconds as ``1:02:03.4``, hours only where there are some."""
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    short = f'{minutes % 60}:{rest / 10:04.1f}'
    return short if minutes < 60 else f'{minutes // 60}:{minutes % 60:02}:{rest / 10:04.1f}'
