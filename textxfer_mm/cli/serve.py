"""``textxfer serve``: a page for people without a terminal."""

import re
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.cli.model_options import CLIPModel, Dataset, Device, Pretrained, given_class_names
from textxfer_mm.errors import UserError, shown
from textxfer_mm.inputs import find_config, require_checkpoint, require_device_name, require_seconds, require_weights

#: Files that trainings write by these names, whatever they trained: the folder says more.
_BY_HABIT = re.compile(r'model|best.*|last.*|(epoch|iter)_\d+')
_PACKAGED = 'packaged model'
_OF_PACKAGED = 'The packaged model sees objects rather than motion, and is far weaker than CLIP.'


def serve(
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help='A trained model; give it several times for several models.')
    ] = None,
    model: CLIPModel = None,
    pretrained: Pretrained = None,
    config: Annotated[
        str | None, typer.Option(help='Config of the checkpoints in the place of their own; alone, a model as it is.')
    ] = None,
    dataset: Dataset = None,
    labels: Annotated[str | None, typer.Option(help='Labels that stand on the page, separated by commas.')] = None,
    videos: Annotated[Path | None, typer.Option(help='A folder of videos and images to choose from.')] = None,
    host: Annotated[
        str,
        typer.Option(help='The address to listen at; by default only this machine can open the page. 0.0.0.0: anyone.'),
    ] = '127.0.0.1',
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar='NAME',
            help='Another name that the page is called by, such as that of a proxy on this machine; several times for '
            'several. Not needed where --host opens it to others.',
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help='The port; 0 takes any that is free.')] = 7860,
    max_size: Annotated[float, typer.Option(min=0.01, help='The largest upload, in MB.')] = 200,
    keep: Annotated[
        float, typer.Option(min=1, help='Seconds after which an upload that nobody has used since is deleted.')
    ] = 600,
    device: Device = None,
) -> None:
    """Open a page where people give a video and labels, and see scores, the frames that were used and a timeline.

    Without --checkpoint, --model or --config the packaged model answers: it needs no download, knows no motion and is
    far weaker than CLIP. The page needs gradio: the extra web. It ends with Ctrl-C, and leaves no upload behind.
    """
    from textxfer_mm.web.server import free_port, is_open_to_others, require_gradio

    require_gradio()
    names = given_class_names(labels, takes_file=False) or ()
    chosen = _chosen(checkpoint or [], model, pretrained, config, dataset)
    if device is not None:
        require_device_name(device, '--device')
    require_seconds(keep, '--keep')
    if max_size == float('inf'):
        raise UserError(f'--max-size {max_size:g} is no size: give a number of megabytes.')
    wrong = next((name for name in allow_host or () if not re.fullmatch(r'[A-Za-z0-9._-]+', name)), None)
    if wrong is not None:
        raise UserError(
            f'--allow-host {shown(wrong)}: give the name of a host alone, such as demo.example.org, as browsers send '
            'it (xn--... where it has other letters).'
        )
    free_port(host, port)  # before the models are loaded, which takes a while
    is_open = is_open_to_others(host)
    if allow_host and is_open:
        raise UserError(f'--allow-host has no effect with --host {host}, which answers to every name: leave it out.')
    if videos is not None:
        from textxfer_mm.web.video_folder import VideoFolder

        VideoFolder(videos)
    console = Console()
    with console.status('Loading the models ...'):
        models = [_load(name, given, device) for name, given in chosen.items()]

        from textxfer_mm.web.server import serving

    limits = dict(most_megabytes=max_size, keep=keep)
    options = dict(videos=videos, labels=names, host=host, port=port, other_names=allow_host or (), **limits)
    with serving(models, **options) as address:
        console.print(Text(f'The page is at {address} (Ctrl-C ends it). Models: {", ".join(chosen)}.'), soft_wrap=True)
        if is_open:
            console.print(
                Text(f'--host {host}: whoever reaches this machine can use the page, without a password.'),
                soft_wrap=True,
            )
        threading.Event().wait()


def _chosen(
    checkpoints: list[Path], model: str | None, pretrained: str | None, config: str | None, dataset: str | None
) -> dict[str, dict[str, Any]]:
    """The models by name, each as ``load_chosen`` takes it.

    Raises:
        UserError: One of them names nothing.
    """
    if config is not None:
        find_config(config)
    if dataset is not None and config is None and not checkpoints:
        raise UserError('--dataset chooses among the datasets of a trained model: give its --checkpoint.')
    if pretrained is not None:
        if model is None:
            raise UserError('--pretrained are the weights of --model: say which, such as ViT-B-32-quickgelu.')
        require_weights(pretrained, '--pretrained')
    found: dict[str, dict[str, Any]] = {}
    for path in checkpoints:
        require_checkpoint(path)
    for name, path in _named(list(dict.fromkeys(checkpoints))).items():
        found[name] = dict(checkpoint=path, config=config, dataset=dataset)
    if config is not None and not checkpoints:
        found[Path(config).stem] = dict(config=config, dataset=dataset)
    if model is not None:
        found[model] = dict(clip=model, pretrained=pretrained)
    return found or {_PACKAGED: {}}


def _named(checkpoints: Sequence[Path]) -> dict[str, Path]:
    """Checkpoints by what the page calls them: by their files, or by their folders where that says more.

    Of those that have a name in common each is called by its folder and its file, or by its path if that does not help.
    """
    folders = {path: path.resolve().parent.name for path in checkpoints}
    ways = (
        {path: (_BY_HABIT.fullmatch(path.stem) and folders[path]) or path.stem for path in checkpoints},
        {path: f'{folders[path]}/{path.stem}' for path in checkpoints},
        {path: str(path) for path in checkpoints},
    )
    names = ways[0]
    for way in ways[1:]:
        times = Counter(names.values())
        names = {path: way[path] if times[name] > 1 else name for path, name in names.items()}
    return {name: path for path, name in names.items()}


def _load(name: str, given: dict[str, Any], device: str | None) -> Any:
    """Build a model.

    Raises:
        UserError: It cannot be served; the message names it.
    """
    from textxfer_mm import register  # noqa: F401
    from textxfer_mm.apis.chosen_model import load_chosen
    from textxfer_mm.apis.recognizer import Recognizer
    from textxfer_mm.log_bridge import warnings_only
    from textxfer_mm.web.served_models import ServedModel

    has_own_classes = 'config' in given or 'checkpoint' in given
    try:
        with warnings_only():
            recognizer = Recognizer(load_chosen(**given, device=device, for_any_text=True))
        return ServedModel(name, recognizer, has_own_classes, '' if given else _OF_PACKAGED)
    except UserError as error:
        raise UserError(f'{name} cannot be served: {error}') from error
