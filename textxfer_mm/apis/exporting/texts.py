"""The text encoder behind class rows as a file that stands alone, with its tokenizer."""

from pathlib import Path

import numpy as np
import torch
from torch.export import Dim

from textxfer_mm.apis.exporting.files import write_graph
from textxfer_mm.apis.exporting.graphs import TextGraph
from textxfer_mm.apis.exporting.tokenizers import require_plain, tokenizer_of_clip
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.ensembles import embed_prompts, ensemble
from textxfer_mm.classifiers.prompt_rows import PromptRows
from textxfer_mm.errors import UserError
from textxfer_mm.exported.description import TextDescription, pack
from textxfer_mm.exported.texts import ExportedTextEncoder
from textxfer_mm.files import replacing
from textxfer_mm.text.minilm import MiniLMTower
from textxfer_mm.text.text_tower import CLIPTextTower, TextTower
from textxfer_mm.version import __version__

#: Class rows by the file and by the encoder differ by no more.
TOLERANCE = 1e-4
#: Names that are read by both, beside the first of the model's.
_PROBES = ('waving', "playing the  Violin's strings", 'caf\u00e9 &amp; \u6f22\u5b57', '3 cats, 12 dogs!')
_MOST_NAMES = 16


def export_text_encoder(rows: ClassRows, file: Path) -> float:
    """Export the text encoder behind class rows: token ids in, embeddings out.

    The file is loaded again, and its class rows of some names are compared with the encoder's.

    Args:
        rows: The class rows of a model.
        file: The file, ``.onnx`` or ``.pt2``.

    Returns:
        The largest difference between the class rows of both.

    Raises:
        UserError: There is no text encoder, it is not at hand or cannot be exported, or the file differs from it.
    """
    tower = tower_of(rows).eval()
    described = _describe(tower, rows.templates or ('{}',))
    length = described.pad_to or 5
    example = torch.ones(2, length, dtype=torch.long)
    free = {0: Dim('n')} | ({} if described.pad_to else {1: Dim('L', max=described.context_length)})
    with replacing(file) as part:
        write_graph(TextGraph(tower).eval(), [example], [free], 'embeddings', part, pack(described))
        exported = ExportedTextEncoder(part)
        names = (*_PROBES, *rows.class_names[:_MOST_NAMES])
        with torch.no_grad():
            wanted = ensemble(embed_prompts(lambda texts: tower(tower.tokenize(texts)), described.templates, names))
        wanted = torch.nn.functional.normalize(wanted, dim=-1).numpy()
        difference = float(np.abs(exported.rows(names).rows - wanted).max())
        if not difference <= TOLERANCE:
            raise UserError(
                f'The exported text encoder differs from {described.encoder_id} by {difference:.2g}: nothing was '
                'written. Give class rows of other names by --rows with a classifier file instead.'
            )
    return difference


def tower_of(rows: ClassRows) -> TextTower:
    """The text tower that makes class rows.

    Raises:
        UserError: There is none, it is not at hand, or learned prompts stand before the names.
    """
    if isinstance(rows, PromptRows):
        raise UserError(
            'The prompts of this model are learned vectors, not text: its text encoder alone cannot make class rows of '
            'other names. Leave --text-encoder out, and give class rows by --rows at run time.'
        )
    if hasattr(rows, 'require_tower'):
        return rows.require_tower()
    encoder = rows.reader()
    if not callable(getattr(encoder, 'tower', None)):
        raise UserError(
            f'The class rows of this model are by {rows.encoder_id or type(rows.source).__name__}, which is no text '
            'encoder with a tower: leave --text-encoder out.'
        )
    return encoder.tower()


def _describe(tower: TextTower, templates: tuple[str, ...]) -> TextDescription:
    """What the file will say of itself.

    Raises:
        UserError: A tower of this kind cannot be exported.
    """
    if isinstance(tower, CLIPTextTower):
        require_plain(tower.tokenizer, tower.encoder_id)
        reading = dict(tokenizer=tokenizer_of_clip(tower.tokenizer), cleaning='clip')
        padding = dict(pad_id=0, pad_to=tower.context_length)
    elif isinstance(tower, MiniLMTower):
        reading = dict(tokenizer=tower.tokenizer.to_str(), cleaning='none')
        padding = dict(pad_id=-1, pad_to=None)
    else:
        raise UserError(
            f'The text encoder {tower.encoder_id} cannot be exported: CLIP and the packaged language model can. Give '
            'class rows of other names by --rows with a classifier file instead.'
        )
    return TextDescription(
        encoder_id=tower.encoder_id,
        embed_dims=tower.embed_dims,
        context_length=tower.context_length,
        templates=templates,
        made_by=f'textxfer_mm {__version__}',
        **reading,
        **padding,
    )
