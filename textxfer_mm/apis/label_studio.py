"""Predictions as tasks of Label Studio, most uncertain first, so that people look at what teaches most."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from textxfer_mm.apis.predictions import Result, VideoFailure, VideoPrediction
from textxfer_mm.apis.score_records import LINES_SUFFIX, read_array, read_lines
from textxfer_mm.errors import UserError, first_few, nearest, shown
from textxfer_mm.inputs import is_image, require_file

#: What Label Studio serves files of its own machine under; ``d`` is relative to its LOCAL_FILES_DOCUMENT_ROOT.
LOCAL_FILES = '/data/local-files/?d='
#: How the choice is called in labelling configs.
CHOICE = 'action'


def _margin(scores: Sequence[float]) -> float:
    best = sorted(scores, reverse=True)
    return 1 - (best[0] - best[1]) if len(best) > 1 else 1 - best[0]


def _entropy(scores: Sequence[float]) -> float:
    return -sum(score * math.log(score) for score in scores if score > 0)


#: Measures of uncertainty of K scores: the larger, the less sure the model is.
UNCERTAINTIES: dict[str, Callable[[Sequence[float]], float]] = {
    'margin': _margin,
    'entropy': _entropy,
    'confidence': lambda scores: 1 - max(scores),
}


@dataclass(frozen=True)
class LabelStudioTasks:
    """What is imported into Label Studio.

    Attributes:
        tasks: One a file, most uncertain first.
        config: The labelling config that they fit, XML.
        failures: The files that had no scores, which are no tasks.
        images: The images among videos, which are none either: a project shows one kind.
    """

    tasks: list[dict[str, Any]]
    config: str
    failures: list[VideoFailure]
    images: list[str]


def read_scores(path: str | Path) -> Iterator[Result]:
    """The results that ``textxfer predict`` wrote: a ``.jsonl`` or ``.json`` file, or a folder of shards.

    Raises:
        UserError: There is no such file, no shard, or something else in them.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        files = sorted(path.glob(f'scores-*{LINES_SUFFIX}'))
        if not files:
            raise UserError(f'The folder {shown(path)} holds no shard of `textxfer predict --shards`.')
        for file in files:
            yield from (result for result, _ in read_lines(file))
        return
    require_file(path, 'file of scores', '*.json*')
    if path.suffix.lower() == LINES_SUFFIX:
        yield from (result for result, _ in read_lines(path))
    else:
        yield from read_array(path)


def label_studio_tasks(
    results: Iterable[Result],
    *,
    uncertainty: str = 'margin',
    root: str | Path | None = None,
    prefix: str | None = None,
    model_version: str = 'textxfer_mm',
    number: int | None = None,
) -> LabelStudioTasks:
    """Make tasks of results: the file to look at, the best label as a prediction, and how unsure the model was.

    Args:
        results: Of videos or of images, with the same classes; images among videos are left out.
        uncertainty: One of :data:`UNCERTAINTIES`: one minus the lead of the best score over the second, the entropy of
            the scores, or one minus the best score (Settles, Active Learning Literature Survey, 2009, section 3.1).
        root: The folder that Label Studio serves files from (its LOCAL_FILES_DOCUMENT_ROOT); paths are written relative
            to it.
        prefix: What to put before the relative paths instead, such as ``'s3://bucket/'``.
        model_version: What the predictions are listed under.
        number: Only so many, the most uncertain ones.

    Raises:
        UserError: There is nothing to label, results of different classes, a file outside ``root``, or an
            unknown measure.
    """
    if uncertainty not in UNCERTAINTIES:
        raise UserError(f'Unknown uncertainty {uncertainty!r}.{nearest(uncertainty, UNCERTAINTIES)}')
    found = list(results)
    failures = [result for result in found if isinstance(result, VideoFailure)]
    predictions = [result for result in found if isinstance(result, VideoPrediction)]
    names = _names_of(predictions)
    images = [result.video for result in predictions if is_image(result.video)]
    kind = 'image' if len(images) == len(predictions) else 'video'
    if kind == 'image':
        images = []
    else:
        predictions = [result for result in predictions if not is_image(result.video)]
    measure = UNCERTAINTIES[uncertainty]
    predictions.sort(key=lambda result: (-measure(result.scores), result.video))
    tasks = [
        _task(result, kind, _address(result.video, root, prefix), measure(result.scores), model_version)
        for result in predictions[:number]
    ]
    return LabelStudioTasks(tasks, _config(kind, names), failures, images)


def _names_of(predictions: Sequence[VideoPrediction]) -> list[str]:
    """The classes, in the order of the alphabet."""
    if not predictions:
        raise UserError('There are no scores to make tasks of.')
    names = set(predictions[0].class_names)
    other = next((result for result in predictions if set(result.class_names) != names), None)
    if other is not None:
        raise UserError(
            f'{shown(other.video)} has scores of other classes ({first_few(other.class_names)}) than '
            f'{shown(predictions[0].video)} ({first_few(predictions[0].class_names)}): give one run at a time.'
        )
    return sorted(names)


def _address(video: str, root: str | Path | None, prefix: str | None) -> str:
    """Where Label Studio finds a file."""
    path = video
    if root is not None:
        folder = Path(root).expanduser().resolve()
        try:
            path = Path(video).resolve().relative_to(folder).as_posix()
        except ValueError as error:
            raise UserError(f'{shown(video)} is not inside {shown(folder)}, which files are served from.') from error
    return f'{LOCAL_FILES}{quote(path)}' if prefix is None else f'{prefix}{path}'


def _task(result: VideoPrediction, kind: str, address: str, uncertainty: float, version: str) -> dict[str, Any]:
    """One task with its prediction; scores of Label Studio are confidences."""
    label, score = result.top(1)[0]
    choice = {'from_name': CHOICE, 'to_name': kind, 'type': 'choices', 'value': {'choices': [label]}}
    prediction = dict(model_version=version, score=round(score, 6), result=[choice])
    return dict(data={kind: address, 'uncertainty': round(uncertainty, 6)}, predictions=[prediction])


def _config(kind: str, names: Sequence[str]) -> str:
    """A labelling config with one choice among the classes."""
    tag = kind.capitalize()
    choices = '\n'.join(f'    <Choice value={quoteattr(name)}/>' for name in names)
    return (
        f'<View>\n  <{tag} name="{kind}" value="${kind}"/>\n  <Choices name="{CHOICE}" toName="{kind}" '
        f'choice="single" showInline="true">\n{choices}\n  </Choices>\n</View>\n'
    )
