"""A timeline as JSON, CSV and WebVTT."""

import csv
import io
from typing import Any

import numpy as np

from textxfer_mm.apis.timelines.run import Timeline
from textxfer_mm.errors import shown


def as_dict(timeline: Timeline) -> dict[str, Any]:
    """All of a timeline for JSON: seconds rounded to milliseconds, scores to six places; no label is None."""
    segments = [
        dict(label=s.label, start=round(s.start, 3), end=round(s.end, 3), score=round(s.score, 6))
        for s in timeline.segments
    ]
    windows = dict(
        start=np.round(timeline.starts, 3).tolist(),
        end=np.round(timeline.ends, 3).tolist(),
        scores=np.round(timeline.scores.astype(float), 6).tolist(),
    )
    return dict(
        video=timeline.video,
        labels=list(timeline.class_names),
        window=round(timeline.window, 6),
        stride=round(timeline.stride, 6),
        threshold=timeline.threshold,
        segments=segments,
        windows=windows,
        notes=list(timeline.notes),
    )


def as_csv(timeline: Timeline) -> str:
    """The segments as CSV: start, end, label, score."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['start', 'end', 'label', 'score'])
    writer.writerows([f'{s.start:.3f}', f'{s.end:.3f}', s.shown_label, f'{s.score:.6f}'] for s in timeline.segments)
    return file.getvalue()


def as_webvtt(timeline: Timeline) -> str:
    """The segments that have a label as subtitles (https://www.w3.org/TR/webvtt1/), with the score in per cent."""
    cues = [
        f'{as_clock(s.start)} --> {as_clock(s.end)}\n{_cue_text(s.label)} ({100 * s.score:.0f} %)\n'
        for s in timeline.segments
        if s.label is not None
    ]
    return '\n'.join(['WEBVTT\n', *cues])


def as_clock(seconds: float) -> str:
    """Seconds as WebVTT writes them, ``01:02:03.456``."""
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    return f'{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}'


def _cue_text(label: str) -> str:
    """A label in a cue: no markup, one line."""
    return shown(label, None).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
