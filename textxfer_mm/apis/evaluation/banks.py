"""Features of the lists of an evaluation: read from a file, or encoded and kept in it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from textxfer_mm.apis.encoding import Videos, encode_videos, label_tensor
from textxfer_mm.apis.evaluation.lists import TestList
from textxfer_mm.apis.evaluation.states import ModelState
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.feature_bank import ONLY, FeatureBank, load_banks, save_banks
from textxfer_mm.files import require_writable_file

#: Told which list, what is done of it and what is to be done.
ListProgress = Callable[[str, int, int], None]
Banks = dict[tuple[str, str], FeatureBank]


def banks_of(
    states: Sequence[ModelState],
    lists: Sequence[TestList],
    file: str | Path | None = None,
    progress: ListProgress | None = None,
) -> Banks:
    """The features of all lists by all models, by ``(state, title)``.

    What the file has is taken from it, without videos; what it lacks is encoded, by all models at once, and written to
    it. Both are refused where they do not belong together.

    Args:
        states: The models.
        lists: The lists.
        file: A safetensors file, which need not exist; None keeps nothing.
        progress: Called with the title of a list and numbers of videos.

    Raises:
        UserError: The file holds features of another model, pipeline or list, or videos are missing.
    """
    found: dict[str, FeatureBank] = {}
    if file is not None and Path(file).expanduser().is_file():
        found = load_banks(file)
        if ONLY in found:
            raise UserError(f'{file} holds features of `textxfer features`; give --features a file of its own.')
    made: Banks = {}
    is_new = False
    for tested in lists:
        missing = []
        for state in states:
            bank = found.get(_key(state, tested))
            if bank is None:
                _refuse_strangers(found, state, tested, file)
                missing.append(state)
                continue
            bank.require_made_by(state.weights, state.pipeline_of(tested.cfg), file)
            _require_same_list(bank, tested, file)
            made[state.name, tested.title] = bank
        if missing:
            if file is not None:
                require_writable_file(file, '--features')
            told = None if progress is None else lambda done, total, title=tested.title: progress(title, done, total)
            for state, bank in zip(missing, _encode(missing, tested, told), strict=True):
                made[state.name, tested.title] = found[_key(state, tested)] = bank
            is_new = True
    if file is not None and is_new and is_main_process():
        save_banks(file, found)
    return made


def _key(state: ModelState, tested: TestList) -> str:
    return f'{state.name}: {tested.title}'


def _refuse_strangers(found: dict[str, FeatureBank], state: ModelState, tested: TestList, file: Any) -> None:
    """Refuse to put features beside those of another model in one file."""
    for key, bank in found.items():
        if key.startswith(f'{state.name}: '):
            bank.require_made_by(state.weights, state.pipeline_of(tested.cfg), file)


def _require_same_list(bank: FeatureBank, tested: TestList, file: Any) -> None:
    """Check features against the list, where that is at hand.

    Raises:
        UserError: The list has other videos or labels by now.
    """
    if not tested.files or not all(Path(path).is_file() for path in tested.files):
        return
    videos = _videos(tested)
    names = {Path(name).name for name in bank.skipped}
    kept = [n for n, name in enumerate(videos.names) if Path(name).name not in names]
    have = [Path(name).name for name in bank.names]
    if [Path(videos.names[n]).name for n in kept] != have or not label_tensor([videos.labels[n] for n in kept]).equal(
        bank.labels
    ):
        raise UserError(
            f'The features in {file} are of another state of the list {tested.title}: its videos or labels have '
            'changed. Give a new file to encode them anew.'
        )


def _videos(tested: TestList) -> Videos:
    """The videos of a list."""
    return Videos(tested.cfg.test_dataloader.dataset)


def _encode(states: Sequence[ModelState], tested: TestList, progress: Callable | None) -> list[FeatureBank]:
    """Encode a list by several models, reading each video once."""
    tested.check()
    videos = _videos(tested)
    loader = tested.cfg.test_dataloader
    made = encode_videos(videos, lambda batch: [state.encode(batch) for state in states], loader, progress)
    labels = label_tensor([videos.labels[n] for n in made.rows])
    names = tuple(videos.names[n] for n in made.rows)
    skipped = {videos.names[n]: reason for n, reason in made.skipped.items()}
    banks = []
    for state, features in zip(states, made.stacked(), strict=True):
        about = dict(
            config=Path(state.cfg.filename or 'config').name,
            checkpoint=state.checkpoint and Path(state.checkpoint).name,
            list=tested.title,
        )
        pipeline = state.pipeline_of(tested.cfg)
        banks.append(FeatureBank(features, labels, names, state.weights, pipeline, skipped, about))
    return banks
