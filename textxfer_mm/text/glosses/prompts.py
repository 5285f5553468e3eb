"""Class texts, ``{template(name)} {gloss}``; a gloss is shortened where a text encoder cannot read all of it."""

import logging
import re
from collections.abc import Sequence
from typing import Any

from textxfer_mm.errors import first_few, shown
from textxfer_mm.text.glosses.table import Glosses
from textxfer_mm.text.templates import fill

logger = logging.getLogger(__name__)


def class_prompts(
    templates: Sequence[str], names: Sequence[str], glosses: Glosses = (), reader: Any = None
) -> list[list[str]]:
    """Return the prompts as M lists (one per template) of S prompts, one per sense of each class.

    Args:
        templates: M templates.
        names: K names.
        glosses: K tuples of glosses; a class without one has the one prompt of its bare name. ``()`` is none at all.
        reader: A text encoder or tower: has ``context_length`` and ``count_tokens(texts)``. A gloss that makes a prompt
            too long for it is shortened, and that is logged; a prompt that is too long without its gloss is left to the
            reader to refuse. None, or one that cannot count, gets whole glosses.

    Returns:
        S is K where no class has several glosses, see :func:`senses_of`.
    """
    bare = fill(templates, names)
    if not glosses:
        return bare
    owners = senses_of(glosses)
    tails = [gloss for own in glosses for gloss in own or ('',)]
    texts = with_glosses([prompts[k] for prompts in bare for k in owners], tails * len(bare), reader)
    return [texts[start : start + len(tails)] for start in range(0, len(texts), len(tails))]


def senses_of(glosses: Glosses) -> list[int]:
    """The class of each of S prompts of a template: class k comes once for each of its glosses, and once without."""
    return [k for k, own in enumerate(glosses) for _ in own or ('',)]


def shortened(prompt: str, gloss: str, reader: Any, reserved: int = 0) -> str:
    """Put as much of a gloss behind a prompt as a reader can read.

    The gloss ends where a semicolon was, or else behind a word; where no word fits, the prompt stays alone.

    Args:
        prompt: A template with its class name.
        gloss: What stands behind it.
        reader: See :func:`class_prompts`.
        reserved: Tokens that the reader gets besides.
    """
    for pattern in (r'\s*;', r'[\s,;:(-]*\s'):
        ends = [match.start() for match in re.finditer(pattern, gloss) if match.start()]
        texts = [f'{prompt} {gloss[:end]}' for end in ends]
        fitting = [
            text
            for text, count in zip(texts, reader.count_tokens(texts) if texts else (), strict=True)
            if count + reserved <= reader.context_length
        ]
        if fitting:
            return fitting[-1]
    return prompt


def with_glosses(prompts: Sequence[str], glosses: Sequence[str], reader: Any, reserved: int = 0) -> list[str]:
    """Put a gloss behind each prompt, shortened where that is needed, which is logged.

    Args:
        prompts: n prompts.
        glosses: n glosses; ``''`` leaves a prompt as it is.
        reader: See :func:`class_prompts`.
        reserved: Tokens that the reader gets besides.
    """
    texts = [f'{prompt} {gloss}' if gloss else prompt for prompt, gloss in zip(prompts, glosses, strict=True)]
    if not callable(getattr(reader, 'count_tokens', None)):
        return texts
    counts = reader.count_tokens(texts)
    long = [n for n, count in enumerate(counts) if count + reserved > reader.context_length and glosses[n]]
    for n in long:
        texts[n] = shortened(prompts[n], glosses[n], reader, reserved)
    if long:
        logger.warning(
            '%d of %d glosses are shortened, since the text encoder reads %d tokens: %s.',
            *(len({glosses[n] for n in long}), len(set(filter(None, glosses))), reader.context_length),
            first_few((f"'{shown(texts[n], 120)}' ({counts[n]} tokens)" for n in long), 3),
        )
    return texts
