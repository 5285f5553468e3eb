"""Any change is noticed, however it was made."""

import copy

import pytest
import torch
from torch import nn

from textxfer_mm.layers.watch import Watch, checksum


@pytest.mark.parametrize(
    'dtype', [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool]
)
def test_any_element_of_any_type_counts(dtype):
    x = torch.ones(50, 50).to(dtype)
    before = checksum([x])
    assert checksum([x.clone()]) == before
    for index in ((0, 0), (17, 3), (49, 49)):
        other = x.clone()
        other[index] = 0
        assert checksum([other]) != before


def test_a_change_in_the_last_bit_counts():
    x = torch.randn(3000)
    other = x.clone()
    other[1234] = torch.nextafter(other[1234], torch.tensor(float('inf')))
    assert checksum([x]) != checksum([other])


def test_order_counts():
    x = torch.randn(8, 512)
    assert checksum([x]) != checksum([x.flip(0)])
    assert checksum([x]) != checksum([x.flip(1)])
    big = torch.randn(2048, 16)
    swapped = big.clone()
    swapped[[0, 1021]] = big[[1021, 0]]
    assert checksum([big]) != checksum([swapped])
    assert checksum([x[:4], x[4:]]) != checksum([x[4:], x[:4]])


def test_writes_that_torch_does_not_count():
    x = nn.Parameter(torch.randn(5))
    before, version = checksum([x]), x._version
    x.data.mul_(2)
    assert x._version == version
    assert checksum([x]) != before


def test_a_copy_has_the_checksum_of_its_original():
    module = nn.Linear(3, 4)
    assert checksum(copy.deepcopy(module).parameters()) == checksum(module.parameters())


def test_what_is_empty():
    assert checksum([]) == ()
    assert checksum([torch.zeros(0, 3)]) == (0, 0, 0)


def test_memory_that_is_not_contiguous():
    x = torch.randn(6, 7)
    assert checksum([x.t()]) == checksum([x.t().contiguous()])


class TestWatch:
    def test_it_sees_what_torch_counts_at_once_and_the_rest_when_in_doubt(self):
        x, watch = nn.Parameter(torch.randn(5)), Watch()
        watch.remember([x])
        assert watch.is_unchanged([x])
        x.data.add_(1)
        watch.doubt()
        assert not watch.is_unchanged([x])
        watch.remember([x])
        with torch.no_grad():
            x.add_(1)
        assert not watch.is_unchanged([x])

    def test_while_nothing_happens_nothing_is_read(self, monkeypatch):
        x, watch = torch.randn(5), Watch()
        watch.remember([x])
        monkeypatch.setattr('textxfer_mm.layers.watch.checksum', lambda tensors: pytest.fail('all was read'))
        assert watch.is_unchanged([x])

    def test_a_write_of_the_same_values_is_no_change(self):
        x, watch = torch.randn(5), Watch()
        watch.remember([x])
        x.copy_(x.clone())
        assert watch.is_unchanged([x])

    def test_a_copy_of_module_and_watch_agree(self):
        x, watch = torch.randn(5), Watch()
        watch.remember([x])
        pair = copy.deepcopy((x, watch))
        assert pair[1].is_unchanged([pair[0]])

    def test_nothing_is_watched_at_first(self):
        assert Watch().is_unchanged([])
        assert not Watch().is_unchanged([torch.ones(1)])
