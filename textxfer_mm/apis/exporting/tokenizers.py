"""The tokenizers of text towers as ``tokenizer.json``, which the package tokenizers reads without PyTorch."""

from typing import TYPE_CHECKING, Any

from textxfer_mm.errors import NotAtHandError, UserError

if TYPE_CHECKING:
    from open_clip.tokenizer import SimpleTokenizer

#: Words as CLIP's tokenizer splits them.
_CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def tokenizer_of_clip(tokenizer: 'SimpleTokenizer') -> str:
    """CLIP's byte-pair encoding, with the tokens of start and end, as ``tokenizer.json``.

    What its texts are cleaned of before is not in it: :func:`~textxfer_mm.exported.texts.clean_as_clip`.

    Args:
        tokenizer: That of open_clip.

    Raises:
        UserError: The package tokenizers is missing (``NotAtHandError``).
    """
    parts: Any
    try:
        import tokenizers as parts
    except ImportError as error:
        raise NotAtHandError('Exporting a text encoder needs tokenizers: pip install "textxfer_mm[onnx]".') from error
    merges = list(tokenizer.bpe_ranks)
    model = parts.models.BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix='</w>')
    built = parts.Tokenizer(model)
    built.pre_tokenizer = parts.pre_tokenizers.Sequence(
        [
            parts.pre_tokenizers.Split(parts.Regex(_CLIP_WORDS), behavior='removed', invert=True),
            parts.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    names = {number: name for name, number in tokenizer.encoder.items()}
    start, end = names[tokenizer.sot_token_id], names[tokenizer.eot_token_id]
    built.add_special_tokens([start, end])
    built.post_processor = parts.processors.TemplateProcessing(
        single=f'{start} $A {end}', special_tokens=[(start, tokenizer.sot_token_id), (end, tokenizer.eot_token_id)]
    )
    return built.to_str()


def require_plain(tokenizer: Any, encoder_id: str) -> None:
    """Refuse a tokenizer of another kind than CLIP's own.

    Raises:
        UserError: It is one of transformers, or cleans its texts in another way.
    """
    from open_clip.tokenizer import SimpleTokenizer

    is_plain = isinstance(tokenizer, SimpleTokenizer) and tokenizer.reduction_fn is None
    if not is_plain or tokenizer.clean_fn.__name__ != '_clean_lower':
        raise UserError(
            f"The text encoder {encoder_id} cannot be exported: its tokenizer is not CLIP's own. Give class rows of "
            'other names by --rows with a classifier file instead.'
        )
