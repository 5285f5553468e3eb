"""A model card written from a checkpoint, as model hubs read it: what the model is, and what was measured of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from mmengine.config import Config
from torch import nn

from textxfer_mm.analysis.views import Views, views_of_config
from textxfer_mm.apis.chosen_model import load_chosen
from textxfer_mm.apis.evaluation.measures import METRICS
from textxfer_mm.apis.evaluation.report import COLUMNS, NUMBERS, facts_of, markdown_table, notes_of, table_of
from textxfer_mm.apis.evaluation.states import digest_of_model
from textxfer_mm.engine.checkpoint import TRAINED_ON_FOLDER, load_checkpoint_file
from textxfer_mm.engine.classes import labels_of, rows_of
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.evaluation.protocol_names import PROTOCOLS
from textxfer_mm.version import __version__

#: Names of which a card shows no more than so many.
MOST_NAMES, MOST_TEMPLATES = 1000, 5
#: The task as hubs call it, and the framework.
IMAGES, VIDEOS = ('image-classification', 'mmpretrain'), ('video-classification', 'mmaction2')
#: How hubs call what is no accuracy.
_HUB_METRICS = dict(map='mean_average_precision', map_11='mean_average_precision')
_FITTED = (
    '**`textxfer train` fitted this model to all videos of its folder after the comparison.** A number on these videos '
    'says nothing about new ones; that of its report, by cross-validation, does.'
)
#: Where a model keeps its parts, under MMAction2 and under MMPretrain.
PARTS = ('backbone', 'neck', 'cls_head', 'head')


def model_card(
    checkpoint: str | Path,
    *,
    config: str | Path | None = None,
    results: Sequence[Mapping[str, Any]] = (),
    name: str | None = None,
    license_name: str | None = None,
    dataset: str | None = None,
) -> str:
    """Describe a checkpoint in Markdown, with the header of YAML that the Hugging Face hub reads.

    Everything is read from the checkpoint and from the given results; what they do not say, such as the licence of
    the training data or the intended use, is left for its author to write and marked so.

    Args:
        checkpoint: A file that this package can predict with.
        config: The config of the model, for a checkpoint that holds none.
        results: What ``textxfer evaluate --json`` wrote for this checkpoint.
        name: What the model is called; None takes the name of the file.
        license_name: An identifier of the hub, such as ``'apache-2.0'``.
        dataset: By the classes of which dataset it predicts, where the model has several.

    Raises:
        UserError: The checkpoint cannot be predicted with, or a result belongs to another one.
    """
    checkpoint = Path(checkpoint)
    model = load_chosen(config=config, checkpoint=checkpoint, dataset=dataset, device='cpu')
    meta = load_checkpoint_file(checkpoint).get('meta', {})
    for result in results:
        _require_own(result, model, checkpoint)
    results = [_without_folders(result) for result in results]
    name = name or checkpoint.stem
    views = views_of_config(model.cfg)
    is_open = getattr(rows_of(model), 'takes_other_names', False)
    task, framework = IMAGES if len(views.shape) == 3 else VIDEOS
    sections = [
        f'# {name}',
        _summary(model, views),
        '## Use',
        _usage(checkpoint, config, dataset, open_labels=is_open),
        '## Classes',
        _classes(model),
        '## Training',
        _training(model.cfg, meta),
        '## Measured',
        *([] if not results or not _fitted_to_its_lists(meta) else [_FITTED]),
        *(_measured(result) for result in results),
        *([] if results else ['No result was given for this card: `textxfer evaluate --json FILE` makes one.']),
        '## To be written by its author',
        'What the model is meant for and what not; where its training videos come from and under which licence; what '
        'it gets wrong.',
    ]
    data = ModelCardData(
        library_name='textxfer_mm',
        pipeline_tag=task,
        license=license_name,
        tags=[*(['zero-shot'] if is_open else []), framework],
        model_name=name if results else None,
        eval_results=[entry for result in results for entry in _entries(result, task)] or None,
    )
    return str(ModelCard(f'---\n{data.to_yaml()}\n---\n\n' + '\n\n'.join(sections) + '\n'))


def _require_own(result: Mapping[str, Any], model: nn.Module, checkpoint: Path) -> None:
    """Refuse a result of other weights.

    Raises:
        UserError: It is one.
    """
    if result['weights'].get('trained') != digest_of_model(model):
        raise UserError(
            f'A result was measured with {result["checkpoint"] or "no checkpoint"} and other weights than those of '
            f'{checkpoint}. Give what `textxfer evaluate CONFIG {checkpoint} --json FILE` wrote.'
        )


def _without_folders(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result whose files are called by their names alone, as others do not have its folders.

    Two files of one name keep the folder that they lie in.
    """
    files = {row['list'] for row in result['results']} | {entry['title'] for entry in result['lists']}
    counts = Counter(Path(file).name for file in files)
    called = {file: '/'.join(Path(file).parts[-1 if counts[Path(file).name] == 1 else -2 :]) for file in files}
    return dict(
        result,
        config=Path(result['config']).name,
        checkpoint=result['checkpoint'] and Path(result['checkpoint']).name,
        results=[dict(row, list=called[row['list']]) for row in result['results']],
        lists=[dict(entry, title=called[entry['title']]) for entry in result['lists']],
    )


