"""An answer as a page shows it (HTML) and as a program takes it (JSON); pictures are in it, so that no file is left."""

import base64
import io
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from textxfer_mm.apis import Timeline, VideoPrediction
from textxfer_mm.apis.clocks import clock
from textxfer_mm.apis.timelines import as_dict
from textxfer_mm.errors import shown
from textxfer_mm.visualization.figures import png_of, shortened
from textxfer_mm.visualization.timelines import timeline_figure
from textxfer_mm.web.served_models import Answer

#: The most labels that a page shows at once and on demand, and the most frames and segments; the data hold all.
_LABELS, _MORE_LABELS, _FRAMES, _SEGMENTS = 10, 500, 32, 100
#: The most letters of a label that are shown at once.
_LETTERS = 80
_QUALITY = 90
#: By how much the sum of shares differs from one.
_ROUNDING = 1e-3
#: By how much the share of a single label does.
_EXACT = 1e-6
_SHARES = 'All labels together make 100 %, also where none of them fits: give labels for what else there may be.'
_ALONE = 'With one label the score says nothing: give another to compare with.'
_READING = 'Dark: the label fits there, as far as the bar at the side says. Orange: the parts that are listed below.'
#: The width of a timeline in inches: that of the column in which it is shown, so that its letters can be read. In
#: windows of fewer pixels than the last number it is narrow.
_WIDTH, _NARROW_WIDTH, _NARROW_WINDOW = 7, 4, 600


def as_data(answer: Answer) -> dict[str, Any]:
    """All of an answer for JSON: scores by label, best first; pictures as ``data:`` addresses."""
    ranked = answer.prediction.top(len(answer.prediction.scores))
    found = answer.timeline
    return dict(
        file=answer.name,
        model=answer.model,
        scores={label: round(score, 6) for label, score in ranked},
        frames=[_jpeg(frame) for frame in answer.frames],
        timeline=None if found is None else dict(as_dict(found), video=answer.name, picture=_picture(found)),
        notes=[*answer.notes, *([_ALONE] if _is_alone(answer) else [])],
    )


def as_html(answer: Answer, *, timeline_follows: bool = False) -> str:
    """The part of the page that shows an answer, and whether there is more to come."""
    is_shared = abs(sum(answer.prediction.scores) - 1) < _ROUNDING
    parts = [
        f'<p class="answer-title">{_text(answer.name)}<span> by the model: {_text(answer.model)}</span></p>',
        _scores(answer.prediction),
        *([_of_shares(answer)] if is_shared else []),
        *(f'<p class="note">{_text(note, None)}</p>' for note in answer.notes),
        *_frames(answer.frames),
    ]
    if answer.timeline is not None:
        parts.append(_timeline(answer.timeline))
    if timeline_follows:
        parts.append('<h3 class="follows">What happens when</h3>')  # its room is for the bar of progress
    return f'<div class="answer">{"".join(parts)}</div>'


def _is_alone(answer: Answer) -> bool:
    """Whether one label has all there is to share; a model of several labels at once judges each by itself."""
    return len(answer.prediction.scores) == 1 and abs(answer.prediction.scores[0] - 1) < _EXACT


def _of_shares(answer: Answer) -> str:
    if _is_alone(answer):
        return f'<p class="warning" role="note">{_ALONE}</p>'
    return f'<p class="note">{_SHARES}</p>'


def problem_as_html(message: str) -> str:
    """The part of the page that says what went wrong."""
    return f'<div class="answer problem" role="alert">{_text(message, None)}</div>'


def _text(text: object, limit: int | None = 200) -> str:
    """A name or a sentence in HTML: no markup, no control characters."""
    return escape(shown(text, limit) if limit else shown(text, None))


def _label(label: str) -> str:
    """A label in HTML; of a long one the rest appears under the pointer."""
    short = shortened(label, _LETTERS)
    return (
        escape(short) if short == shown(label, None) else f'<span title="{_text(label, None)}">{escape(short)}</span>'
    )


def _scores(prediction: VideoPrediction) -> str:
    """The best labels, and those behind them on demand."""
    ranked = prediction.top(_LABELS + _MORE_LABELS)
    first, behind = ranked[:_LABELS], ranked[_LABELS:]
    if not behind:
        return _table_of_scores(first)
    count = len(prediction.scores) - _LABELS
    said = '1 further label scores lower' if count == 1 else f'{count:,} further labels score lower'
    if count > len(behind):
        said += f', of which these are the first {len(behind)}'
    return (
        f'{_table_of_scores(first)}'
        f'<details class="more"><summary class="note">{said}</summary>{_table_of_scores(behind)}</details>'
    )


def _table_of_scores(labels: Iterable[tuple[str, float]]) -> str:
    rows = [
        f'<tr><th scope="row">{_label(label)}</th>'
        f'<td class="bar"><span style="width:{100 * min(max(score, 0), 1):.1f}%"></span></td>'
        f'<td class="number">{100 * score:.1f} %</td></tr>'
        for label, score in labels
    ]
    return f'<table class="scores"><tbody>{"".join(rows)}</tbody></table>'


def _frames(frames: np.ndarray) -> list[str]:
    if not len(frames):
        return []
    pictures = [
        f'<img src="{_jpeg(frame)}" alt="frame {number}" width="{frame.shape[1]}" height="{frame.shape[0]}">'
        for number, frame in enumerate(frames[:_FRAMES], 1)
    ]
    what = 'The frame that the model used' if len(frames) == 1 else f'The {len(frames)} frames that the model used'
    more = f', the first {_FRAMES} of them' if len(frames) > _FRAMES else ''
    return [f'<h3>{what}{more}</h3><div class="frames">{"".join(pictures)}</div>']


def _timeline(found: Timeline) -> str:
    rows = [
        f'<tr><td>{clock(segment.start)} &ndash; {clock(segment.end)}</td><td>{_label(segment.shown_label)}</td>'
        f'<td class="number">{100 * segment.score:.1f} %</td></tr>'
        for segment in found.segments[:_SEGMENTS]
    ]
    hidden = len(found.segments) - len(rows)
    more = f'<p class="note">{hidden:,} further parts follow.</p>' if hidden > 0 else ''
    head = '<thead><tr><th>time</th><th>label</th><th class="number">score</th></tr></thead>'
    notes = ' '.join(_text(note, None) for note in found.notes)
    details = f'<details class="note"><summary>Details</summary>{notes}</details>' if notes else ''
    return (
        f'<h3>What happens when</h3><div class="timeline"><picture>'
        f'<source media="(max-width: {_NARROW_WINDOW}px)" srcset="{_picture(found, _NARROW_WIDTH)}">'
        f'<img src="{_picture(found)}" alt="scores over time"></picture></div>'
        f'<p class="note">{_READING}</p>'
        f'<table class="segments">{head}<tbody>{"".join(rows)}</tbody></table>{more}{details}'
    )


def _picture(found: Timeline, width: float = _WIDTH) -> str:
    segments = [(segment.label, segment.start, segment.end) for segment in found.segments]
    lines = dict(class_names=found.class_names, edges=found.edges, scores=found.scores, segments=segments)
    return _address('png', png_of(timeline_figure(**lines, width=width)))


def _jpeg(frame: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, 'JPEG', quality=_QUALITY)
    return _address('jpeg', file.getvalue())


def _address(kind: str, content: bytes) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'
