"""What is asked for, a text or a file, as a vector that is compared with moments."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from textxfer_mm.apis.retrieval import text_encoder
from textxfer_mm.apis.search.moments import MomentEncoder, embedding_width
from textxfer_mm.classifiers.ensembles import embed_prompts, ensemble
from textxfer_mm.engine.classes import rows_of
from textxfer_mm.errors import UserError, shown
from textxfer_mm.text.templates import resolve_templates

#: What a text encoder is needed for, in messages.
_NEED = 'Search by text needs a text encoder'


def require_text(model: nn.Module, text: str, template: str | None) -> None:
    """Refuse a text that cannot be searched for, before hours of indexing.

    Args:
        model: The model that indexes.
        text: The text.
        template: A prompt for it, or the name of a set of them; None takes the text as it is written.

    Raises:
        UserError: See :func:`vector_of_text`.
    """
    vector_of_text(model, text, templates_of(template), embedding_width(model))


def templates_of(template: str | None) -> tuple[str, ...]:
    """The templates of an option: a prompt, or the name of a set of them; None takes a text as it is written."""
    return ('{}',) if template is None else tuple(resolve_templates(template))


def vector_of_text(model: nn.Module, text: str, templates: Sequence[str], width: int) -> Tensor:
    """The embedding (D,) of a text, of unit norm; averaged over templates as that of a class name is.

    Args:
        model: The model that the moments are of.
        text: The text.
        templates: M templates.
        width: D of the moments.

    Raises:
        UserError: The model has no text encoder, or one that knows no word of the text or is not for these moments.
    """
    text = text.strip()
    encode = text_encoder(model, _NEED)
    reader = getattr(rows_of(model), 'reader', lambda: None)()
    if callable(getattr(reader, 'unknown', None)) and reader.unknown([text]) == [1.0]:
        raise UserError(f'The text encoder knows no part of {shown(text)!r}: give words of its language.')
    vector = ensemble(embed_prompts(encode, templates, [text]))[0].float().cpu()  # (D,)
    if len(vector) != width:
        raise UserError(
            f'Texts are embedded {len(vector)} wide and videos {width}: this model was not made to compare them. '
            'Search with a video instead.'
        )
    return functional.normalize(vector, dim=0)


def vector_of_file(encoder: MomentEncoder, file: Path) -> Tensor:
    """The embedding (D,) of a video or an image as a whole, the mean of its moments, of unit norm.

    Raises:
        UserError: It cannot be decoded.
    """
    found = next(encoder.encode([file]))
    if found.reason:
        raise UserError(f'The query {shown(file)} cannot be decoded: {found.reason}.')
    return functional.normalize(found.vectors.mean(0), dim=0)
