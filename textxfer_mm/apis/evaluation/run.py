"""The evaluator: features once, every protocol from them, and one result that says what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm import register_all_modules
from textxfer_mm.apis.evaluation.banks import Banks, ListProgress, banks_of
from textxfer_mm.apis.evaluation.calibrating import calibration_of, validation_of
from textxfer_mm.apis.evaluation.lists import Names, TestList, lists_of
from textxfer_mm.apis.evaluation.measures import Part, Tested, parts_of, two_lists
from textxfer_mm.apis.evaluation.states import TRAINED, UNTRAINED, ModelState, about_glosses, states_of
from textxfer_mm.apis.inference import choose_device
from textxfer_mm.engine.classes import NO_GLOSSES, class_names_of, head_of, name_classes, set_glosses
from textxfer_mm.engine.config_parts import check_model_and_datasets
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.engine.frameworks import average_of, has_several_labels, takes_images
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.evaluation.digests import digest
from textxfer_mm.evaluation.protocol_names import OF_TWO, check_protocols
from textxfer_mm.evaluation.protocols import Measure
from textxfer_mm.evaluation.view_logits import AVERAGES
from textxfer_mm.text.glosses.table import Glosses, GlossTable, gloss_table, joined_tables

#: Raised when the meaning of a result changes.
RESULT_FORMAT = 1


def evaluate(
    cfg: Config,
    checkpoint: str | Path | None = None,
    *,
    protocols: Sequence[str] | None = None,
    labels: Sequence[Names] = (),
    ann_files: Sequence[str | Path] = (),
    data_root: str | Path | None = None,
    features: str | Path | None = None,
    calibrate: str | Path | None = None,
    average_clips: str | None = None,
    glosses: Sequence[str | Path] = (),
    device: str | None = None,
    progress: ListProgress | None = None,
) -> dict[str, Any]:
    """Evaluate a model by several protocols, beside the same model before training.

    The videos of each list are read once, as testing reads them; those that cannot be decoded are left out, counted and
    named. All numbers come from the features of their views. With several processes each encodes a part of the videos,
    and all return the same result.

    Args:
        cfg: A whole config.
        checkpoint: A checkpoint of it; None evaluates the model before training alone.
        protocols: Keys of ``PROTOCOLS``; None takes 'full', or 'map' for a head of several labels a video.
        labels: Names of other classes: zero-shot recognition. One list for all of ``ann_files``, or one for each.
        ann_files: Annotation files instead of the config's test list. With ``labels`` and a protocol of base and novel
            classes, the config's list is the base and this one the novel classes.
        data_root: Where the paths of ``ann_files`` begin; see ``lists_of``.
        features: A safetensors file of features: used where it exists, written where it does not.
        calibrate: A list of validation videos of the model's own classes, or a file of their features: temperature,
            calibration error, rejection and calibrated stacking.
        average_clips: How views become one score: 'feature', 'prob' or 'score'; None takes the head's.
        glosses: Names of shipped tables, or files, of glosses behind the class names, the model's own and those of
            ``labels``; a name is taken from the first that has it. ``'none'`` alone leaves out those of the config.
        device: Where the models run; None takes the GPU where there is one.
        progress: Called with the title of a list and the numbers of its videos that are done and to be done.

    Returns:
        What was measured, as JSON can hold it.

    Raises:
        UserError: Something does not fit together.
    """
    register_all_modules()
    cfg = cfg.copy()
    chosen = _protocols(cfg, protocols)
    _set_average(cfg, average_clips)
    check_model_and_datasets(cfg)
    for dataset in innermost_datasets(cfg.test_dataloader.dataset):
        name_classes(dataset)
    both = any(protocol in OF_TWO for protocol in chosen)
    table = _set_glosses(cfg, glosses, own=both or not labels)
    lists = lists_of(cfg, labels, ann_files, data_root, own=both, glosses=table)
    if both:
        two_lists(lists, next(protocol for protocol in chosen if protocol in OF_TWO))
    states, reason = states_of(cfg, checkpoint, choose_device(device))
    if calibrate is not None or any(entry.names is None for entry in lists):
        states[0].require_one_classifier()
    validation = None if calibrate is None else validation_of(cfg, calibrate, states[0], progress)
    banks = banks_of(states, lists, features, progress)
    tested = {state.name: _tested(state, lists, banks, both) for state in states}
    found = {
        name: [part for protocol in chosen for part in parts_of(protocol, given)] for name, given in tested.items()
    }
    result = dict(
        format=RESULT_FORMAT,
        config=Path(cfg.filename or 'config').name,
        checkpoint=checkpoint and Path(checkpoint).name,
        weights={state.name: state.weights for state in states},
        untrained=_about_untrained(states, reason),
        training=_training(cfg),
        average_clips=str(average_of(states[0].head)),
        **states[0].about_classifier(),
        lists=[_about_list(entry, states[0], tested, banks) for entry in lists],
        results=_rows(found),
    )
    if validation is not None:
        result['calibration'] = calibration_of(states[0], tested[states[0].name], banks, validation)
    return result


def _training(cfg: Config) -> dict[str, float]:
    """Which part of its videos the config trains with, where it is a part: ``shots`` a class, or a ``fraction``."""
    keys = dict(FewShotDataset='shots', LabelFractionDataset='fraction')
    found, node = {}, (cfg.get('train_dataloader') or {}).get('dataset')
    while isinstance(node, Mapping):
        key = keys.get(str(node.get('type')))
        if key:
            found[key] = node[key]
        node = node.get('dataset')
    return found


def _protocols(cfg: Config, given: Sequence[str] | None) -> list[str]:
    """The protocols that are asked for, once each.

    Raises:
        UserError: One is unknown.
    """
    if not given:
        return ['map' if has_several_labels(head_of(cfg)) else 'full']
    return check_protocols(given)


def _set_average(cfg: Config, average_clips: str | None) -> None:
    """Let the head average views in another way."""
    if average_clips is None:
        return
    if average_clips not in AVERAGES:
        raise UserError(f'Unknown average_clips {average_clips!r}.{nearest(average_clips, AVERAGES)}')
    head = head_of(cfg)
    if takes_images(cfg.model):
        raise UserError(f'--average-clips {average_clips}: an image has one view, so there is nothing to average.')
    if average_clips == 'feature' and not head.get('classifier'):
        raise UserError(f'The head {head.get("type")} cannot average features: give prob or score.')
    head['average_clips'] = average_clips


def _tested(state: ModelState, lists: Sequence[TestList], banks: Banks, both: bool) -> Tested:
    """The logits of one model on all lists."""
    among_own = {}
    for entry in lists:
        size = entry.cfg.test_dataloader.get('batch_size', 1)
        bank = banks[state.name, entry.title]
        among_own[entry.title] = state.view_logits(bank, entry.names, size, entry.glosses)
    if not both:
        return Tested(lists, among_own)
    base, novel = (among_own[entry.title].class_names for entry in two_lists(lists, OF_TWO[0]))
    names, pair = (*base, *novel), []
    glosses = _joint_glosses(state, lists)
    for entry in lists:
        bank = banks[state.name, entry.title]
        logits = state.view_logits(bank, names, entry.cfg.test_dataloader.get('batch_size', 1), glosses)
        pair.append(replace(logits, labels=logits.labels + (0 if entry.names is None else len(base))))
    return Tested(lists, among_own, tuple(pair))


def _joint_glosses(state: ModelState, lists: Sequence[TestList]) -> Glosses | None:
    """The glosses of base and novel classes together; None where no class has any."""
    parts = []
    for entry in two_lists(lists, OF_TWO[0]):
        own = state.glosses(entry.names, entry.glosses)
        parts.append(own or ((),) * len(entry.names or class_names_of(state.model)))
    together = (*parts[0], *parts[1])
    return together if any(together) else None


def _set_glosses(cfg: Config, given: Sequence[str | Path], own: bool) -> GlossTable | None:
    """Put glosses behind the names of a config's own classes, if these are tested.

    Returns:
        Where the glosses of other classes are looked up, or None.

    Raises:
        UserError: They are unknown or malformed.
    """
    if not given:
        return None
    if list(given) == [NO_GLOSSES]:
        set_glosses(cfg, NO_GLOSSES)
        return None
    table = joined_tables([gloss_table(one) for one in given])
    if own:
        set_glosses(cfg, table)
    return table


def _about_untrained(states: Sequence[ModelState], reason: str) -> dict[str, str]:
    """What the untrained model is, or why there is none."""
    for state in states:
        if state.name == UNTRAINED:
            return dict(note=state.note)
    return dict(reason=reason)


def _about_list(entry: TestList, state: ModelState, tested: Mapping[str, Tested], banks: Banks) -> dict[str, Any]:
    """What a list is, so that results can be compared."""
    names = tested[state.name].among_own[entry.title].class_names
    bank = banks[state.name, entry.title]
    return dict(
        title=entry.title,
        classes=len(names),
        class_names=list(names),
        class_digest=digest(list(names)),
        zero_shot=entry.names is not None,
        **about_glosses(state.glosses(entry.names, entry.glosses)),
        videos=len(bank.labels),
        views=bank.features.shape[1],
        pipeline=bank.pipeline,
        skipped=dict(bank.skipped),
    )


def _rows(found: Mapping[str, Sequence[Part]]) -> list[dict[str, Any]]:
    """One row a number, with what each model has."""
    rows = []
    for together in zip(*found.values(), strict=True):
        part = together[0]
        for metric in part.measures:
            values = {name: _plain(each.measures[metric]) for name, each in zip(found, together, strict=True)}
            facts = dict(protocol=part.protocol, list=part.subject, metric=metric, classes=part.classes)
            counts = dict(videos=part.videos, chance=part.chance(metric))
            rows.append({**facts, **counts, **{name: values.get(name) for name in (UNTRAINED, TRAINED)}})
    return rows


def _plain(measure: Measure) -> dict[str, Any]:
    """A measure as JSON can hold it; a single number has no deviation."""
    if measure.std is None:
        return dict(value=measure.value)
    return dict(value=measure.value, std=measure.std, values=list(measure.values))