def _fitted_to_its_lists(meta: Mapping[str, Any]) -> bool:
    """Whether `textxfer train` fitted the model to all videos, those of its test list among them."""
    return bool(meta.get(TRAINED_ON_FOLDER, {}).get('fitted_to_all'))


def _summary(model: nn.Module, views: Views) -> str:
    """What goes in and what comes out."""
    parts = [type(part).__name__ for name in PARTS if (part := getattr(model, name, None)) is not None]
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    shape = ' x '.join(map(str, views.shape))
    rows = rows_of(model)
    kind = 'A classifier' if rows is None else 'A recogniser whose classifier is made of embedded class names'
    return (
        f'{kind}: {", ".join(f"`{part}`" for part in parts)} in a `{type(model).__name__}`, {millions:.1f} million '
        f'weights. Its test pipeline makes {views.clips} x {views.crops} views of {shape} of a file; the model gives a '
        f'score for each class. Made with textxfer_mm {__version__}.'
    )


def _usage(checkpoint: Path, config: str | Path | None, dataset: str | None, *, open_labels: bool) -> str:
    """The command, and the same from Python: with the config of a checkpoint that holds none, and its dataset."""
    if config is not None and Path(config).is_file():  # else it is one that ships, by its path among them
        config = Path(config).name
    options = dict(checkpoint=checkpoint.name, config=config and str(config), dataset=dataset)
    given = {option: value for option, value in options.items() if value is not None}
    commands = [' '.join(['textxfer predict VIDEO', *(f'--{key} {quote(value)}' for key, value in given.items())])]
    model = given.pop('config', None) or given.pop('checkpoint')
    built = ', '.join([repr(model), *(f'{option}={value!r}' for option, value in given.items())])
    if open_labels:
        commands.append(f'{commands[0]} --labels "other names,zero-shot"')
    lines = [
        *(f'With textxfer_mm {__version__} installed:', '', '```bash', *commands, '```', ''),
        *('```python', 'from textxfer_mm.apis import Recognizer', ''),
        *(f'recognizer = Recognizer({built})', "recognizer('video.mp4').top(5)", '```'),
    ]
    return '\n'.join(lines)


def _classes(model: nn.Module) -> str:
    """The names, and how they became the classifier."""
    rows = rows_of(model)
    names = labels_of(model, 0)
    if not names:
        return 'The checkpoint does not say what its classes are called.'
    lines = [f'{len(names)} classes: {first_few(names, MOST_NAMES)}.']
    if rows is not None:
        templates = first_few((f'`{template}`' for template in rows.templates), MOST_TEMPLATES)
        lines.append(f'Embedded by `{rows.encoder_id}` with the templates {templates or "(none)"}.')
        if any(rows.glosses):
            lines.append(f'{sum(map(bool, rows.glosses))} of them have glosses behind their names.')
    return '\n\n'.join(lines)


def _training(cfg: Config, meta: Mapping[str, Any]) -> str:
    """What the checkpoint says of its training."""
    made = meta.get(TRAINED_ON_FOLDER)
    if made is not None:
        return (
            f'By `textxfer train`, which kept this of its candidates: {made["candidate"]}. {made["videos"]} videos; '
            'its report says how all candidates compared.'
        )
    said = {
        'run': meta.get('experiment_name'),
        'epochs': meta.get('epoch'),
        'iterations': meta.get('iter'),
        'seed': meta.get('seed'),
        'ended': meta.get('time'),
        'optimizer': cfg.get('optim_wrapper', {}).get('optimizer', {}).get('type'),
        'learning rate': cfg.get('optim_wrapper', {}).get('optimizer', {}).get('lr'),
        'videos a batch and process': cfg.get('train_dataloader', {}).get('batch_size'),
        'started from': cfg.get('load_from'),
    }
    known = [f'| {key} | {value} |' for key, value in said.items() if value is not None]
    return '\n'.join(['| | |', '|---|---|', *known]) if known else 'The checkpoint does not say how it was trained.'


def _measured(result: Mapping[str, Any]) -> str:
    """The table of a result with what it was measured by."""
    notes = [f'- {line}' for line in (*facts_of(result), *notes_of(result))]
    table = markdown_table(COLUMNS, table_of(result), NUMBERS)
    return '\n'.join(['Shares and deviations in per cent.', '', *table, '', *notes])


def _entries(result: Mapping[str, Any], task: str) -> list[EvalResult]:
    """The numbers of a result as a hub lists them."""
    return [
        EvalResult(
            task_type=task,
            dataset_type=Path(row['list']).stem,
            dataset_name=f'{row["list"]}, {PROTOCOLS[row["protocol"]]}',
            metric_type=_HUB_METRICS.get(row['metric'], 'accuracy'),
            metric_name=METRICS[row['metric']],
            metric_value=round(row['trained']['value'], 4),
        )
        for row in result['results']
        if row['trained'] is not None
    ]
