"""Parts of MMEngine's datasets: a copy is that of the dataset that was asked, whatever was copied before."""

import gc

import pytest
from mmengine.dataset import BaseDataset, Compose

from textxfer_mm import compat_datasets


class Numbers(BaseDataset):
    """Ten numbers."""

    def load_data_list(self):
        return [dict(number=n) for n in range(10)]


def test_each_copy_has_its_own_pipeline():
    dataset = Numbers(pipeline=[lambda entry: entry])
    one, two = dataset.get_subset([1, 2]), dataset.get_subset([3])
    assert [one[i]['number'] for i in range(2)] == [1, 2]
    assert two[0]['number'] == 3
    assert one.pipeline is not two.pipeline is not dataset.pipeline


def test_datasets_that_are_gone_leave_nothing_behind():
    """Without the repair, the copy of an old dataset took the place of what has its address now, such as a pipeline."""
    for _ in range(300):
        subset = Numbers(pipeline=[], serialize_data=False).get_subset([0])  # serialising collects all garbage: slow
        gc.collect(0)
        assert isinstance(subset.pipeline, Compose)


def test_the_repair_is_made_once_and_where_it_is_needed(monkeypatch):
    ours = BaseDataset._copy_without_annotation
    compat_datasets.apply()
    assert BaseDataset._copy_without_annotation is ours
    monkeypatch.setattr(BaseDataset, '_copy_without_annotation', lambda self, memo=None: 'mended upstream')
    mended = BaseDataset._copy_without_annotation
    compat_datasets.apply()
    assert BaseDataset._copy_without_annotation is mended


@pytest.mark.parametrize('memo', [None, {}])
def test_a_memo_that_is_given_is_used(memo):
    dataset = Numbers(pipeline=[])
    copied = dataset._copy_without_annotation(memo)
    assert isinstance(copied, Numbers)
    assert memo is None or memo[id(dataset)] is copied
