import logging

import open_clip
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from tiny import TINY_RESNET, TINY_VIT
from torch import nn

from textxfer_mm.errors import UserError
from textxfer_mm.text import clip_arch, hub
from textxfer_mm.text.clip_arch import load_pretrained_state, load_tower, resolve_arch, resolve_pretrained, resolve_tag


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path / 'hub'))


def test_resolve_arch():
    name, config = resolve_arch('ViT-B/16')
    assert name == 'ViT-B-16'
    assert config['embed_dim'] == 512
    name, config = resolve_arch(TINY_VIT)
    assert name.startswith('custom-')
    assert config == TINY_VIT
    config['vision_cfg']['layers'] = 99
    assert TINY_VIT['vision_cfg']['layers'] == 2
    assert resolve_arch(dict(reversed(TINY_VIT.items())))[0] == name
    assert resolve_arch(TINY_RESNET)[0] != name


@pytest.mark.parametrize(
    ('arch', 'message'),
    [
        ('ViT-B16', r"Unknown CLIP architecture 'ViT-B16'\. Did you mean: ViT-B-16"),
        (dict(embed_dim=3), 'lacks vision_cfg, text_cfg; it has embed_dim'),
        (dict(embed_dim=3, vision_cfg={}, text_cfg=dict(act=nn.GELU)), 'holds what JSON cannot'),
        (3, 'not a int'),
        (
            {**TINY_VIT, 'quickgelu': True},
            r"Unknown entry 'quickgelu' in the CLIP model config\. Did you mean: quick_gelu",
        ),
        ({**TINY_VIT, 3: True}, 'Unknown entry 3 in the CLIP model config'),
    ],
)
def test_arch_errors(arch, message):
    with pytest.raises(UserError, match=message):
        resolve_arch(arch)


def test_every_config_of_open_clip_is_a_model_config():
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        assert resolve_arch(config)[1] == config, name


def test_resolve_pretrained(tmp_path, monkeypatch):
    assert resolve_pretrained('ViT-B-16', None) is None
    assert resolve_pretrained('ViT-B-16', 'LAION2B-s34b-b88k') == 'laion2b_s34b_b88k'
    assert resolve_pretrained('ViT-B-16', 'gone/w.pt').name == 'w.pt'
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'weights').touch()
    assert resolve_pretrained('ViT-B-16', 'weights').is_file()
    with pytest.raises(UserError, match=r'neither a tag nor a file\. Did you mean: openai'):
        resolve_pretrained('ViT-B-16', 'openia')
    with pytest.raises(UserError, match='open_clip has no pretrained weights for custom-'):
        resolve_tag(TINY_VIT, 'openai')
    with pytest.raises(UserError, match=r'not found: .*w\.pt'):
        load_pretrained_state('ViT-B-16', tmp_path / 'w.pt')


@pytest.mark.usefixtures('offline')
def test_offline_tag_is_one_clear_error():
    with pytest.raises(UserError, match=r"'openai' of ViT-B-16 .* cannot be reached; give a local file"):
        load_pretrained_state('ViT-B-16', 'openai')


@pytest.mark.usefixtures('offline')
def test_weights_that_the_openai_package_keeps_are_used(tmp_path):
    folder = tmp_path / '.cache' / 'clip'
    folder.mkdir(parents=True)
    torch.save({'visual.proj': torch.ones(2, 2).half()}, folder / 'ViT-B-16.pt')
    assert load_pretrained_state('ViT-B-16-quickgelu', 'openai')['visual.proj'].dtype == torch.float32


def test_failed_download_is_one_clear_error(monkeypatch, offline):
    def fail(config):
        raise RuntimeError('checksum')

    monkeypatch.setattr(clip_arch, 'is_reachable', lambda url: True)
    monkeypatch.setattr('open_clip.pretrained.download_pretrained', fail)
    with pytest.raises(UserError, match=r'Downloading .* failed \(checksum\); give a local file'):
        load_pretrained_state('ViT-B-16', 'openai')


