"""``textxfer interpolate``: models between a pre-trained and a fine-tuned one."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import require_form, require_png, require_writable_file, write_text
from textxfer_mm.inputs import find_config, require_checkpoint, require_device_name

if TYPE_CHECKING:
    from textxfer_mm.apis.interpolation import Interpolation
    from textxfer_mm.apis.interpolation_sweep import Sweep

#: What ``--batch-norm`` calls the config's own training list.
TRAIN = 'train'
#: Whose pipelines a sweep may take.
VIEWS = ('val', 'test')


def interpolate(
    pretrained: Annotated[
        str,
        typer.Argument(
            metavar='PRETRAINED', help="A checkpoint; or the word pretrained: what the config's training started from."
        ),
    ],
    fine_tuned: Annotated[str, typer.Argument(metavar='FINE_TUNED', help='A checkpoint, trained from the other one.')],
    alpha: Annotated[
        float | None,
        typer.Option(min=0, max=1, help='The share of the way: 0 is the pre-trained model, 1 the fine-tuned one.'),
    ] = None,
    out: Annotated[Path | None, typer.Option('--out', '-o', help='Checkpoint to write, with --alpha.')] = None,
    sweep: Annotated[bool, typer.Option('--sweep', help='Evaluate several models, and write none.')] = False,
    alphas: Annotated[str | None, typer.Option(help='Those of the sweep; by default 0,0.1,...,1.')] = None,
    unseen: Annotated[Path | None, typer.Option(help='List of videos of new classes, labels from 0.')] = None,
    unseen_labels: Annotated[
        str | None, typer.Option(help='Names of the new classes: a .txt, .csv or .json file, or a known list.')
    ] = None,
    seen: Annotated[
        Path | None, typer.Option(help="List of videos of the trained classes; by default the config's own.")
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(help='Folder where the paths of lists begin; by default that of each list.')
    ] = None,
    views: Annotated[str, typer.Option(help='Views of the sweep: those of the val or the test pipeline.')] = 'val',
    batch_norm: Annotated[
        str | None,
        typer.Option(help="Estimate BatchNorm anew on a list of training videos, or on 'train': the config's."),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help='Config of both; by default the one inside the fine-tuned checkpoint.')
    ] = None,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write the sweep to this JSON file.')] = None,
    plot: Annotated[Path | None, typer.Option(help='Plot seen against unseen accuracy to this PNG file.')] = None,
    device: Annotated[str | None, typer.Option(help='cpu, cuda, ...; by default the GPU where there is one.')] = None,
) -> None:
    """Keep zero-shot ability: weights between those before and after fine-tuning (WiSE-FT).

    Writes the model at --alpha, or evaluates a --sweep on videos of seen and unseen classes. Class names, config and
    counters are those of FINE_TUNED.
    """
    of_sweep = dict(alphas=alphas, unseen=unseen, unseen_labels=unseen_labels, seen=seen, json=json_file, plot=plot)
    _check_options(alpha, out, sweep, of_sweep)
    shares = None if alphas is None else _numbers(alphas)
    if views not in VIEWS:
        raise UserError(f'--views {shown(views)}: the views are those of the val or of the test pipeline.')
    _check_files((pretrained, fine_tuned, config, device), out, json_file, plot)
    from textxfer_mm.log_bridge import warnings_only

    with warnings_only():
        ends, training = _loaded((pretrained, fine_tuned, config), batch_norm, data_root)
        if sweep:
            lists = _lists(ends, seen, unseen, data_root, views)
            found = _swept(ends, lists, unseen_labels, shares, batch_norm=training, device=device)
            _report(found, ends, dict(views=views, batch_norm=batch_norm), json_file, plot)
        else:
            _write(ends, alpha, out, batch_norm=training, device=device)


def _check_options(alpha: float | None, out: Path | None, sweep: bool, of_sweep: dict[str, Any]) -> None:
    """Refuse options that exclude each other, or lack one another."""
    if sweep == (alpha is not None):
        raise UserError('Give --alpha with --out to write one model, or --sweep to evaluate several.')
    if sweep:
        if out is not None:
            raise UserError('--sweep writes no model: leave --out out, and write one with --alpha afterwards.')
        if of_sweep['unseen'] is None or of_sweep['unseen_labels'] is None:
            raise UserError('--sweep needs classes that are new to the model: --unseen LIST --unseen-labels NAMES.')
        return
    given = next((name for name, value in of_sweep.items() if value is not None), None)
    if given is not None:
        option = given.replace('_', '-')
        raise UserError(f'--{option} is an option of --sweep; --alpha writes one model and evaluates nothing.')
    if out is None:
        raise UserError('Say where to write the model: --out FILE.')


def _check_files(
    models: tuple[str, str, str | None, str | None], out: Path | None, json_file: Path | None, plot: Path | None
) -> None:
    """Check what is named before anything heavy is imported."""
    pretrained, fine_tuned, config, device = models
    for file in [fine_tuned] if pretrained == 'pretrained' else [pretrained, fine_tuned]:
        if require_checkpoint(file) is None:
            raise UserError(f'{file} is a URL; download the checkpoint first.')
        if out is not None and out.exists() and out.samefile(Path(file).expanduser()):
            raise UserError(f'--out {out} is one of the two checkpoints; give another file.')
    if config is not None:
        find_config(config)
    if device is not None:
        require_device_name(device, '--device')
    if out is not None:
        require_writable_file(out, '--out')
    if json_file is not None:
        require_form(json_file, '--json', '.json')
    if plot is not None:
        require_png(plot, '--plot')


def _numbers(text: str) -> list[float]:
    """The shares of a list with commas."""
    with suppress(ValueError):
        numbers = [float(word) for word in text.split(',')]
        if all(0 <= number <= 1 for number in numbers):
            return numbers
    raise UserError(f'--alphas {shown(text)}: give numbers from 0 to 1, such as 0,0.25,0.5,0.75,1.')


def _loaded(
    models: tuple[str, str, str | None], batch_norm: str | None, data_root: Path | None
) -> tuple['Interpolation', Any]:
    """Both models, and the dataloader of the videos that BatchNorm is estimated on, if it is to be."""
    with Console().status('Loading both models ...'):
        from textxfer_mm import register  # noqa: F401
        from textxfer_mm.apis.interpolation import Interpolation
        from textxfer_mm.apis.list_loaders import loader_of_list, training_list

        pretrained, fine_tuned, config = models
        ends = Interpolation(pretrained, fine_tuned, config=config)
        if batch_norm is None:
            return ends, None
        if batch_norm == TRAIN:
            return ends, training_list(ends.cfg)
        return ends, loader_of_list(ends.cfg, batch_norm, option='--batch-norm', data_root=data_root)


def _lists(ends: 'Interpolation', seen: Path | None, unseen: Path, data_root: Path | None, views: str) -> Any:
    """The dataloaders of seen and unseen classes."""
    from textxfer_mm.apis.list_loaders import loader_of_list, loader_of_phase

    common = dict(data_root=data_root, phase=views)
    own = (
        loader_of_phase(ends.cfg, views) if seen is None else loader_of_list(ends.cfg, seen, option='--seen', **common)
    )
    return own, loader_of_list(ends.cfg, unseen, option='--unseen', **common)


def _swept(ends: 'Interpolation', lists: Any, names: str, shares: list[float] | None, **options: Any) -> 'Sweep':
    """Evaluate, with a bar for what is going on."""
    from textxfer_mm.apis.interpolation_sweep import ALPHAS, sweep
    from textxfer_mm.text.class_names import load_class_names

    with progress_on(Console()) as progress:
        return sweep(ends, *lists, load_class_names(names), alphas=shares or ALPHAS, progress=progress, **options)


def _report(
    found: 'Sweep',
    ends: 'Interpolation',
    settings: dict[str, Any],
    json_file: Path | None,
    plot: Path | None,
) -> None:
    """Print the table, and write the files."""
    if json_file is not None:
        about = dict(pretrained=ends.pretrained, fine_tuned=ends.fine_tuned, **settings)
        write_text(json_file, json.dumps({**about, **found.report()}, indent=2, ensure_ascii=False))
    if plot is not None:
        from textxfer_mm.visualization import plot_trade_off

        plot_trade_off(plot, found.curves(), alphas=[point.alpha for point in found.points])
    console = Console()
    console.print(_table(found))
    for file in filter(None, (json_file, plot)):
        console.print(Text(f'Wrote {shown(file)}'), soft_wrap=True)


def _table(found: 'Sweep') -> Table:
    """Accuracies in per cent, a row a model."""
    seen, unseen = (f'{len(names)} classes' for names in (found.seen_names, found.unseen_names))
    table = Table(
        title='top-1 (%)',
        caption=f'{found.videos[0]:,} videos of {seen} seen, {found.videos[1]:,} of {unseen} unseen; alpha 0 is the '
        'pre-trained model. all: with all names competing; mean: the harmonic one; stacked: with a constant taken off '
        'the logits of the seen names, the best one for these videos',
        box=SIMPLE,
    )
    of_all = ('seen', 'unseen', 'mean')
    for column in ('alpha', 'seen', 'unseen', *(f'{kind}\n{name}' for kind in ('all', 'stacked') for name in of_all)):
        table.add_column(column, justify='right')
    for point in found.points:
        among_all = (point.seen_among_all, point.unseen_among_all, point.harmonic_mean)
        stacked = (point.stacked_seen, point.stacked_unseen, point.stacked_harmonic_mean)
        shares = (point.seen, point.unseen, *among_all, *stacked)
        table.add_row(f'{point.alpha:g}', *(f'{100 * share:.1f}' for share in shares))
    return table


def _write(ends: 'Interpolation', alpha: float, out: Path, **options: Any) -> None:
    """Write the checkpoint of one model."""
    from textxfer_mm.engine.checkpoint import write_checkpoint

    console = Console()
    with console.status('Interpolating ...'):
        write_checkpoint(out, ends.checkpoint(alpha, **options))
    console.print(
        Text(f'Wrote {shown(out)}: alpha {alpha:g}, from {ends.pretrained} to {ends.fine_tuned}'), soft_wrap=True
    )
