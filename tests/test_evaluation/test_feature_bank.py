"""Files of features: what is written is read, and what does not fit together is refused."""

import pytest
import torch

from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.feature_bank import FeatureBank, load_banks, save_banks


def bank(videos=3, labels=None, **options):
    features = torch.randn(videos, 2, 4, generator=torch.Generator().manual_seed(videos))
    labels = torch.arange(videos) if labels is None else labels
    names = tuple(f'{number}.mp4' for number in range(videos))
    return FeatureBank(features, labels, names, **{'weights': 'w', 'pipeline': 'p', **options})


def test_several_banks_in_one_file(tmp_path):
    several = torch.tensor([[1, 0, 1], [0, 0, 1]])
    given = {
        'trained: a': bank(skipped={'x.mp4': 'empty file'}, about=dict(config='c.py')),
        'b': bank(videos=2, labels=several),
    }
    read = load_banks(save_banks(tmp_path / 'f.safetensors', given))
    assert list(read) == list(given)
    for key, found in read.items():
        assert found.features.equal(given[key].features)
        assert found.labels.equal(given[key].labels)
        for part in ('names', 'weights', 'pipeline', 'skipped', 'about'):
            assert getattr(found, part) == getattr(given[key], part)
    assert read['b'].labels.dtype == torch.uint8


def test_who_made_them():
    made = bank(about=dict(config='c.py', checkpoint='e.pth'))
    made.require_made_by('w', 'p', 'f')
    with pytest.raises(UserError, match=r'by another model \(digest w, here x; c\.py, e\.pth\)'):
        made.require_made_by('x', 'p', 'f')
    with pytest.raises(UserError, match='made by another pipeline'):
        made.require_made_by('w', 'x', 'f')


def test_what_does_not_fit(tmp_path):
    with pytest.raises(UserError, match=r'features \(videos, views, width\), got \(3, 4\)'):
        FeatureBank(torch.zeros(3, 4), torch.arange(3), ('a', 'b', 'c'), 'w', 'p')
    with pytest.raises(UserError, match=r'Features of 3 videos cannot have labels of shape \(2,\)'):
        bank(labels=torch.arange(2))
    features = torch.zeros(2, 1, 4)
    features[1, 0, 2] = float('nan')
    with pytest.raises(UserError, match=r'1 of 2 videos are not finite \(NaN or infinite\), such as those of b'):
        FeatureBank(features, torch.arange(2), ('a', 'b'), 'w', 'p')
    with pytest.raises(UserError, match=r'File of features not found: gone\.safetensors'):
        load_banks('gone.safetensors')
