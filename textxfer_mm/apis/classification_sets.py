"""One model on several sets of images by their class names alone, each under its own measure (iCLIP, Table 3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from textxfer_mm.apis.encoding import Videos, encode_videos
from textxfer_mm.apis.retrieval import embed_items, text_encoder, text_reader
from textxfer_mm.classifiers.ensembles import embed_prompts, ensemble
from textxfer_mm.errors import UserError, first_few, first_line, nearest, shown
from textxfer_mm.evaluation.protocols import eleven_point_map, full_class, mean_class_accuracy
from textxfer_mm.evaluation.scores import Scores
from textxfer_mm.registry import DATASETS
from textxfer_mm.registry_errors import explain_config_error
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.text.glosses.table import Glosses, GlossTable, find_glosses, squeezed
from textxfer_mm.text.templates import resolve_templates

#: What a set may be measured by, and what it is called.
MEASURES = dict(top1='top-1', mean_class='mean per class', map_11='11-point mAP')
#: Options of a set.
_OPTIONS = ('dataset', 'class_names', 'templates', 'glosses', 'measure')


@dataclass(frozen=True)
class SetResult:
    """What was measured on a set.

    Attributes:
        measure: A key of :data:`MEASURES`.
        value: From 0 to 1.
        images: How many images were scored.
        classes: K.
        templates: M.
        with_glosses: For how many classes there were glosses.
        skipped: Images that could not be read, and why.
    """

    measure: str
    value: float
    images: int
    classes: int
    templates: int
    with_glosses: int
    skipped: Mapping[str, str]


def evaluate_sets(
    model: nn.Module,
    sets: Mapping[str, Mapping[str, Any]],
    dataloader: Mapping[str, Any],
    *,
    glosses: GlossTable | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, SetResult]:
    """Zero-shot recognition on several sets, each with the mean of its templates and glosses.

    A row is the mean over templates and glosses of normalised embeddings of ``{template(name)} {gloss}``. Any number of
    sets will do. With several processes each encodes its share of the images, and all return the whole.

    Args:
        model: A recognizer or image classifier with a head of this package whose text encoder is at hand.
        sets: By name: ``dataset`` (a config without pipeline), ``class_names``, and, if wanted, ``templates`` (see
            ``resolve_templates``; ``'a photo of a {}.'``), ``glosses`` (see ``find_glosses``) and ``measure``, a key of
            :data:`MEASURES` (``'top1'``). ``'map_11'`` leaves out what VOC2007 calls difficult.
        dataloader: A dataloader config whose dataset has the ``pipeline`` of testing; ``batch_size`` and
            ``num_workers`` count as well.
        glosses: Where glosses of sets without their own are looked up; those that have none keep their bare names.
        progress: Called with the set, and the numbers of its images that are done and to be done.

    Raises:
        UserError: An option of a set is unknown, its images or class names are not at hand or do not belong together
            (all are read before the first set is evaluated), or embeddings are not finite.
    """
    if not sets:
        raise UserError('There are no sets to evaluate: give zero_shot_sets=dict(NAME=dict(dataset=..., ...)).')
    for name, options in sets.items():
        _require_options(name, options)
    pipeline = (dataloader.get('dataset') or {}).get('pipeline')
    if pipeline is None:
        raise UserError(
            'The sets are read by the pipeline of testing: give dataloader=dict(dataset=dict(pipeline=...)).'
        )
    encode = text_encoder(model)
    model.eval()
    read = _read_all(sets, pipeline)
    return {name: _of_set(model, encode, name, sets[name], *read[name], dataloader, glosses, progress) for name in sets}


def sets_table(found: Mapping[str, SetResult], missing: Sequence[str] = ()) -> str:
    """The results as a Markdown table in the form of Table 3: a column a set, the mean over those that are there last.

    Args:
        found: What :func:`evaluate_sets` returned.
        missing: Sets that could not be evaluated; their cells are empty, and the mean says over how many it is.
    """
    names = [*found, *missing]
    cells = [f'{100 * found[name].value:.1f}' if name in found else '' for name in names]
    mean = np.mean([one.value for one in found.values()])
    head = ['', *names, f'mean of {len(found)}']
    measures = ['measure', *(MEASURES[found[name].measure] if name in found else 'not evaluated' for name in names), '']
    rows = [head, ['---'] * len(head), measures, ['model', *cells, f'{100 * mean:.1f}']]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _require_options(name: str, options: Any) -> None:
    """Refuse what nobody would read."""
    if not isinstance(options, Mapping) or 'dataset' not in options or 'class_names' not in options:
        raise UserError(f'Set {shown(name)!r}: give dataset and class_names, got {shown(repr(options), 80)}.')
    for key in options:
        if key not in _OPTIONS:
            raise UserError(f'Set {shown(name)!r} has the unknown option {shown(key)!r}.{nearest(key, _OPTIONS)}')
    measure = options.get('measure', 'top1')
    if measure not in tuple(MEASURES):
        raise UserError(f'Set {shown(name)!r}: unknown measure {measure!r}.{nearest(str(measure), MEASURES)}')


def _read_all(sets: Mapping[str, Mapping[str, Any]], pipeline: Any) -> dict[str, tuple[Videos, tuple[str, ...]]]:
    """The images of each set, and its class names.

    Raises:
        UserError: Some cannot be read: all are named, with the reason of the first.
    """
    found, wrong = {}, {}
    for name, options in sets.items():
        try:
            found[name] = _read(name, options['dataset'], pipeline), _class_names(name, options['class_names'])
            _require_same_classes(name, *found[name])
        except UserError as error:
            wrong[name] = error
    if wrong:
        first, *others = wrong
        more = f' Nor can {len(others)} more: {first_few(others, 12)}.' if others else ''
        raise UserError(f'{wrong[first]}{more}') from wrong[first]
    return found


def _read(name: str, dataset: Any, pipeline: Any) -> Videos:
    """The images of a set.

    Raises:
        UserError: Its config is wrong, or its files are missing.
    """
    try:
        if not isinstance(dataset, Mapping):
            raise UserError(f'dataset is a config, dict(type=..., ...), got {shown(repr(dataset), 80)}.')
        return Videos(DATASETS.build({**dataset, 'pipeline': pipeline, 'lazy_init': True}))
    except UserError as error:
        raise UserError(f'Set {shown(name)!r}: {error}') from None
    except (KeyError, TypeError, ValueError, AssertionError, OSError, RuntimeError) as error:
        told = explain_config_error(error)
        if told is None and isinstance(error, KeyError | TypeError):
            raise
        reason = told or f'{first_line(error)}. Get its files, or leave the set out'
        raise UserError(f'Set {shown(name)!r} cannot be read: {str(reason).rstrip(".")}.') from error


def _class_names(name: str, given: Any) -> tuple[str, ...]:
    """The class names of a set.

    Raises:
        UserError: They are not at hand, or wrong.
    """
    try:
        return load_class_names(given)
    except UserError as error:
        raise UserError(f'Set {shown(name)!r}: {error}') from None


def _require_same_classes(name: str, videos: Videos, names: Sequence[str]) -> None:
    """Refuse class names of another number than the dataset's, or the same in another order.

    Other words for the same classes are fine.
    """
    known = (videos.dataset.metainfo or {}).get('classes') or names
    if len(known) != len(names):
        raise UserError(
            f'Set {shown(name)!r} has {len(known)} classes ({first_few(known)}), class_names {len(names)} '
            f'({first_few(names)}): give one name a class, in the order of the labels.'
        )
    ours, theirs = list(map(squeezed, names)), list(map(squeezed, known))
    if ours != theirs and sorted(ours) == sorted(theirs):
        place = next(place for place, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        raise UserError(
            f'Set {shown(name)!r}: class_names are in another order than its labels: class {place} is '
            f'{shown(known[place])!r} there, and {shown(names[place])!r} in class_names. Give them in the order of the '
            'labels.'
        )


def _require_finite(name: str, items: Tensor, rows: Tensor) -> None:
    """Refuse embeddings that are not finite: they would be compared like all others."""
    for what, found in (('images', items), ('classes', rows)):
        broken = int((~found.isfinite()).any(dim=1).sum())
        if broken:
            raise UserError(
                f'Set {shown(name)!r}: the embeddings of {broken} of {len(found)} {what} are not finite. Did the '
                'training diverge?'
            )


def _of_set(
    model: nn.Module,
    encode: Callable[[list[str]], Tensor],
    name: str,
    options: Mapping[str, Any],
    videos: Videos,
    names: tuple[str, ...],
    dataloader: Mapping[str, Any],
    glosses: GlossTable | None,
    progress: Callable[[str, int, int], None] | None,
) -> SetResult:
    """Measure one set."""
    measure = options.get('measure', 'top1')
    templates = resolve_templates(options.get('templates', 'a photo of a {}.'))
    own = _glosses(options.get('glosses'), glosses, names)
    rows = functional.normalize(
        ensemble(embed_prompts(encode, templates, names, own, text_reader(model)), own), dim=-1
    )  # (K, D)
    told = None if progress is None else lambda done, total: progress(name, done, total)
    made = encode_videos(videos, lambda batch: [embed_items(model, batch)], dataloader, told)
    (items,) = made.stacked()
    _require_finite(name, items, rows)
    values = (functional.normalize(items, dim=-1) @ rows.to(items).T).numpy()  # (n, K)
    truth = _truth(name, [videos.labels[place] for place in made.rows], len(names))
    scores = Scores(values, truth if measure == 'map_11' else _single(name, truth), names)
    if measure == 'map_11':
        found = eleven_point_map(scores, _difficult(videos.dataset, made.rows, truth))
    else:
        found = mean_class_accuracy(scores) if measure == 'mean_class' else full_class(scores)
    skipped = {videos.names[place]: reason for place, reason in made.skipped.items()}
    given = sum(map(bool, own))
    return SetResult(measure, found[measure].value, len(items), len(names), len(templates), given, skipped)


def _glosses(given: Any, table: GlossTable | None, names: Sequence[str]) -> Glosses:
    """The glosses of a set: its own, or those of the table that has some of them."""
    if given is not None:
        return find_glosses(given, names)
    known = set(map(squeezed, table.names)) if table is not None else set()
    return table.find(names) if any(squeezed(name) in known for name in names) else ()


def _truth(name: str, labels: Sequence[Any], classes: int) -> np.ndarray:
    """Which image is of which class (n, K).

    Raises:
        UserError: An image has no label, or one that is out of range.
    """
    truth = np.zeros((len(labels), classes), dtype=bool)
    for row, label in zip(truth, labels, strict=True):
        own = np.atleast_1d([] if label is None else np.asarray(label, dtype=int))
        if label is None or ((own < 0) | (own >= classes)).any():
            raise UserError(
                f'Set {shown(name)!r}: label {shown(repr(label))} of an image is none of its {classes} classes.'
            )
        row[own] = True
    return truth


def _single(name: str, truth: np.ndarray) -> np.ndarray:
    """The one label of each image (n,).

    Raises:
        UserError: An image has several, or none.
    """
    if (truth.sum(1) != 1).any():
        raise UserError(f"Set {shown(name)!r} has images of several classes, or of none: give measure='map_11'.")
    return truth.argmax(1)


def _difficult(dataset: Any, places: Sequence[int], truth: np.ndarray) -> np.ndarray:
    """Classes that an image shows in difficult objects alone, which do not count (n, K)."""
    ignored = np.zeros_like(truth)
    for row, place in zip(ignored, places, strict=True):
        row[list(dataset.get_data_info(place).get('gt_label_difficult') or ())] = True
    return ignored & ~truth
