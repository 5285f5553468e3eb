import errno
import hashlib
import logging
import multiprocessing
import os
import time

import pytest
import torch
from tiny import TINY_RESNET, TINY_VIT

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.cache import cached_bundle
from textxfer_mm.classifiers.sources import ClassifierSource, FileClassifier, TextClassifier
from textxfer_mm.errors import UserError
from textxfer_mm.text import digests
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.encoding import TextEncoder

NAMES = ('riding a bike', 'ApplyEyeMakeup', 'jumping jacks')
TEMPLATES = ('a video of a person {}.', '{}', 'a photo of {}!')


class HashEncoder:
    """A cheap encoder that counts its calls: each text gives a random vector of its own."""

    embed_dims = 6
    encoder_id = 'test/hash'

    def __init__(self, weights='1'):
        self.weights = weights
        self.calls = 0
        self.released = 0

    def fingerprint(self):
        return f'{self.encoder_id}/{self.weights}'

    def encode(self, texts):
        self.calls += 1
        seeds = [int(hashlib.sha256((self.weights + text).encode()).hexdigest()[:8], 16) for text in texts]
        return torch.stack([5 * torch.randn(6, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    def release(self):
        self.released += 1


def naive(encoder, names, templates):
    rows = []
    for name in names:
        total = torch.zeros(encoder.embed_dims)
        for template in templates:
            vector = encoder.encode([template.format(name)])[0]
            total += vector / vector.norm()
        mean = total / len(templates)
        rows.append(mean / mean.norm())
    return torch.stack(rows)


@pytest.mark.parametrize('encoder', [HashEncoder(), CLIPTextEncoder(TINY_VIT, batch_size=2)])
def test_parity_with_a_loop(encoder):
    source = TextClassifier(NAMES, encoder, TEMPLATES, use_cache=False)
    bundle = source.build()
    torch.testing.assert_close(bundle.weight, naive(encoder, NAMES, TEMPLATES), rtol=1e-5, atol=1e-6)
    assert isinstance(encoder, TextEncoder)
    assert isinstance(source, ClassifierSource)
    for name in ('class_names', 'templates', 'encoder_id', 'embed_dims'):
        assert getattr(bundle, name) == getattr(source, name)


def test_second_build_comes_from_the_cache():
    encoder = HashEncoder()
    first = TextClassifier(NAMES, encoder, TEMPLATES).build()
    again = HashEncoder()
    second = TextClassifier(list(NAMES), again, list(TEMPLATES)).build()
    assert (encoder.calls, encoder.released) == (1, 1)
    assert again.calls == 0
    torch.testing.assert_close(second.weight, first.weight, rtol=0, atol=0)
    assert second.metadata() == first.metadata()
    TextClassifier(NAMES, again, TEMPLATES, use_cache=False).build()
    assert again.calls == 1


@pytest.mark.parametrize(
    'changes',
    [
        dict(class_names=('jumping jacks', 'ApplyEyeMakeup', 'riding a bike')),
        dict(class_names=('riding a bike', 'applyeyemakeup', 'jumping jacks')),
        dict(class_names=NAMES[:2]),
        dict(templates=TEMPLATES[:2]),
        dict(templates=TEMPLATES[::-1]),
        dict(encoder=HashEncoder('2')),
    ],
)
def test_a_stale_cache_is_not_hit(changes):
    parts = dict(class_names=NAMES, encoder=HashEncoder(), templates=TEMPLATES)
    old = TextClassifier(**parts)
    new = TextClassifier(**{**parts, **changes})
    assert old.cache_key() != new.cache_key()
    old.build()
    bundle = new.build()
    torch.testing.assert_close(bundle.weight, naive(new.encoder, new.class_names, new.templates))
    assert bundle.class_names == new.class_names


def test_other_weights_in_the_same_file_change_the_key(tmp_path):
    path = tmp_path / 'w.pt'
    keys = []
    for fill in (1.0, 2.0):
        torch.save(dict(x=torch.full((3,), fill)), path)  # same name, same size
        keys.append(TextClassifier(NAMES, CLIPTextEncoder(TINY_VIT, path)).cache_key())
    keys.append(TextClassifier(NAMES, CLIPTextEncoder(TINY_RESNET, path)).cache_key())
    assert len(set(keys)) == 3


def test_damaged_cache_is_rebuilt(caplog):
    source = TextClassifier(NAMES, HashEncoder(), TEMPLATES)
    weight = source.build().weight
    (path,) = (digests.cache_dir() / 'classifiers').glob('*.safetensors')
    path.write_bytes(path.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        torch.testing.assert_close(source.build().weight, weight, rtol=0, atol=0)
    assert 'cached classifier is built again' in caplog.text
    assert source.encoder.calls == 2
    source.build()
    assert source.encoder.calls == 2


def test_unwritable_cache_warns_once_and_works(tmp_path, monkeypatch, caplog):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path / 'file' / 'cache'))  # fails for root too
    source = TextClassifier(NAMES, HashEncoder(), TEMPLATES)
    with caplog.at_level(logging.WARNING):
        assert source.build().num_classes == source.build().num_classes == 3
    assert source.encoder.calls == 2
    assert [record.getMessage().count('Set TEXTXFER_CACHE') for record in caplog.records] == [1]


@pytest.mark.parametrize('reason', [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_costs_the_cache_alone(tmp_path, monkeypatch, caplog, reason):
    def fsync(descriptor):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path / f'cache{reason}'))
    monkeypatch.setattr('os.fsync', fsync)
    with caplog.at_level(logging.WARNING):
        assert TextClassifier(NAMES, HashEncoder(), TEMPLATES).build().num_classes == 3
    (warning,) = [record.getMessage() for record in caplog.records]
    assert os.strerror(reason) in warning
    assert not list(tmp_path.rglob('*.safetensors'))


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv('TEXTXFER_CACHE')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert digests.cache_dir() == tmp_path / '.cache' / 'textxfer_mm'


def test_file_digest_is_remembered_until_the_file_changes(tmp_path):
    path = tmp_path / 'big.pt'
    long_ago = time.time_ns() - 10**11
    found = []
    for content, changed in ((b'one', long_ago), (b'two', long_ago), (b'two', long_ago + 1), (b'three', long_ago + 1)):
        path.write_bytes(content)
        os.utime(path, ns=(changed, changed))
        found.append(digests.file_digest(path))
    # The second content has the size and time of the first: it is not read.
    assert found == [hashlib.sha256(content).hexdigest() for content in (b'one', b'one', b'two', b'three')]


def test_digest_of_a_file_just_written_is_not_remembered(tmp_path):
    path = tmp_path / 'w.pt'
    path.write_bytes(b'one')
    digests.file_digest(path)
    assert not (tmp_path / 'cache' / 'digests.json').exists()


def test_build_inside_training_gives_usable_full_precision_tensors():
    plain = TextClassifier(NAMES, CLIPTextEncoder(TINY_VIT), use_cache=False).build().weight
    with torch.inference_mode(), torch.autocast('cpu', dtype=torch.bfloat16):
        bundle = TextClassifier(NAMES, CLIPTextEncoder(TINY_VIT), use_cache=True).build()
        cached = TextClassifier(NAMES, CLIPTextEncoder(TINY_VIT), use_cache=True).build()
    for made in (bundle, cached):
        torch.testing.assert_close(made.weight, plain, rtol=0, atol=0)
        assert not made.weight.is_inference()


def test_file_classifier(tmp_path):
    bundle = TextClassifier(NAMES, HashEncoder(), TEMPLATES, use_cache=False).build()
    path = bundle.save(tmp_path / 'c.safetensors')
    source = FileClassifier(path)
    assert isinstance(source, ClassifierSource)
    assert (source.class_names, source.templates, source.embed_dims) == (NAMES, TEMPLATES, 6)
    assert source.encoder_id == 'test/hash'
    torch.testing.assert_close(source.build().weight, bundle.weight, rtol=0, atol=0)
    missing = FileClassifier(tmp_path / 'none')
    with pytest.raises(UserError, match='Classifier file not found'):
        missing.build()


def test_errors():
    with pytest.raises(UserError, match=r'`encoder` is a text encoder such as CLIPTextEncoder\(...\), not dict'):
        TextClassifier(NAMES, dict(type='CLIPTextEncoder'))
    with pytest.raises(UserError, match='Duplicate class names'):
        TextClassifier(['a', 'a'], HashEncoder())
    with pytest.raises(UserError, match='Did you mean: text4vis'):
        TextClassifier(NAMES, HashEncoder(), 'text4vi')


def test_imagenet_with_its_80_templates():
    bundle = TextClassifier('imagenet1k', HashEncoder(), 'imagenet', use_cache=False).build()
    assert bundle.num_classes == 1000
    assert len(bundle.templates) == 80


def _build_slowly(folder, log):
    """One of several processes that want the same classifier."""
    import os
    import time

    os.environ['TEXTXFER_CACHE'] = str(folder)

    def build():
        with open(log, 'a') as file:
            file.write('built\n')
        time.sleep(1)
        return ClassifierBundle.from_rows(torch.eye(2), class_names=('a', 'b'), encoder_id='x')

    assert cached_bundle('key', build).class_names == ('a', 'b')


def test_of_several_processes_one_builds(tmp_path):
    context = multiprocessing.get_context('fork')
    ranks = [context.Process(target=_build_slowly, args=(tmp_path, tmp_path / 'log')) for _ in range(3)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(60)
    assert [rank.exitcode for rank in ranks] == [0, 0, 0]
    assert (tmp_path / 'log').read_text() == 'built\n'
