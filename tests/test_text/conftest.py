import pytest
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file
from tiny import TINY_VIT
from tiny_language import write_bert, write_sentence_model
from torch import nn


class Archive(nn.Module):
    """A model with the entries of OpenAI's archives: weights, positional embedding and three scalars."""

    def __init__(self, model):
        super().__init__()
        for name, child in model.named_children():
            setattr(self, name, child)
        for name, parameter in model.named_parameters(recurse=False):
            setattr(self, name, parameter)
        for name, value in dict(input_resolution=32, context_length=77, vocab_size=49408).items():
            self.register_buffer(name, torch.tensor(value))

    def forward(self, image):
        return self.visual(image)


def write(kind, model, path):
    """Write a CLIP built from TINY_VIT in one of the formats its weights come in."""
    half = {name: value.half() for name, value in model.state_dict().items()}
    meta = dict(input_resolution=torch.tensor(32), context_length=torch.tensor(77), vocab_size=torch.tensor(49408))
    if kind == 'torchscript':
        clone = CLIP(**TINY_VIT).eval()
        clone.load_state_dict(model.state_dict())
        traced = torch.jit.trace(Archive(clone).eval(), torch.rand(1, 3, 32, 32), check_trace=False)
        traced.half().save(str(path))
    elif kind == 'plain':
        torch.save(model.state_dict(), path)
    elif kind == 'legacy':
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
    elif kind == 'fp16 with meta':
        torch.save({**half, **meta}, path)
    elif kind == 'training checkpoint':
        nested = {f'module.{name}': value for name, value in model.state_dict().items()}
        torch.save(dict(epoch=3, name='x', state_dict=nested, optimizer=dict(lr=0.1)), path)
    elif kind == 'compiled':
        torch.save(dict(model={f'module._orig_mod.{k}': v for k, v in model.state_dict().items()}), path)
    elif kind == 'safetensors':
        save_file(model.state_dict(), path)
    elif kind == 'safetensors fp16':
        save_file({name: value.contiguous() for name, value in half.items()}, path)
    return path


@pytest.fixture(scope='session')
def write_clip():
    return write


@pytest.fixture(autouse=True)
def _private_cache(tmp_path, monkeypatch):
    """No test reads or writes the cache of the user."""
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path / 'cache'))


@pytest.fixture(scope='session')
def bert(tmp_path_factory):
    """The folder of a tiny BERT."""
    pytest.importorskip('transformers')
    return write_bert(tmp_path_factory.mktemp('models') / 'tiny-bert')


@pytest.fixture(scope='session')
def sentence_model(bert, tmp_path_factory):
    """A tiny sentence-transformers model: its folder and the model."""
    pytest.importorskip('sentence_transformers')
    folder = tmp_path_factory.mktemp('models') / 'tiny-st'
    return folder, write_sentence_model(bert, folder)
