"""An exported model at run time: pixels in, scores out, among its own classes or others."""

from pathlib import Path

import numpy as np

from textxfer_mm.errors import UserError, shown
from textxfer_mm.exported.description import ModelDescription, unpack
from textxfer_mm.exported.inputs import ExportedInputs
from textxfer_mm.exported.rows import NamedRows
from textxfer_mm.exported.sessions import open_session


class ExportedModel:
    """A file of ``textxfer export``, ready to run.

    Args:
        path: The file, ``.onnx`` or ``.pt2``.
        device: Where it runs; None takes the CPU.
        threads: How many compute; None takes the default of the library.

    Attributes:
        description: What the file says of itself.
        classes: The class rows that it compares with, at first those of its checkpoint.
        inputs: What makes of a video the pixels that it takes.

    Raises:
        UserError: The file is missing, of another kind or damaged, or what runs it is missing (``NotAtHandError``).
    """

    def __init__(self, path: str | Path, device: str | None = None, threads: int | None = None) -> None:
        self.path = Path(path)
        self._session = open_session(path, device, threads)
        described, rows = unpack(self._session.metadata, str(path))
        if not isinstance(described, ModelDescription):
            raise UserError(f'{shown(path)} is an exported {described.kind}, not a model: give it as --text-encoder.')
        self.description = described
        own = (described.class_names, rows, described.encoder_id, described.templates, described.glosses)
        self.classes = NamedRows(*own)
        self.inputs = ExportedInputs(described.inputs)

    def compare_with(self, classes: NamedRows) -> None:
        """Recognise among other classes from now on.

        Raises:
            UserError: Their rows are of another width.
        """
        width = self.description.embed_dims
        if classes.rows.shape[1] != width:
            raise UserError(
                f'The class rows of {shown(self.path)} are {width} wide, those by {classes.encoder_id} '
                f'{classes.rows.shape[1]}. Use the text encoder the model was trained with, '
                f'{self.description.encoder_id}.'
            )
        self.classes = classes

    def logits(self, frames: np.ndarray) -> np.ndarray:
        """Logits (N, K) of the frames of N videos, uint8; see :class:`~textxfer_mm.exported.inputs.ExportedInputs`."""
        return self._session(frames, self.classes.rows)

    def scores(self, frames: np.ndarray) -> np.ndarray:
        """Scores (N, K) of the frames of N videos, uint8."""
        logits = self.logits(frames).astype(np.float64)
        if self.description.activation == 'none':
            return logits
        if self.description.activation == 'sigmoid':
            return np.exp(-np.logaddexp(0, -logits))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)
