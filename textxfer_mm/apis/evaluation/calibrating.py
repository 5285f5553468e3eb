"""Calibration in the evaluator: what is fitted on validation videos, and what it does to the tested ones."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.apis.evaluation.banks import Banks, ListProgress, banks_of
from textxfer_mm.apis.evaluation.lists import files_of, lists_of
from textxfer_mm.apis.evaluation.measures import Tested, joint
from textxfer_mm.apis.evaluation.states import ModelState
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.calibration import (
    BINS,
    LOST_SHARE,
    expected_calibration_error,
    fit_temperature,
    losing_threshold,
    margins,
    negative_log_likelihood,
    stacking,
)
from textxfer_mm.evaluation.feature_bank import FeatureBank, load_banks
from textxfer_mm.evaluation.protocols import harmonic_mean
from textxfer_mm.evaluation.view_logits import ViewLogits, require_one_label


def validation_of(
    cfg: Config, given: str | Path, state: ModelState, progress: ListProgress | None = None
) -> tuple[str, FeatureBank]:
    """The validation videos that a model is calibrated on: their name and features.

    Args:
        cfg: A whole config.
        given: A file of features (.safetensors) or an annotation file of the model's own classes.
        state: The model.
        progress: See ``banks_of``.

    Raises:
        UserError: The features are another model's, or there are those of several lists.
    """
    if Path(given).suffix != '.safetensors':
        (entry,) = lists_of(cfg, (), [given], None, own=False)
        return entry.title, banks_of([state], [entry], None, progress)[state.name, entry.title]
    found = {key: bank for key, bank in load_banks(given).items() if key.startswith(f'{state.name}: ')}
    if len(found) != 1:
        raise UserError(
            f'--calibrate {given} holds features of {len(found)} lists by the {state.name} model; give a file of one '
            'validation list, or the list itself.'
        )
    ((key, bank),) = found.items()
    bank.require_made_by(state.weights, state.pipeline_of(cfg), given)
    return key.split(': ', 1)[1], bank


def calibration_of(
    state: ModelState, tested: Tested, banks: Banks, validation: tuple[str, FeatureBank]
) -> dict[str, Any]:
    """Fit on the validation videos, and measure on the tested ones.

    Returns:
        Temperature, threshold and constant, with what they do; what JSON can hold.

    Raises:
        UserError: Videos have several labels.
    """
    title, bank = validation
    logits = _classified(state, bank, None)
    require_one_label(logits.labels, 'Calibration')
    temperature, note = _temperature(logits)
    threshold = losing_threshold(_confidences(logits, temperature))
    names = set(bank.names)
    made = dict(
        model=state.name,
        validation=dict(
            title=title,
            videos=len(bank.labels),
            trained_on=any(Path(title).resolve() == Path(file).resolve() for file in files_of(state.cfg, 'train')),
            tested_too=sum(name in names for entry in tested.lists for name in banks[state.name, entry.title].names),
        ),
        temperature=temperature,
        note=note,
        bins=BINS,
        lost_share=LOST_SHARE,
        threshold=threshold,
        lists=[_of_list(state, tested, banks, entry, temperature, threshold) for entry in tested.lists],
    )
    if tested.among_all is not None:
        made['stacking'] = _stacking(state, tested, bank)
    return made


def _classified(state: ModelState, bank: FeatureBank, names: tuple[str, ...] | None) -> ViewLogits:
    """The logits of a bank."""
    return state.view_logits(bank, names, state.cfg.test_dataloader.get('batch_size', 1))


def _temperature(logits: ViewLogits) -> tuple[float, str]:
    """The best temperature and '', or 1 and why there is no best one."""
    try:
        return fit_temperature(logits.logits(), logits.labels), ''
    except UserError as error:
        return 1.0, str(error)


def _confidences(logits: ViewLogits, temperature: float) -> Any:
    """The highest probability of each video (n,)."""
    return (logits.logits() / temperature).softmax(1).max(1).values.numpy()


def _of_list(
    state: ModelState, tested: Tested, banks: Banks, entry: Any, temperature: float, threshold: float
) -> dict[str, Any]:
    """Calibration on one list, and the share of its videos that are rejected among the model's own names."""
    logits = tested.among_own[entry.title]
    rows, labels = logits.logits(), logits.labels
    right = (rows.argmax(1) == labels).numpy()
    before, after = (_confidences(logits, each) for each in (1.0, temperature))
    own = logits if entry.names is None else _classified(state, banks[state.name, entry.title], None)
    return dict(
        list=entry.title,
        zero_shot=entry.names is not None,
        error=[expected_calibration_error(each, right) for each in (before, after)],
        nll=[negative_log_likelihood(rows, labels, each) for each in (1.0, temperature)],
        rejected=float((_confidences(own, temperature) < threshold).mean()),
    )


def _stacking(state: ModelState, tested: Tested, bank: FeatureBank) -> dict[str, Any]:
    """Calibrated stacking: without a constant, with that of the validation videos, and with the best of all."""
    base = len(tested.among_own[tested.lists[0].title].class_names)
    curve = stacking(*joint(tested.among_all), base)
    ahead = margins(_classified(state, bank, tested.among_all[0].class_names).logits(), base)
    constant = max(0.0, losing_threshold(ahead))
    points = dict(without=curve.at(0.0), validation=curve.at(constant), best=curve.best)
    return dict(
        constant=constant,
        area=curve.area,
        **{key: dict(base=b, novel=n, harmonic_mean=harmonic_mean(b, n)) for key, (b, n) in points.items()},
    )
