"""What ``textxfer predict`` and its kin are told of labels and model: the options, their checks, and the model."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import UserError, shown
from textxfer_mm.inputs import (
    find_clip_folder,
    find_config,
    require_checkpoint,
    require_device_name,
    require_weights,
)
from textxfer_mm.text.class_names import check_class_names, load_class_names, split_class_names
from textxfer_mm.text.glosses.table import gloss_table
from textxfer_mm.text.templates import TEMPLATES, resolve_templates

Labels = Annotated[str | None, typer.Option(help='Class names, separated by commas.')]
LabelsFile = Annotated[
    str | None, typer.Option(help='Class names: a .txt, .csv or .json file, or a dataset name (kinetics400).')
]
ModelConfig = Annotated[str | None, typer.Option(help='Config of the model; needs no checkpoint for zero-shot.')]
Checkpoint = Annotated[Path | None, typer.Option(help='A trained model; its own config is used by default.')]
_CLIP_MODEL = (
    'A CLIP model instead: a name of open_clip such as ViT-B-32-quickgelu, or a folder with open_clip_config.json and '
    'weights'
)
CLIPModel = Annotated[str | None, typer.Option(help=f'{_CLIP_MODEL}.')]
CLIPOrExportedModel = Annotated[str | None, typer.Option(help=f'{_CLIP_MODEL}; or an exported model (.onnx, .pt2).')]
Pretrained = Annotated[
    str | None,
    typer.Option(
        help="open_clip tag or local file: weights of --model (openai by default), or of a config's text encoder."
    ),
]
Template = Annotated[
    str | None, typer.Option(help="Prompt such as 'a video of a person {}.', or the name of a template set.")
]
Glosses = Annotated[
    str | None,
    typer.Option(
        help='Glosses behind the class names: kinetics400, ucf101, hmdb51, imagenet1k, or a .csv or .json file; '
        'none leaves out those of the model.'
    ),
]
Dataset = Annotated[
    str | None, typer.Option(help='By the classes of which dataset it predicts, where the model has several.')
]
Device = Annotated[str | None, typer.Option(help='cpu, cuda, ...; by default the GPU where there is one.')]


#: Suffixes of lists of class names.
_LISTS = ('.txt', '.csv', '.tsv', '.json')


def refuse_two_lists(labels: str | None, labels_file: str | None) -> None:
    """Refuse labels that are given in both ways.

    Raises:
        UserError: They are.
    """
    if labels is not None and labels_file is not None:
        raise UserError('Give --labels or --labels-file, not both.')


def given_class_names(
    labels: str | None, labels_file: str | None = None, *, distinct: bool = True, takes_file: bool = True
) -> tuple[str, ...] | None:
    """The class names that were given, None where there are none.

    Args:
        labels: ``--labels`` as it was given.
        labels_file: ``--labels-file`` as it was given.
        distinct: As in :func:`~textxfer_mm.text.class_names.load_class_names`.
        takes_file: Whether the command has ``--labels-file``.

    Raises:
        UserError: ``--labels`` names a file, or they are no class names.
    """
    if labels is None:
        return None if labels_file is None else load_class_names(labels_file, distinct=distinct)
    if labels.lower().endswith(_LISTS):
        cure = 'give it as --labels-file' if takes_file else 'give the labels themselves, with commas between them'
        raise UserError(f'--labels {shown(labels)} looks like a file: {cure}.')
    return split_class_names(labels, distinct=distinct)


@dataclass(frozen=True)
class ChosenModel:
    """The options that say which labels to look for and with which model; each as it was given.

    Attributes:
        for_any_text: Whether no labels are looked for, and the model's own do not matter.
    """

    labels: str | None
    labels_file: str | None
    config: str | None
    checkpoint: Path | None
    model: str | None
    pretrained: str | None
    template: str | None
    glosses: str | None
    device: str | None
    dataset: str | None = None
    for_any_text: bool = False

    def check_options(self) -> None:
        """Refuse options that exclude each other, or lack one another.

        Raises:
            UserError: The first of them.
        """
        refuse_two_lists(self.labels, self.labels_file)
        if self.model is not None and (self.config is not None or self.checkpoint is not None):
            raise UserError('Give --model, or --config and --checkpoint, not both.')
        if self.config is None and self.checkpoint is None:
            if self.pretrained is not None and self.model is None:
                raise UserError(
                    '--pretrained are the weights of a CLIP model: say which, such as --model ViT-B-32-quickgelu.'
                )
            if self.labels is None and self.labels_file is None and not self.for_any_text:
                raise UserError('Say which labels to look for: --labels "waving,clapping" or --labels-file labels.txt.')

    def check(self) -> None:
        """Check, as far as that is known without torch, that all of them name something.

        Raises:
            UserError: The first that does not.
        """
        names = self._class_names()
        if self.glosses not in (None, 'none'):
            table = gloss_table(self.glosses)
            if names is not None:
                check_class_names(names, table.find(names))
        if self.config is not None:
            find_config(self.config)
        if self.checkpoint is not None:
            require_checkpoint(self.checkpoint)
        if self.model is not None and find_clip_folder(self.model) is not None and self.pretrained is not None:
            raise UserError(f'--model {self.model} is a folder, which holds its weights: leave --pretrained out.')
        if self.template is not None and self.template not in TEMPLATES:
            resolve_templates(self.template)
        if self.pretrained is not None:
            require_weights(self.pretrained, '--pretrained')
        if self.device is not None:
            require_device_name(self.device, '--device')

    def load(self, console: Console) -> Any:
        """Build the model, with its class names embedded unless any text is looked for.

        Raises:
            UserError: The options do not fit together, or weights are not at hand.
        """
        with console.status('Loading the model ...'):
            from textxfer_mm import register  # noqa: F401
            from textxfer_mm.apis.chosen_model import load_chosen
            from textxfer_mm.log_bridge import warnings_only

            model = dict(config=self.config, checkpoint=self.checkpoint, clip=self.model, pretrained=self.pretrained)
            options = dict(template=self.template, glosses=self.glosses, device=self.device)
            options |= dict(labels=self._class_names(), dataset=self.dataset, for_any_text=self.for_any_text)
            with warnings_only():
                recognizer = load_chosen(**model, **options)
        if not self.for_any_text:
            with warnings_only():
                _embed_names(recognizer, console)
        return recognizer

    def _class_names(self) -> tuple[str, ...] | None:
        """The class names that were given, if any."""
        return given_class_names(self.labels, self.labels_file, distinct=self.glosses is None)


def _embed_names(recognizer: Any, console: Console) -> None:
    """Embed the class names, unless the model has rows already: many of them take minutes, which a bar shows."""
    from textxfer_mm.engine.classes import rows_of
    from textxfer_mm.text.encoding import telling_progress

    rows = rows_of(recognizer)
    if rows is None or rows.is_filled:
        return
    with progress_on(console) as tell, telling_progress(partial(tell, 'Embedding the class names')):
        rows.fill()