def test_quick_gelu_warning(monkeypatch, tmp_path, caplog):
    path = tmp_path / 'w.pt'
    torch.save({'visual.proj': torch.ones(2, 2)}, path)
    monkeypatch.setattr(clip_arch, '_download', lambda *args: path)
    with caplog.at_level(logging.WARNING):
        load_pretrained_state('ViT-B-16-quickgelu', 'openai')
        load_pretrained_state('ViT-B-16', 'laion2b_s34b_b88k')
        load_pretrained_state('ViT-B-16', path)
        assert not caplog.records
        load_pretrained_state('ViT-B-16', 'openai')
    assert 'trained with quick GELU, the architecture ViT-B-16 is built without it' in caplog.text
    assert "use arch='ViT-B-16-quickgelu'" in caplog.text
    caplog.clear()
    monkeypatch.setattr(clip_arch, 'is_torchscript', lambda path: True)
    load_pretrained_state('ViT-B-16', path)  # OpenAI's own file
    assert "use arch='ViT-B-16-quickgelu'" in caplog.text


def test_load_tower():
    tower = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = {name: torch.ones_like(value) for name, value in tower.state_dict().items()}
    load_tower(tower, state, arch='A', source='w.pt')
    assert tower[1].weight.eq(1).all()
    wrong = {**state, '0.weight': torch.zeros(3, 5), '7.bias': torch.zeros(1)}
    del wrong['1.bias']
    with pytest.raises(UserError, match=r'w\.pt do not fit the architecture A') as error:
        load_tower(tower, wrong, arch='A', source='w.pt')
    for part in ('1.bias is missing', '7.bias is not part of it', '0.weight is (3, 5), not (3, 2)'):
        assert part in str(error.value)


def test_reachability(monkeypatch):
    for name in ('HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'HF_HUB_OFFLINE'):
        monkeypatch.delenv(name, raising=False)
    asked = []
    monkeypatch.setattr(hub, '_connects', lambda host, port: asked.append((host, port)) or True)
    assert hub.is_reachable('http://mirror.example:8080/x')
    assert hub.is_reachable('https://hub.example')
    assert asked == [('mirror.example', 8080), ('hub.example', 443)]
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    assert not hub.is_reachable('https://hub.example')


def snapshot(files, one_of=('*.safetensors', '*.bin')):
    return hub.local_snapshot('owner/name', files=files, one_of=one_of, purpose='The model')


def fill_hub_cache(cache, *names):
    """Put files where the hub keeps those of owner/name."""
    repository = cache / 'models--owner--name'
    folder = repository / 'snapshots' / ('0' * 40)
    folder.mkdir(parents=True, exist_ok=True)
    (repository / 'refs').mkdir(exist_ok=True)
    (repository / 'refs' / 'main').write_text('0' * 40)
    for name in names:
        (folder / name).touch()
    return folder


def test_snapshot_of_the_cache_must_hold_the_files(offline, tmp_path):
    folder = fill_hub_cache(tmp_path / 'hub', 'config.json')
    with pytest.raises(UserError, match=r"The model: 'owner/name' is no folder.* cannot be reached"):
        snapshot(('*.json',))
    assert snapshot((), one_of=('config.json',)) == folder
    fill_hub_cache(tmp_path / 'hub', 'model.bin')
    assert snapshot(('*.json',)) == folder


def test_snapshot_downloads_only_the_preferred_weights(offline, tmp_path, monkeypatch):
    asked = []

    def download(repository, *, allow_patterns=None, local_files_only=False):
        if local_files_only:
            raise LocalEntryNotFoundError('none')
        asked.append(allow_patterns)
        return str(fill_hub_cache(tmp_path / 'hub', *({'*.bin': ['w.bin']}.get(allow_patterns[-1], []))))

    monkeypatch.setattr('huggingface_hub.snapshot_download', download)
    monkeypatch.setattr(hub, 'is_reachable', lambda url: True)
    assert (snapshot(('*.json',)) / 'w.bin').is_file()
    assert asked == [['*.json', '*.safetensors'], ['*.json', '*.bin']]
    with pytest.raises(UserError, match=r"'owner/name' has no file x or y"):
        snapshot((), one_of=('x', 'y'))


@pytest.mark.usefixtures('offline')
def test_snapshot_errors():
    with pytest.raises(UserError, match='neither a folder nor a name on the hub'):
        hub.local_snapshot('a/b/c d', files=(), one_of=('*.json',), purpose='The tokenizer')
