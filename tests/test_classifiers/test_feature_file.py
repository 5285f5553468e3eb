import pytest
import torch
from safetensors.torch import save_file

from textxfer_mm.classifiers.feature_file import LabelledFeatures, width_of_features
from textxfer_mm.errors import NotAtHandError, UserError


def test_round_trip(tmp_path):
    features = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    made = LabelledFeatures(features, torch.tensor([0, 1, 1, 0], dtype=torch.int32), dict(seed=0, config='a.py'))
    path = made.save(tmp_path / 'new' / 'f.safetensors')
    loaded = LabelledFeatures.load(str(path))
    assert loaded.features.dtype == torch.float32
    torch.testing.assert_close(loaded.features, features.detach().float(), rtol=0, atol=0)
    assert loaded.labels.tolist() == [0, 1, 1, 0]
    assert loaded.labels.dtype == torch.int64
    assert loaded.metadata == dict(seed=0, config='a.py')
    assert width_of_features(path) == 3
    assert [p.name for p in path.parent.iterdir()] == ['f.safetensors']


def test_files_of_other_tools(tmp_path):
    save_file(dict(features=torch.ones(2, 3).half(), labels=torch.tensor([0, 1]), more=torch.ones(1)), tmp_path / 'f')
    loaded = LabelledFeatures.load(tmp_path / 'f')
    assert (loaded.features.dtype, loaded.metadata) == (torch.float32, {})


def test_missing(tmp_path):
    for read in (LabelledFeatures.load, width_of_features):
        with pytest.raises(NotAtHandError, match=r'Make it with: python tools/extract_features\.py CONFIG .*gone'):
            read(tmp_path / 'gone')


def test_damaged(tmp_path):
    path = LabelledFeatures(torch.ones(20, 3), torch.zeros(20, dtype=torch.int64)).save(tmp_path / 'f')
    for content in (path.read_bytes()[:-10], b'text'):
        path.write_bytes(content)
        for read in (LabelledFeatures.load, width_of_features):
            with pytest.raises(UserError, match='not readable as safetensors'):
                read(path)


@pytest.mark.parametrize(
    ('tensors', 'message'),
    [
        (dict(weight=torch.ones(2, 3)), r'without the tensor\(s\) features, labels'),
        (dict(features=torch.ones(2, 3)), r'without the tensor\(s\) labels'),
        (dict(features=torch.ones(2, 3), labels=torch.zeros(3).long()), r'\(2, 3\) features cannot have \(3,\) labels'),
        (dict(features=torch.ones(2, 3), labels=torch.zeros(2)), r'got \(2, 3\) .* and \(2,\) torch.float32'),
        (dict(features=torch.ones(2, 3, 1), labels=torch.zeros(2).long()), r'got \(2, 3, 1\)'),
        (dict(features=torch.ones(2, 3).long(), labels=torch.zeros(2).long()), r'got \(2, 3\) torch.int64'),
        (dict(features=torch.ones(0, 3), labels=torch.zeros(0).long()), r'\(0, 3\) features cannot have'),
        (
            dict(features=torch.tensor([[1.0], [torch.nan]]), labels=torch.zeros(2).long()),
            '1 of 2 videos are not finite',
        ),
    ],
)
def test_what_does_not_fit(tmp_path, tensors, message):
    save_file(tensors, tmp_path / 'f')
    with pytest.raises(UserError, match=message):
        LabelledFeatures.load(tmp_path / 'f')
