"""What an exported file says of itself: JSON beside the network, and class rows as text."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from textxfer_mm.errors import UserError, shown

#: The keys of the metadata of a file: what it says of itself, and the class rows of its checkpoint.
DESCRIPTION, ROWS = 'textxfer_mm', 'textxfer_mm_class_rows'
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelDescription:
    """What a model that was exported says of itself.

    Attributes:
        class_names: K names, in the order of the class rows.
        templates: The M templates of their prompts.
        glosses: The glosses behind the names, a list for each class; empty where there were none.
        encoder_id: What made the class rows.
        embed_dims: D, the width of class rows.
        scale: The factor of the cosines.
        bias: What is added to the logits.
        mean: Of the pixels, by channel; the network subtracts it itself.
        std: Of the pixels, by channel; the network divides by it itself.
        size: (H, W) of the frames, in pixels.
        num_frames: T of a clip; 1 for a model of images.
        num_views: V, views of a video; for a model of 2-D frames and one of images that is the number of frames.
        average_clips: How the network averages views: 'feature', 'prob' or 'score'.
        activation: What makes scores of its logits: 'softmax', 'sigmoid' (several labels) or 'none'.
        rows_are_trained: Whether training moved the class rows, so that others may not fit.
        inputs: The test pipeline as plain data, see :class:`~textxfer_mm.exported.inputs.ExportedInputs`.
        made_by: The version of the package.
    """

    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    glosses: tuple[tuple[str, ...], ...]
    encoder_id: str
    embed_dims: int
    scale: float
    bias: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    num_frames: int
    num_views: int
    average_clips: str
    activation: str
    rows_are_trained: bool
    inputs: Mapping[str, Any]
    made_by: str

    kind = 'recognizer'


@dataclass(frozen=True)
class TextDescription:
    """What a text encoder that was exported says of itself.

    Attributes:
        encoder_id: Which it is.
        embed_dims: D.
        context_length: The most tokens of a prompt.
        pad_id: The id of padding.
        pad_to: Tokens that prompts are padded to; None pads to the longest of a batch.
        tokenizer: ``tokenizer.json`` of the package tokenizers.
        cleaning: What becomes of a text before: 'clip' or 'none'.
        templates: The templates of the classifier that it made.
        made_by: The version of the package.
    """

    encoder_id: str
    embed_dims: int
    context_length: int
    pad_id: int
    pad_to: int | None
    tokenizer: str
    cleaning: str
    templates: tuple[str, ...]
    made_by: str

    kind = 'text encoder'


Description = ModelDescription | TextDescription


def pack(description: Description, rows: np.ndarray | None = None) -> dict[str, str]:
    """The metadata of a file.

    Args:
        description: What it says of itself.
        rows: Class rows (K, D) of a model.
    """
    stated = dict(format_version=FORMAT_VERSION, kind=description.kind, **asdict(description))
    metadata = {DESCRIPTION: json.dumps(stated, ensure_ascii=False)}
    if rows is not None:
        metadata[ROWS] = base64.b64encode(np.ascontiguousarray(rows, '<f4').tobytes()).decode('ascii')
    return metadata


def unpack(metadata: Mapping[str, str], name: str) -> tuple[Description, np.ndarray | None]:
    """What a file says of itself, and its class rows (K, D).

    Args:
        metadata: The metadata of a file.
        name: The file, for messages.

    Raises:
        UserError: It is not one of ``textxfer export``, of a newer version, or damaged.
    """
    if not metadata.get(DESCRIPTION):
        raise UserError(f'{shown(name)} was not written by textxfer export: it does not say how it is to be used.')
    try:
        stated = json.loads(metadata[DESCRIPTION])
        version, kind = stated.pop('format_version'), stated.pop('kind')
        if version != FORMAT_VERSION:
            raise UserError(
                f'{shown(name)} was exported in format {version}, this version of textxfer_mm reads {FORMAT_VERSION}: '
                'export it again, or update the package.'
            )
        known = {each.kind: each for each in (ModelDescription, TextDescription)}[kind]
        described = known(**{field.name: _plain(stated[field.name]) for field in fields(known)})
        if not isinstance(described, ModelDescription):
            return described, None
        rows = np.frombuffer(base64.b64decode(metadata[ROWS]), '<f4').astype(np.float32)
        return described, rows.reshape(len(described.class_names), described.embed_dims)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f'{shown(name)} is damaged: what it says of itself cannot be read. Export it again.') from error


def _plain(value: Any) -> Any:
    """Lists of JSON as tuples, those inside of dicts left as they are."""
    return tuple(map(_plain, value)) if isinstance(value, list) else value
