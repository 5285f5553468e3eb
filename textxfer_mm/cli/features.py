"""``textxfer features``: what a frozen backbone makes of videos, written once for many trainings."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import require_writable_folder, write_text
from textxfer_mm.inputs import SPLITS, find_config, require_checkpoint, require_device_name


def features(
    config: Annotated[str, typer.Argument(metavar='CONFIG', help='Config of a recognizer, with its lists of videos.')],
    out: Annotated[Path, typer.Argument(metavar='OUT', help='Folder to write: OUT/train, OUT/val and OUT/config.py.')],
    checkpoint: Annotated[
        Path | None, typer.Option(help='A trained model; by default the weights that training starts from.')
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help='train, val or test; may be given several times. By default train and val.')
    ] = None,
    copies: Annotated[
        int,
        typer.Option(
            min=0, help='Augmented copies of each training video; by default it is one, by the pipeline of validation.'
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help='Seed of the copies.')] = 0,
    shard_size: Annotated[int, typer.Option(min=1, help='Videos a file.')] = 1000,
    verify: Annotated[
        bool, typer.Option('--verify', help='Read the videos of files that are there; redo those that have changed.')
    ] = False,
    cfg_options: Annotated[
        list[str] | None, typer.Option(help='Override a setting of the config: key=value; may be given several times.')
    ] = None,
    launcher: Annotated[
        str, typer.Option(help='none, pytorch, slurm or mpi: the processes, or jobs of an array, share the files.')
    ] = 'none',
    device: Annotated[str | None, typer.Option(help='cpu, cuda, ...; by default the GPU where there is one.')] = None,
) -> None:
    """Write what the backbone of a config makes of each frame, and the config that trains neck and head on it.

    Files that are there are passed over, so a run that was stopped goes on where it was. Videos that cannot be decoded
    are left out and named.
    """
    find_config(config)
    if checkpoint is not None:
        require_checkpoint(checkpoint)
    if device is not None:
        require_device_name(device, '--device')
    for name in split or ():
        if name not in SPLITS:
            raise UserError(f'--split is {", ".join(SPLITS)}, got {name!r}.')
    require_writable_folder(out, 'OUT')

    console = Console()
    with console.status('importing'):
        from textxfer_mm import register_all_modules

        register_all_modules()
        from textxfer_mm.apis.feature_cache import config_on_features, write_features
        from textxfer_mm.engine.ranks import local_device, rank_and_size

    rank, size = rank_and_size(launcher)
    cfg, splits = _load(config, cfg_options, split)
    with progress_on(console) as tell:

        def progress(name: str, done: int, total: int) -> None:
            tell(f'Encoding {name}', done, total)

        options = dict(splits=splits, copies=copies, checkpoint=checkpoint, shard_size=shard_size, seed=seed)
        options |= dict(verify=verify, device=device or local_device(size), rank=rank, size=size)
        written = write_features(cfg, out, **options, progress=progress if rank == 0 else None)
    if rank == 0:
        for one in written:
            _tell(console, one)
        if 'train' in splits and not any(one.missing for one in written):
            write_text(out / 'config.py', config_on_features(cfg, out).pretty_text)
            console.print(Text(f'Train on them: python tools/train.py {shown(out / "config.py")}'), soft_wrap=True)


def _load(config: str, cfg_options: list[str] | None, split: list[str] | None) -> tuple[Any, list[str]]:
    """The config, with its data checked, and the splits whose videos are encoded."""
    from textxfer_mm.engine.config_files import load_config
    from textxfer_mm.engine.config_parts import check_model_and_datasets
    from textxfer_mm.engine.data_checks import check_datasets
    from textxfer_mm.engine.launch import merge_options, options_of_words, require_parts

    cfg = load_config(config)
    merge_options(cfg, options_of_words(cfg_options or ()), config)
    require_parts(cfg, ('model',), config)
    splits = list(dict.fromkeys(split or (name for name in ('train', 'val') if cfg.get(f'{name}_dataloader'))))
    require_parts(cfg, [f'{name}_dataloader' for name in splits or ['train']], config)
    check_model_and_datasets(cfg)
    check_datasets(cfg, splits, may_miss=splits)
    return cfg, splits


def _tell(console: Console, written: Any) -> None:
    """Say what is there of a split, and which videos are not."""
    record = written.record
    kept = f'{record.videos - len(written.skipped)} of {record.videos} videos'
    if written.missing:
        kept = f'{record.shards - written.missing} of {record.shards} files, the rest is not there (yet)'
    copies = f', {record.copies} copies of each' if record.copies else ''
    console.print(Text(f'{shown(written.folder)}: features of {kept}{copies}.'), soft_wrap=True)
    if written.redone:
        console.print(Text(f'{len(written.redone)} videos had changed since; their files were written anew.'))
    for name, reason in written.skipped.items():
        console.print(Text(f'left out: {shown(name)}: {shown(reason)}', style='yellow'), soft_wrap=True)
