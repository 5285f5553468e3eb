"""Captions of training samples, for heads that train a text tower on them."""

import hashlib
import logging
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.errors import UserError, nearest, shown
from textxfer_mm.text.encoding import TextTooLong
from textxfer_mm.text.text_tower import TextTower

logger = logging.getLogger(__name__)

#: The scale of CLIP's pre-training: it starts at one over the temperature, and is limited.
CLIP_SCALE = dict(init_scale=1 / 0.07, max_scale=100.0)
#: Where a caption may lie, among the data or the metainfo of a sample; the first that is there is taken.
CAPTION_KEYS = ('caption', 'text')
#: What becomes of captions that are longer than the text tower reads.
LONG_CAPTIONS = ('refuse', 'shorten')


def caption_of(sample: Any, head: str) -> str | None:
    """The caption of a sample; None where it has none.

    Args:
        sample: A data sample of MMAction2 or MMPretrain with ``caption`` or ``text``.
        head: Who takes it, for the message.

    Raises:
        UserError: It is no text, or an empty one.
    """
    caption = next((sample.get(key) for key in CAPTION_KEYS if sample.get(key) is not None), None)
    if caption is None:
        return None
    if not isinstance(caption, str):
        raise UserError(
            f'{head} takes one text as the caption of a sample; {name_of(sample)} has {shown(repr(caption), 100)}, '
            f'a {type(caption).__name__}.'
        )
    if any('\ud800' <= letter <= '\udfff' for letter in caption):
        raise UserError(f'The caption of {name_of(sample)} is no UTF-8: {shown(caption, 100)!r}. Write it anew.')
    if not caption.strip():
        raise UserError(
            f'The caption of {name_of(sample)} is empty ({caption!r}): give it one, or leave the sample out.'
        )
    return caption


def require_caption(sample: Any, head: str) -> str:
    """The caption of a sample that must have one; see :func:`caption_of`.

    Raises:
        UserError: There is none, or it is no text, or an empty one.
    """
    caption = caption_of(sample, head)
    if caption is None:
        raise UserError(
            f'{head} trains on captions, and {name_of(sample)} has none: the dataset must give `caption`, a text, and '
            "the pipeline of train_dataloader hand it on: PackActionInputs(meta_keys=('caption',))."
        )
    return caption


class LongCaptions:
    """What becomes of captions that are longer than a text tower reads: captions from the web are of any length.

    Args:
        choice: ``'refuse'`` ends the training with an error that names the caption; ``'shorten'`` cuts it off behind
            the last word that the tower reads (CLIP's own code cuts at the token), and tells of the first one.

    Raises:
        UserError: The choice is unknown.
    """

    def __init__(self, choice: str) -> None:
        if choice not in LONG_CAPTIONS:
            raise UserError(f'Unknown long_captions={choice!r}.{nearest(str(choice), LONG_CAPTIONS)}')
        self.shortens = choice == 'shorten'
        self._told = False

    def __call__(self, class_rows: TowerRows, captions: Sequence[str]) -> list[str]:
        """The captions as they are given to the tower, which refuses long ones.

        Raises:
            UserError: They are to be shortened, and the tower is not at hand.
        """
        captions = list(captions)
        if not (captions and self.shortens):
            return captions
        tower = class_rows.require_tower()
        for place, count in enumerate(tower.count_tokens(captions)):
            if count > tower.context_length:
                self._tell(captions[place], count, tower)
                captions[place] = shortened_caption(captions[place], tower)
        return captions

    def _tell(self, caption: str, count: int, tower: TextTower) -> None:
        if not self._told:
            logger.warning(
                "The caption '%s' has %d tokens, and %s reads %d: it is shortened, and so are others, without a line.",
                *(shown(caption, 100), count, tower.encoder_id, tower.context_length),
            )
        self._told = True


def shortened_caption(caption: str, tower: TextTower) -> str:
    """As much of a caption as a tower reads: whole words, or letters where not even the first word fits."""
    for pattern in (r'(?<=\S)(?=\s)', r'(?<=\S)'):
        ends = [match.start() for match in re.finditer(pattern, caption)]
        fit = bisect_right(ends, tower.context_length, key=lambda end: tower.count_tokens([caption[:end]])[0])
        if fit:
            return caption[: ends[fit - 1]]
    return caption


def encode_captions(class_rows: TowerRows, captions: Sequence[str]) -> Tensor:
    """Encode captions with gradient to the tower -> (n, D), not normalised; equal ones once, and none at all as well.

    Raises:
        UserError: The tower is not at hand, or a caption is too long for it (it is named).
    """
    places = {caption: place for place, caption in enumerate(dict.fromkeys(captions))}
    try:
        texts = class_rows.encode(list(places))
    except TextTooLong as error:
        raise UserError(f"{error} The head's option long_captions='shorten' does it in training.") from None
    return texts[torch.tensor([places[caption] for caption in captions], dtype=torch.long, device=texts.device)]


def caption_number(caption: str) -> int:
    """A number for a caption, equal in all processes: its 64-bit hash."""
    return int.from_bytes(hashlib.blake2b(caption.encode(), digest_size=8).digest(), 'big', signed=True)


def name_of(sample: Any) -> str:
    """What to call a sample in a message."""
    named = (sample.get(key) for key in ('filename', 'video_id', 'img_path'))
    return next((shown(str(name)) for name in named if name), 'a sample')
