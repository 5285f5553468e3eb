"""``textxfer export``: a model as one file that stays open-vocabulary and needs no MMAction2."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.cli.model_options import Dataset, Labels, LabelsFile, ModelConfig, given_class_names, refuse_two_lists
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.inputs import CONFIG_SUFFIXES, find_config, is_exported, require_checkpoint, require_weights


def export(
    checkpoint: Annotated[
        str, typer.Argument(metavar='CHECKPOINT', help='A trained model; or a config, or the name of a CLIP model.')
    ],
    out: Annotated[Path, typer.Argument(metavar='OUT', help='For onnxruntime (.onnx), or for PyTorch (.pt2).')],
    config: ModelConfig = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            help="open_clip tag or local file: weights of a CLIP model (openai by default), or of a config's text "
            'encoder.'
        ),
    ] = None,
    labels: Labels = None,
    labels_file: LabelsFile = None,
    dataset: Dataset = None,
    text_encoder: Annotated[
        Path | None, typer.Option(help='Export the text encoder as well, to this file (.onnx, .pt2).')
    ] = None,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace files that are there.')] = False,
) -> None:
    """Write a model to one file: frames and class rows in, logits out.

    It stays open-vocabulary: `textxfer predict --model OUT` recognises the classes of the checkpoint, or others whose
    class rows it is given, without MMAction2. What was written is compared with the model before it takes its place.
    """
    refuse_two_lists(labels, labels_file)
    if is_exported(checkpoint):
        raise UserError(f'{shown(checkpoint)} is exported already: give the checkpoint that it was made from.')
    _require_model(checkpoint, config)
    if pretrained is not None:
        require_weights(pretrained, '--pretrained')
    names = given_class_names(labels, labels_file)
    console = Console()
    with console.status('Exporting ...'):
        from textxfer_mm import register_all_modules

        register_all_modules()
        from textxfer_mm.apis.exporting.export import export_model
        from textxfer_mm.log_bridge import warnings_only

        model, weights = (config, checkpoint) if config is not None else (checkpoint, None)
        options = dict(checkpoint=weights, pretrained=pretrained, labels=names, dataset=dataset)
        with warnings_only():
            done = export_model(model, out, **options, text_encoder=text_encoder, overwrite=overwrite)
    said = done.description
    axes = 'VCTHW' if len(done.shape) == 5 else 'VCHW'
    lines = [
        f'Wrote {shown(done.file)}: frames (N, {", ".join(axes)}) = (N, {", ".join(map(str, done.shape))}), uint8; '
        f'class rows (K, {said.embed_dims}); logits (N, K)',
        f'its own classes: {first_few(said.class_names)}',
        f'checked with 1 and 3 videos and other class rows: logits differ by {done.difference:.1e} from the model, the '
        f'largest is {done.largest:.3g}',
    ]
    if done.text_file is not None:
        lines.append(
            f'Wrote {shown(done.text_file)}: the text encoder {said.encoder_id} with its tokenizer; class rows differ '
            f'by {done.text_difference:.1e}'
        )
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _require_model(checkpoint: str, config: str | None) -> None:
    """Refuse, as far as that is known without torch, what is not there.

    Raises:
        UserError: The checkpoint or the config does not exist.
    """
    suffix = Path(checkpoint).suffix.lower()
    if config is not None:
        find_config(config)
        require_checkpoint(checkpoint)
    elif suffix in CONFIG_SUFFIXES:
        find_config(checkpoint)
    elif suffix in ('.pth', '.pt', '.safetensors', '.bin'):
        require_checkpoint(checkpoint)
    elif Path(checkpoint).is_file() or (
        Path(checkpoint).is_dir() and not (Path(checkpoint) / 'open_clip_config.json').is_file()
    ):
        raise UserError(
            f'{shown(checkpoint)} is no model: give a checkpoint (.pth), a config (.py), a folder with '
            'open_clip_config.json, or the name of a CLIP model.'
        )
