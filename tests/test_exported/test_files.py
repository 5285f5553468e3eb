"""What is written: one file, of a model wherever it is; and what a file of somebody else must not hold."""

import json
import zipfile

import numpy as np
import pytest
import torch
from exported_models import TINY_VIT, built, video_config

from textxfer_mm.apis.exporting import files
from textxfer_mm.apis.exporting.export import export_model
from textxfer_mm.errors import UserError
from textxfer_mm.exported.model import ExportedModel
from textxfer_mm.exported.sessions import open_session


def graph_bytes(file):
    import onnx

    return sum(len(each.raw_data) for each in onnx.load(file).graph.initializer)


def test_a_large_model_is_one_file_as_long_as_one_holds_it(exported, tmp_path, monkeypatch):
    """PyTorch makes two of 1.5 GiB; what counts is the graph, not the text tower of the model beside it."""
    from torch.onnx._internal.exporter import _onnx_program

    model, done = exported
    size = graph_bytes(done.file)
    with_tower = built(video_config(TINY_VIT, head=dict(type='VideoTextMatchingHead', text='online')))
    assert sum(each.numel() * 4 for each in with_tower.parameters()) > 2 * size
    monkeypatch.setattr(_onnx_program, '_LARGE_MODEL_THRESHOLD', size // 2)
    monkeypatch.setattr(files, '_MOST_BYTES', 2 * size)
    made = export_model(with_tower, tmp_path / 'm.onnx')
    assert [file.name for file in tmp_path.iterdir()] == ['m.onnx']
    assert made.file.stat().st_size > graph_bytes(made.file) > size // 2
    monkeypatch.setattr(files, '_MOST_BYTES', size)  # the class rows and the description take some as well
    with pytest.raises(UserError, match=r'The weights take 0.00 GiB, and one .onnx file holds 2: export to .pt2'):
        export_model(model, tmp_path / 'large.onnx')
    assert [file.name for file in tmp_path.iterdir()] == ['m.onnx']


class Elsewhere(torch.nn.Module):
    """A neck whose weight is on another device, as on a GPU that a test cannot count on, until it is moved."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(1, device='meta'))

    def _apply(self, fn, recurse=True):
        self.weight = torch.nn.Parameter(torch.full((1,), 2.0))
        return self

    def forward(self, x, data_samples=None):
        return x * self.weight, {}


def test_of_a_model_elsewhere_a_copy_on_the_cpu_is_exported(tmp_path):
    model = built(video_config(TINY_VIT))
    model.neck = Elsewhere()
    done = export_model(model, tmp_path / 'm.pt2')
    assert done.difference <= 1e-4
    assert model.neck.weight.device.type == 'meta'
    assert ExportedModel(done.file).logits(np.zeros((1, 1, 3, 4, 32, 32), np.uint8)).shape == (1, 3)


class Add(torch.nn.Module):
    """A network of one step."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        return x + self.weight


@pytest.fixture
def good(tmp_path):
    torch.export.save(torch.export.export(Add(), (torch.ones(2),)), tmp_path / 'good.pt2')
    open_session(tmp_path / 'good.pt2')
    return tmp_path / 'good.pt2'


def test_a_device_that_is_not_there_is_not_laid_to_the_file(good):
    with pytest.raises(UserError, match=r'cannot be put on device cuda:99: \S+'):
        open_session(good, 'cuda:99')


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize('kind', ['twice', 'upper case'])
def test_parts_whose_names_hide_others(good, tmp_path, kind):
    """Two readers of an archive may take different ones of two parts, or of two cases, for the same."""
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(tmp_path / 'bad.pt2', 'w') as bad:
        for name in archive.namelist():
            bad.writestr(name, archive.read(name))
        weight = next(name for name in archive.namelist() if '/data/weights/' in name)
        folder, _, rest = weight.partition('/')
        bad.writestr(weight if kind == 'twice' else f'{folder}/{rest.upper()}', archive.read(weight))
    with pytest.raises(UserError, match=r'bad.pt2 names its parts as torch.export does not: it is not read'):
        open_session(tmp_path / 'bad.pt2')


def test_weights_that_are_said_to_be_pickled(good, tmp_path):
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(tmp_path / 'bad.pt2', 'w') as bad:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith('.json') and 'use_pickle' in content.decode():
                content = json.dumps(json.loads(content, object_pairs_hook=pickled)).encode()
            bad.writestr(name, content)
    with pytest.raises(UserError, match='holds pickled weights, which could run code'):
        open_session(tmp_path / 'bad.pt2')


def pickled(pairs):
    return {key: True if key == 'use_pickle' else value for key, value in pairs}


def broken_archive(file, content=b'{}', *, flags=0, compression=zipfile.ZIP_STORED):
    """A file as torch.export writes it, with a part that cannot be read."""
    with zipfile.ZipFile(file, 'w', compression) as archive:
        archive.writestr('m/archive_format', 'pt2')
        archive.writestr('m/models/model.json', content)
        archive.infolist()[-1].flag_bits |= flags  # of the directory at the end, which is read
    return file


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (dict(content=b'{"a": '), 'Expecting value'),
        (dict(content=b'"\xff"'), "'utf-8' codec can't decode"),
        (dict(flags=1), 'is encrypted'),
    ],
    ids=['no json', 'no utf-8', 'encrypted'],
)
def test_a_damaged_archive_is_one_line(tmp_path, options, reason):
    file = broken_archive(tmp_path / 'm.pt2', **options)
    with pytest.raises(UserError, match=rf'm.pt2 is no file of torch.export, or is damaged: .*{reason}') as caught:
        open_session(file)
    assert '\n' not in str(caught.value)


def test_a_part_that_does_not_unpack_is_one_line(tmp_path):
    file = broken_archive(tmp_path / 'm.pt2', b'[' + b'1, ' * 5000 + b'1]', compression=zipfile.ZIP_DEFLATED)
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        at = archive.infolist()[-1].header_offset + 60
    data[at : at + 8] = b'\xff' * 8
    file.write_bytes(data)
    with pytest.raises(UserError, match=r'is no file of torch\.export, or is damaged'):
        open_session(file)
