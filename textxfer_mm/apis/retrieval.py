"""Retrieval with a model of two towers: images or videos by their captions, and captions by them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from textxfer_mm.apis.encoding import Videos, encode_videos, read_dataset
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.engine.frameworks import embeddings_of, features_of, head_module
from textxfer_mm.errors import UserError, shown
from textxfer_mm.evaluation.protocols import Measure
from textxfer_mm.evaluation.retrieval import retrieval_recalls
from textxfer_mm.parts.captions import CAPTION_KEYS


@dataclass(frozen=True)
class Retrieval:
    """Recalls of a list of captioned items.

    Attributes:
        recalls: By ``text_to_item_r{k}`` and ``item_to_text_r{k}``.
        items: How many images or videos there are.
        captions: How many captions they have in all.
        skipped: Items that could not be decoded, left out with their captions, and why.
    """

    recalls: Mapping[str, Measure]
    items: int
    captions: int
    skipped: Mapping[str, str]


def evaluate_retrieval(
    model: nn.Module,
    dataloader: Mapping[str, Any],
    *,
    ks: Sequence[int] = (1, 5, 10),
    progress: Callable[[int, int], None] | None = None,
) -> Retrieval:
    """Recall among the best k in both directions, see :func:`~textxfer_mm.evaluation.retrieval.retrieval_recalls`.

    With several processes each encodes its share, and all return the whole. Views and frames of a video are averaged.

    Args:
        model: A recognizer or image classifier with a head of this package whose text encoder is at hand; it is put
            into evaluation mode.
        dataloader: A dataloader config. Each entry of its dataset has ``caption`` or ``text``, one text or several;
            entries of one file are one item.
        ks: How many of the best count.
        progress: Called with the number of encoded items of this process and the number of all of its share.

    Raises:
        UserError: The model has no text encoder, the list is empty, an entry has no caption, or there is nothing to be
            told apart.
    """
    encode_texts = text_encoder(model)
    model.eval()
    dataset = read_dataset(dataloader['dataset'])
    first, captions = _items(dataset)
    videos = Videos(dataset, lambda labels: first)
    made = encode_videos(videos, lambda batch: [embed_items(model, batch)], dataloader, progress)
    texts = [(item, text) for item, position in enumerate(made.rows) for text in captions[position]]
    (items,) = made.stacked()
    embeddings = encode_texts([text for _, text in texts])
    recalls = retrieval_recalls(items, embeddings, torch.tensor([item for item, _ in texts]), ks)
    skipped = {videos.names[position]: reason for position, reason in made.skipped.items()}
    return Retrieval(recalls, len(items), len(texts), skipped)


def text_encoder(model: nn.Module, purpose: str = 'Retrieval compares with captions') -> Callable[[list[str]], Tensor]:
    """What embeds any texts as the model's class rows are embedded.

    Args:
        model: A recognizer or an image classifier.
        purpose: What it is for, for the message.

    Raises:
        UserError: The model has none.
    """
    head = head_module(model)
    rows = getattr(head, 'class_rows', None)
    if isinstance(rows, TowerRows):
        return rows.encode_frozen
    encode = getattr(rows.reader() if rows is not None else None, 'encode', None)
    if encode is None:
        raise UserError(
            f'{purpose}, and the head {type(head).__name__} of this {type(model).__name__} has '
            'no text encoder. Use a head with a TextClassifier.'
        )
    return encode


def text_reader(model: nn.Module) -> Any:
    """What reads the texts of :func:`text_encoder`, and knows how much: long glosses are shortened for it."""
    rows = head_module(model).class_rows
    return rows.require_tower() if isinstance(rows, TowerRows) else rows.reader()


def _items(dataset: Any) -> tuple[list[int], list[list[str]]]:
    """The first entry of each file, and the captions of all its entries.

    Raises:
        UserError: An entry has no caption.
    """
    found: dict[str, tuple[int, list[str]]] = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        name = next((str(info[key]) for key in ('filename', 'frame_dir', 'img_path') if info.get(key)), str(index))
        given = next((info[key] for key in CAPTION_KEYS if info.get(key)), None)
        texts = list(given) if isinstance(given, list | tuple) else [given]
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise UserError(
                f'Retrieval needs a caption of each entry ({" or ".join(CAPTION_KEYS)}: a text or several), and '
                f'{shown(name)} has {shown(repr(given), 100)}.'
            )
        found.setdefault(name, (index, []))[1].extend(texts)
    return [index for index, _ in found.values()], [texts for _, texts in found.values()]


def embed_items(model: nn.Module, batch: list[Any]) -> Tensor:
    """Embeddings (N, D) of N items, averaged over all that one has of frames and views."""
    features, _ = features_of(model, batch)
    return embeddings_of(model, features).float().unflatten(0, (len(batch), -1)).mean(1)
