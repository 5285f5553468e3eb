"""What ``textxfer predict`` is told of an exported model: the options, their checks, and the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.cli.model_options import given_class_names, refuse_two_lists
from textxfer_mm.errors import UserError, shown
from textxfer_mm.inputs import is_exported, require_device_name, require_file

Rows = Annotated[
    Path | None,
    typer.Option(help='Class rows for an exported model: a classifier file (.safetensors), with its class names.'),
]
TextEncoderFile = Annotated[
    Path | None,
    typer.Option(help='The exported text encoder of an exported model, which makes class rows of other labels.'),
]
#: What has no effect on an exported model, and why.
_FIXED = dict(
    config='its config is in it',
    checkpoint='its weights are in it',
    pretrained='its weights are in it',
    glosses='give class rows that were made with glosses by --rows',
    dataset='its classes were chosen when it was exported',
    amp='it computes as it was exported',
    workers='one thread decodes ahead of it',
)


def refuse_exported_options(rows: Path | None, text_encoder: Path | None) -> None:
    """Refuse the options of exported models for one of another kind.

    Raises:
        UserError: One of them was given.
    """
    for option, value in (('--rows', rows), ('--text-encoder', text_encoder)):
        if value is not None:
            raise UserError(f'{option} {shown(value)} is for an exported model: give that too, --model model.onnx.')


@dataclass(frozen=True)
class ExportedOptions:
    """The options that say which labels to look for and with which exported model; each as it was given."""

    labels: str | None
    labels_file: str | None
    config: str | None
    checkpoint: Path | None
    model: str
    pretrained: str | None
    template: str | None
    glosses: str | None
    device: str | None
    dataset: str | None
    rows: Path | None
    text_encoder: Path | None

    def refuse_others(self, **others: Any) -> None:
        """Refuse options that have no effect on an exported model.

        Args:
            others: Those that are not of this object, by name.

        Raises:
            UserError: The first of them.
        """
        for option, reason in _FIXED.items():
            value = others.get(option, getattr(self, option, None))
            if value is not None and value is not False:
                raise UserError(f'--{option} has no effect on the exported model {shown(self.model)}: {reason}.')

    def check_options(self) -> None:
        """Refuse options that exclude each other, or lack one another.

        Raises:
            UserError: The first of them.
        """
        from textxfer_mm.apis.exported_recognizer import require_sources

        refuse_two_lists(self.labels, self.labels_file)
        has_labels = self.labels is not None or self.labels_file is not None
        require_sources(has_labels, self.rows, self.text_encoder, self.template)

    def check(self) -> None:
        """Check that all of them name something.

        Raises:
            UserError: The first that does not.
        """
        require_file(self.model, 'exported model', '*.onnx')
        if self.rows is not None:
            require_file(self.rows, 'classifier file', '*.safetensors')
        if self.text_encoder is not None:
            require_file(self.text_encoder, 'exported text encoder', '*.onnx')
            if not is_exported(self.text_encoder):
                raise UserError(f'--text-encoder {shown(self.text_encoder)}: exported files end in .onnx or .pt2.')
        if self.device is not None:
            require_device_name(self.device, '--device')
        given_class_names(self.labels, self.labels_file)

    def load(self, console: Console, batch_size: int) -> Any:
        """Open the model, and say where class rows may not fit it.

        Raises:
            UserError: The files are damaged, of another kind, or do not fit together.
        """
        from textxfer_mm.apis.exported_recognizer import ExportedRecognizer

        with console.status('Loading the model ...'):
            recognizer = ExportedRecognizer(
                self.model,
                labels=given_class_names(self.labels, self.labels_file),
                rows=self.rows,
                text_encoder=self.text_encoder,
                template=self.template,
                device=self.device,
                batch_size=batch_size,
            )
        if recognizer.model.description.rows_are_trained and (self.rows or self.text_encoder):
            console.print(
                Text('The class rows of this model were trained with it: its features may not fit others as well.'),
                soft_wrap=True,
            )
        return recognizer
