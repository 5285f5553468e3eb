import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.functional import normalize

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.errors import UserError


def make(**changes):
    generator = torch.Generator().manual_seed(0)
    parts = dict(
        weight=normalize(torch.randn(3, 8, generator=generator), dim=1),
        class_names=('run', 'jump', 'Kürlauf'),
        templates=('a video of {}.', '{}'),
        encoder_id='open_clip/x/y',
    )
    return ClassifierBundle(**{**parts, **changes})


def rewrite(path, target, *, weight=None, **changes):
    """Write a bundle file again with another matrix, metadata or hash."""
    with safe_open(path, 'pt') as file:
        header, stored = file.metadata(), file.get_tensor('weight')
    metadata = json.loads(header['textxfer_mm'])
    digest = changes.pop('sha256', header['sha256'])
    metadata.update(changes)
    save_file(
        dict(weight=stored if weight is None else weight),
        target,
        metadata=dict(textxfer_mm=json.dumps(metadata), sha256=digest),
    )
    return target


def test_round_trip(tmp_path):
    bundle = make()
    path = bundle.save(tmp_path / 'new' / 'c.safetensors')
    loaded = ClassifierBundle.load(str(path))
    torch.testing.assert_close(loaded.weight, bundle.weight, rtol=0, atol=0)
    assert loaded.metadata() == bundle.metadata()
    assert json.loads(json.dumps(loaded.metadata())) == loaded.metadata()
    assert loaded.class_names == bundle.class_names
    assert loaded.templates == bundle.templates
    assert loaded.fingerprint == bundle.fingerprint
    assert (loaded.num_classes, loaded.embed_dims) == (3, 8)
    assert [file.name for file in path.parent.iterdir()] == ['c.safetensors']


def test_fingerprint_depends_on_every_part():
    moved = make().weight.clone()
    moved[0, 0] += 1e-6
    changes = [
        {},
        dict(weight=moved),
        dict(class_names=('run', 'jump', 'jog')),
        dict(templates=('{}',)),
        dict(encoder_id='open_clip/x/z'),
    ]
    assert len({make(**change).fingerprint for change in changes}) == len(changes)
    assert make().fingerprint == make().fingerprint


def test_from_rows_normalises_and_detaches():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.5]], dtype=torch.float64, requires_grad=True)
    bundle = ClassifierBundle.from_rows(rows, class_names=['a', 'b'], encoder_id='x')
    torch.testing.assert_close(bundle.weight, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    assert not bundle.weight.requires_grad
    assert bundle.templates == ()


def test_the_matrix_is_its_own():
    rows = torch.eye(3)
    bundle = make(weight=rows)
    rows.mul_(2)
    torch.testing.assert_close(bundle.weight, torch.eye(3))
    with torch.inference_mode():
        assert not make(weight=torch.eye(3)).weight.is_inference()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(weight=torch.eye(3).half()), r'float32 matrix .*\(3, 3\) torch.float16'),
        (dict(weight=torch.ones(3)), 'float32 matrix'),
        (dict(weight=[[1.0]]), 'got list'),
        (dict(weight=torch.eye(4)), '4 rows cannot have 3 class names'),
        (dict(weight=torch.zeros(0, 4), class_names=()), '0 rows cannot'),
        (dict(weight=2 * torch.eye(3)), r"3 have not: 'run' \(2\)"),
        (dict(weight=torch.tensor([[1.0, 0.0], [float('nan'), 1.0], [0.0, 1.0]])), r"1 have not: 'jump' \(nan\)"),
        (dict(class_names=('a', 'b', '')), 'non-empty strings'),
        (dict(encoder_id=''), 'non-empty strings'),
    ],
)
def test_invalid_bundles(changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes)


def test_tampering_is_noticed(tmp_path):
    path = make().save(tmp_path / 'c.safetensors')
    swapped = make().weight[[1, 0, 2]]
    for changes in (
        dict(weight=swapped),
        dict(class_names=['jump', 'run', 'Kürlauf']),
        dict(templates=['{}']),
        dict(encoder_id='other'),
        dict(sha256='0' * 64),
    ):
        with pytest.raises(UserError, match='was altered or damaged'):
            ClassifierBundle.load(rewrite(path, tmp_path / 't.safetensors', **changes))


def test_files_that_are_no_bundles(tmp_path):
    path = make().save(tmp_path / 'c.safetensors')
    (tmp_path / 'text').write_text('hello')
    (tmp_path / 'cut').write_bytes(path.read_bytes()[:-10])
    save_file(dict(weight=torch.eye(3)), tmp_path / 'plain')
    for name, message in (
        ('none', 'not found'),
        ('text', 'not readable as safetensors'),
        ('cut', 'not readable as safetensors'),
        ('plain', 'not a classifier written by textxfer_mm'),
    ):
        with pytest.raises(UserError, match=message):
            ClassifierBundle.load(tmp_path / name)
    with pytest.raises(UserError, match='format version 99 is not one of those known here'):
        ClassifierBundle.load(rewrite(path, tmp_path / 'future', format_version=99))
    with pytest.raises(UserError, match='4 rows cannot have 3 class names'):
        ClassifierBundle.load(rewrite(path, tmp_path / 'rows', weight=torch.eye(4)))
