"""``textxfer evaluate``: any protocol, beside the untrained model, from features that are encoded once."""

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import UserError, shown
from textxfer_mm.evaluation.protocol_names import check_protocols
from textxfer_mm.files import require_form, require_writable_file
from textxfer_mm.inputs import find_config, require_checkpoint, require_device_name, require_file
from textxfer_mm.text.class_names import list_datasets, load_class_names, split_class_names
from textxfer_mm.text.glosses.table import gloss_table

#: How wide a table may be where no terminal sets it.
WIDE = 160


def evaluate(
    config: Annotated[str, typer.Argument(metavar='CONFIG', help='Config of the model, with a test dataloader.')],
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar='[CHECKPOINT]', help='A trained model; without it the untrained one alone.')
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help='full, half, mean-class, map, map-11, splits, base-to-novel or generalized; may be given several '
            'times. By default full, or map for several labels a video.'
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help='Names of other classes: "a,b,c", a file or a dataset name; one for all lists or one each.'),
    ] = None,
    ann_file: Annotated[
        list[Path] | None, typer.Option(help="Annotation list instead of the config's own; may be given several times.")
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(
            help="Folder where the paths of --ann-file begin; by default that of the config's videos, or with --labels "
            'that of the list.'
        ),
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help='File of features (.safetensors): used if it is there, written if not.')
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(help='Validation list of the own classes, or a file of its features.'),
    ] = None,
    glosses: Annotated[
        list[str] | None,
        typer.Option(
            help='Glosses behind the class names: kinetics400, ucf101, hmdb51, imagenet1k, or a .csv or .json file; '
            'may be given several times; none leaves out those of the config.'
        ),
    ] = None,
    average_clips: Annotated[
        str | None, typer.Option(help="feature, prob or score: how views become one score; by default the head's.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write all that was measured to this file.')] = None,
    markdown_file: Annotated[Path | None, typer.Option('--markdown', help='Write the table to this file.')] = None,
    cfg_options: Annotated[
        list[str] | None, typer.Option(help='Override a setting of the config: key=value; may be given several times.')
    ] = None,
    launcher: Annotated[str, typer.Option(help='none, pytorch, slurm or mpi: several processes share the videos.')] = (
        'none'
    ),
    device: Annotated[str | None, typer.Option(help='cpu, cuda, ...; by default the GPU where there is one.')] = None,
) -> None:
    """Evaluate a model by one protocol or several, beside the same model before training.

    With --labels and --ann-file it is zero-shot recognition of other classes; the protocols base-to-novel and
    generalized test the config's own list as well. Everything is computed from features that are encoded once;
    --features keeps them, and needs no videos the next time.
    """
    check_protocols(protocol or ())
    _check_files(config, checkpoint, ann_file, features, calibrate, json_file, markdown_file)
    if device is not None:
        require_device_name(device, '--device')
    names = [_names(given, distinct=not glosses) for given in labels or ()]
    for given in glosses or ():
        if list(glosses) != ['none']:
            gloss_table(given)

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    with console.status('importing'):
        from textxfer_mm import register_all_modules

        register_all_modules()
        from mmengine.dist import is_main_process
        from mmengine.logging import MMLogger

        from textxfer_mm.apis.evaluation import evaluate as run
        from textxfer_mm.apis.evaluation.report import write_result

    cfg = _load(config, cfg_options, launcher)
    for handler in MMLogger.get_current_instance().handlers:
        handler.setLevel('WARNING')  # what is loaded, and with which classes, is in the report
    with progress_on(console) as tell:

        def progress(title: str, done: int, total: int) -> None:
            tell(f'Encoding {shown(Path(title).name, 40)}', done, total)

        options = dict(protocols=protocol, labels=names, ann_files=ann_file or (), data_root=data_root)
        options |= dict(glosses=glosses or ())
        outputs = dict(features=features, calibrate=calibrate, average_clips=average_clips, device=device)
        before = _time_of(features)
        result = run(cfg, checkpoint, **options, **outputs, progress=progress if is_main_process() else None)
    if is_main_process():
        write_result(result, json_file, markdown_file)  # whatever becomes of the terminal
        _show(console, result)
        kept = features if _time_of(features) != before else None
        for file in filter(None, (kept, json_file, markdown_file)):
            console.print(Text(f'Wrote {shown(file)}'), soft_wrap=True)
    if launcher != 'none':
        from textxfer_mm.compat import close_process_group

        close_process_group()


def _check_files(
    config: str,
    checkpoint: Path | None,
    ann_file: list[Path] | None,
    features: Path | None,
    calibrate: Path | None,
    json_file: Path | None,
    markdown_file: Path | None,
) -> None:
    """Check that what is to be read is there, and that what is to be written can be."""
    find_config(config)
    if checkpoint is not None:
        require_checkpoint(checkpoint)
    if features is None or not features.is_file():  # with features at hand a list need not be
        for file in ann_file or ():
            require_file(file, 'annotation file', '*.txt')
    if features is not None and features.suffix != '.safetensors':
        raise UserError(f'--features {features}: features are kept in a .safetensors file.')
    if calibrate is not None:
        require_file(calibrate, '--calibrate', '*.*')
    if features is not None and not features.is_file():  # those that are there are read
        require_writable_file(features, '--features')
    if json_file is not None:
        require_form(json_file, '--json', '.json')
    if markdown_file is not None:
        require_writable_file(markdown_file, '--markdown')


def _time_of(file: Path | None) -> int | None:
    """When a file was written; None where there is none."""
    return file.stat().st_mtime_ns if file is not None and file.is_file() else None


def _names(given: str, distinct: bool) -> tuple[str, ...]:
    """Class names as they are given on the command line."""
    is_file = len(given) < 250 and Path(given).is_file()  # a file may have commas in its name
    is_list = ',' in given and given not in list_datasets() and not is_file
    if is_list:
        return split_class_names(given, distinct=distinct)
    try:
        return load_class_names(given, distinct=distinct)
    except UserError as error:
        if is_file or Path(given).suffix:
            raise
        raise UserError(f'--labels: {error} Several names are given with commas: "a,b,c".') from error


def _load(config: str, cfg_options: list[str] | None, launcher: str) -> Any:
    """Load a config, merge the options into it and meet the other processes."""
    from mmengine.dist import init_dist
    from mmengine.utils.dl_utils import set_multi_processing

    from textxfer_mm.engine.config_files import load_config
    from textxfer_mm.engine.launch import merge_options, options_of_words, require_parts

    cfg = load_config(config)
    merge_options(cfg, options_of_words(cfg_options or ()), config)
    require_parts(cfg, ('model', 'test_dataloader'), config)
    env = cfg.get('env_cfg') or {}
    if launcher not in ('none', 'pytorch', 'slurm', 'mpi'):
        raise UserError(f'--launcher is none, pytorch, slurm or mpi, got {launcher!r}.')
    set_multi_processing(**env.get('mp_cfg', {}), distributed=launcher != 'none')
    if launcher != 'none':
        init_dist(launcher, **env.get('dist_cfg', {}))
    return cfg


def _show(console: Console, result: dict[str, Any]) -> None:
    """Print the table and what must be known beside it."""
    from textxfer_mm.apis.evaluation.report import (
        COLUMNS,
        NUMBERS,
        calibration_lines,
        facts_of,
        notes_of,
        table_of,
    )

    for line in facts_of(result):
        console.print(Text(shown(line, None)), soft_wrap=True)
    for protocol, rows in groupby(table_of(result), key=itemgetter(0)):
        table = Table(title=protocol, title_justify='left', box=SIMPLE, pad_edge=False, collapse_padding=True)
        for column in COLUMNS[1:]:
            table.add_column(column, justify='right' if column in NUMBERS else 'left', overflow='fold')
        for row in rows:
            table.add_row(*(Text(shown(cell)) for cell in row[1:]))
        console.print(table)
    console.print('Accuracies and deviations in per cent.')
    calibrated = calibration_lines(result['calibration']) if 'calibration' in result else []
    for line in (*notes_of(result), *calibrated):
        console.print(Text(shown(line, None)), soft_wrap=True)
