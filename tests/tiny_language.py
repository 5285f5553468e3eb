"""Tiny language models for the tests, written to a folder without any network."""

import torch

WORDS = [
    '[PAD]',
    '[UNK]',
    '[CLS]',
    '[SEP]',
    '[MASK]',
    '.',
    *['a', 'video', 'of', 'person', 'riding', 'bike', 'jumping'],
]


def write_bert(folder, context_length=12, width=16):
    """A plain BERT of two layers that has dropout; 16 wide, and reads 12 tokens, unless told otherwise."""
    import transformers

    folder.mkdir()
    (folder / 'vocab.txt').write_text('\n'.join(WORDS))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=context_length,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer = transformers.BertTokenizerFast(str(folder / 'vocab.txt'), model_max_length=context_length)
    tokenizer.save_pretrained(folder)
    return folder


def write_sentence_model(bert, folder, prompts=None):
    """A sentence-transformers model: the BERT, [CLS] pooling, a dense layer to 6 and normalisation."""
    from sentence_transformers import SentenceTransformer

    try:
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    except ImportError:
        from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
    torch.manual_seed(1)
    modules = [Transformer(str(bert)), Pooling(16, pooling_mode='cls'), Dense(16, 6), Normalize()]
    options = dict(prompts=prompts, default_prompt_name=next(iter(prompts))) if prompts else {}
    model = SentenceTransformer(modules=modules, **options)
    model.save(str(folder))
    (folder / '3_Normalize' / 'config.json').unlink(missing_ok=True)  # older versions, and most models, have none
    return model
