"""Ratio sampling: exact shares over an epoch and in every batch, on any number of ranks, from seed and epoch alone."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from mmengine.dataset import BaseDataset, DefaultSampler
from mmengine.runner import Runner

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets.multi_dataset import MultiDataset
from textxfer_mm.datasets.one_dataset_batches import OneDatasetBatchSampler
from textxfer_mm.datasets.ratio_samplers import DatasetRatioBatchSampler, DatasetRatioSampler
from textxfer_mm.datasets.ratios import counts_of, even_turns, exact_shares
from textxfer_mm.datasets.tagged import TaggedDataset
from textxfer_mm.errors import UserError


class Numbers(BaseDataset):
    """So many entries without videos."""

    def __init__(self, length):
        self.length = length
        super().__init__(serialize_data=False)

    def load_data_list(self):
        return [dict(label=0) for _ in range(self.length)]


def several(**lengths):
    return MultiDataset([TaggedDataset(name, Numbers(length)) for name, length in lengths.items()])


@pytest.fixture
def ranks(monkeypatch):
    """Run something as each of some ranks, one after another."""

    def each(world, build):
        found = []
        for rank in range(world):
            monkeypatch.setattr('textxfer_mm.datasets.ratio_samplers.get_dist_info', lambda rank=rank: (rank, world))
            monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, world))
            found.append(build())
        return found

    return each


def names_in(dataset, indices):
    return Counter(dataset.place(index)[0] for index in indices)


class TestShares:
    def test_they_sum_to_one_and_are_what_was_meant(self):
        assert exact_shares(dict(a=0.1, b=0.2), 'ab', 'x') == dict(a=Fraction(1, 3), b=Fraction(2, 3))
        assert exact_shares(dict(b=100, a=0), 'ab', 'x') == dict(a=0, b=1)
        big = exact_shares(dict(a=240436, b=727305, c=168913), 'abc', 'x')
        assert big['b'] == Fraction(727305, 240436 + 727305 + 168913)
        assert exact_shares(dict(a=np.float32(0.25), b=np.int64(1)), 'ab', 'x')['a'] == Fraction(1, 5)

    @pytest.mark.parametrize(
        ('ratios', 'message'),
        [
            (dict(a=1, c=1), r"ratios name 'c'\. Known: a, b"),
            (dict(a=1), 'ratios lack b; give 0 to leave a dataset out'),
            (dict(a=1, b=-1), "the ratio of 'b' is a number from 0 on, got -1"),
            (dict(a=math.nan, b=1), "the ratio of 'a' is a number from 0 on, got nan"),
            (dict(a=math.inf, b=1), "ratio of 'a' is a number from 0 on, got inf"),
            (dict(a='1', b=1), "got '1'"),
            (dict(a=True, b=1), 'got True'),
            (dict(a=0, b=0.0), 'all ratios are 0'),
            ({}, 'ratios lack a, b'),
            ([1, 1], 'ratios is a dict of numbers by dataset'),
            (1.5, r"x: ratio 1\.5 is not from 0 to 1, the share of 'a'; 'b' has the rest"),
            (-0.1, r'ratio -0\.1 is not from 0 to 1'),
            (math.nan, 'ratio nan is not from 0 to 1'),
        ],
    )
    def test_mistakes(self, ratios, message):
        with pytest.raises(UserError, match=message):
            exact_shares(ratios, ('a', 'b'), 'x')

    @pytest.mark.parametrize('share', [0, 0.1, 0.25, 0.5, 0.9, 1])
    def test_one_number_is_the_share_of_the_first_of_two(self, share):
        expected = Fraction(str(share))
        assert exact_shares(share, ('a', 'b'), 'x') == dict(a=expected, b=1 - expected)
        with pytest.raises(UserError, match='is for two datasets; give one for each of a, b, c'):
            exact_shares(share, ('a', 'b', 'c'), 'x')

    def test_counts_are_less_than_one_from_the_shares(self):
        generator = np.random.default_rng(0)
        for total in (1, 7, 100, 101):
            names = [f'd{i}' for i in range(generator.integers(1, 8))]
            shares = exact_shares({name: float(generator.random()) for name in names}, names, 'x')
            counts = counts_of(shares, total)
            assert sum(counts.values()) == total
            assert all(abs(counts[name] - shares[name] * total) < 1 for name in names)
        assert counts_of(dict(a=Fraction(1, 4), b=Fraction(3, 4)), 8) == dict(a=2, b=6)

    def test_turns_never_get_one_ahead_or_behind(self):
        """Whatever the number of datasets; so that any block of B turns is exact where B times a share is whole."""
        generator = np.random.default_rng(1)
        for number in (1, 2, 3, 4, 7, 11):
            names = [f'd{i}' for i in range(number)]
            shares = exact_shares({name: int(generator.integers(1, 12)) for name in names}, names, 'x')
            taken = dict.fromkeys(names, 0)
            for turn, name in enumerate(itertools.islice(even_turns(shares), 400), 1):
                taken[name] += 1
                assert all(abs(taken[one] - shares[one] * turn) < 1 for one in names)


class TestSampler:
    @pytest.mark.parametrize('world', [1, 2, 3])
    @pytest.mark.parametrize('ratios', [(1, 1, 0), (25, 75, 0), (0, 0, 1), (0.5, 0.3, 0.2)])
    def test_the_ratio_is_exact_over_an_epoch(self, ranks, world, ratios):
        dataset = several(a=10, b=50, c=7)
        options = dict(zip('abc', ratios, strict=True))
        parts = ranks(world, lambda: list(DatasetRatioSampler(dataset, options, length=120, seed=3)))
        assert [len(part) for part in parts] == [120 // world] * world
        counts = names_in(dataset, itertools.chain(*parts))
        assert all(counts[name] == round(120 * share / sum(ratios)) for name, share in options.items())

    def test_ranks_share_the_order_of_one_process(self, ranks):
        dataset = several(a=10, b=50)
        options = dict(ratios=dict(a=1, b=2), length=30, seed=3)
        (alone,) = ranks(1, lambda: list(DatasetRatioSampler(dataset, **options)))
        first, second = ranks(2, lambda: list(DatasetRatioSampler(dataset, **options)))
        assert [index for pair in zip(first, second, strict=True) for index in pair] == alone

    def test_the_order_is_one_of_seed_and_epoch(self):
        dataset = several(a=10, b=50)

        def order(seed, epoch):
            sampler = DatasetRatioSampler(dataset, dict(a=1, b=1), seed=seed)
            sampler.set_epoch(epoch)
            np.random.seed(epoch)  # of no interest
            return list(sampler)

        assert order(0, 1) == order(0, 1)
        assert order(0, 1) != order(0, 2) != order(1, 2)

    def test_over_the_epochs_all_samples_of_a_dataset_count_alike(self):
        """A small one begins anew, a large one goes on where it was."""
        dataset = several(small=4, large=25)
        sampler = DatasetRatioSampler(dataset, dict(small=1, large=1), length=20, seed=0)
        seen = Counter()
        for epoch in range(10):
            sampler.set_epoch(epoch)
            order = list(sampler)
            small = Counter(index for index in order if index < 4)
            assert set(small.values()) <= {2, 3}
            assert max(Counter(index for index in order if index >= 4).values()) <= 2  # once, but where it begins anew
            seen.update(order)
        assert {seen[index] for index in range(4)} == {25}
        assert {seen[index] for index in range(4, 29)} == {4}

    def test_length_by_default_is_that_of_the_datasets_with_a_share(self, ranks):
        dataset = several(a=10, b=51, c=7)
        assert len(DatasetRatioSampler(dataset, dict(a=1, b=1, c=0), seed=0)) == 61
        lengths = ranks(4, lambda: len(DatasetRatioSampler(dataset, dict(a=1, b=1, c=0), seed=0)))
        assert lengths == [16] * 4

    def test_replicas_and_a_single_dataset(self):
        dataset = MultiDataset([TaggedDataset('a', Numbers(3)), TaggedDataset('b', Numbers(2))], replicas=dict(a=2))
        assert names_in(dataset, DatasetRatioSampler(dataset, dict(a=6, b=2), seed=0)) == dict(a=6, b=2)
        assert sorted(DatasetRatioSampler(TaggedDataset('a', Numbers(3)), dict(a=1), seed=0)) == [0, 1, 2]

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(length=0), 'length is a whole number of at least 1, got 0'),
            (dict(length=2.5), 'got 2.5'),
            (dict(ratios=dict(a=1, d=1)), "DatasetRatioSampler: ratios name 'd'"),
            (
                dict(dataset=Numbers(3)),
                'needs a MultiDataset, whose datasets have names; got Numbers',
            ),
            (dict(dataset=TaggedDataset('a', Numbers(0)), ratios=dict(a=1)), "'a' has no samples; give it the ratio 0"),
        ],
    )
    def test_mistakes(self, options, message):
        with pytest.raises(UserError, match=message):
            DatasetRatioSampler(**{'dataset': several(a=3, b=3), 'ratios': dict(a=1, b=1), 'seed': 0, **options})


class TestBatches:
    @pytest.mark.parametrize('world', [1, 2, 3])
    @pytest.mark.parametrize(('ratios', 'size'), [((1, 3), 8), ((1, 1, 2), 4), ((0, 1, 1), 2), ((10, 0, 0), 3)])
    def test_every_batch_of_every_rank_has_the_shares(self, ranks, world, ratios, size):
        names = 'abc'[: len(ratios)]
        dataset = several(**{name: 20 + 9 * place for place, name in enumerate(names)})
        options = dict(zip(names, ratios, strict=True))

        def batches():
            sampler = DatasetRatioSampler(dataset, options, length=100, seed=1)
            sampler.set_epoch(2)
            batched = DatasetRatioBatchSampler(sampler, size)
            assert len(list(batched)) == len(batched) == math.ceil(100 / world) // size
            return list(batched)

        for batch in itertools.chain(*ranks(world, batches)):
            counts = names_in(dataset, batch)
            assert all(counts[name] == size * share / sum(ratios) for name, share in options.items())

    @pytest.mark.parametrize('world', [1, 2, 3])
    def test_what_is_left_over_takes_turns(self, ranks, world):
        """5 samples of two equal datasets: 3 and 2 in turns; over an epoch as many of each."""
        dataset = several(a=100, b=100)

        def batches():
            return list(DatasetRatioBatchSampler(DatasetRatioSampler(dataset, dict(a=1, b=1), length=120, seed=1), 5))

        parts = ranks(world, batches)
        assert {names_in(dataset, batch)['a'] for batch in itertools.chain(*parts)} == {2, 3}
        indices = [index for part in parts for batch in part for index in batch]
        assert names_in(dataset, indices) == dict(a=60, b=60)
        assert max(Counter(indices).values()) == 1  # no rank has what another has

    def test_the_last_batch_may_be_smaller(self, ranks):
        dataset = several(a=50, b=50)

        def batches():
            sampler = DatasetRatioSampler(dataset, dict(a=1, b=1), length=44, seed=1)
            batched = DatasetRatioBatchSampler(sampler, 8, drop_last=False)
            assert len(batched) == 3
            return list(batched)

        for part in ranks(2, batches):
            assert [len(batch) for batch in part] == [8, 8, 6]
            assert [names_in(dataset, batch)['a'] for batch in part] == [4, 4, 3]

    def test_within_a_batch_the_order_is_random(self):
        """MixUp flips the batch: no place may always meet the same dataset."""
        dataset = several(a=400, b=400)
        sampler = DatasetRatioSampler(dataset, dict(a=1, b=1), seed=1)
        firsts = [dataset.place(batch[0])[0] for batch in DatasetRatioBatchSampler(sampler, 4)]
        partners = [{dataset.place(batch[i])[0] for i in (0, 3)} for batch in DatasetRatioBatchSampler(sampler, 4)]
        assert 60 < firsts.count('a') < 140
        assert 0 < sum(len(pair) == 1 for pair in partners) < len(partners)

    def test_in_a_config(self):
        """As MMEngine's runner builds it, and as its hook tells the epoch."""
        loader = Runner.build_dataloader(
            dict(
                batch_size=4,
                num_workers=0,
                sampler=dict(type='DatasetRatioSampler', ratios=dict(a=1, b=3)),
                batch_sampler=dict(type='DatasetRatioBatchSampler'),
                dataset=several(a=8, b=8),
            ),
            seed=7,
        )
        assert len(loader) == 4
        assert loader.batch_sampler.sampler.seed == 7
        assert all(sorted(batch['dataset_name']) == ['a', 'b', 'b', 'b'] for batch in loader)

    def test_mistakes(self):
        dataset = several(a=3, b=3)
        sampler = DatasetRatioSampler(dataset, dict(a=1, b=1), seed=0)
        with pytest.raises(UserError, match=r'6 samples on a rank, batch_size=8 and drop_last=True'):
            DatasetRatioBatchSampler(sampler, 8)
        with pytest.raises(UserError, match='at least 1, got 0'):
            DatasetRatioBatchSampler(sampler, 0)
        with pytest.raises(UserError, match=r'needs sampler=dict\(type="DatasetRatioSampler".*not DefaultSampler'):
            DatasetRatioBatchSampler(DefaultSampler(dataset), 2)


class TestOneDataset:
    @pytest.mark.parametrize('world', [1, 2, 3])
    def test_batches_never_mix_and_keep_the_order(self, ranks, world):
        """So that what MMEngine gathers from the ranks and trims is each sample once."""
        dataset = several(a=7, b=2, c=5)

        def both():
            sampler = DefaultSampler(dataset, shuffle=False)
            batched = OneDatasetBatchSampler(sampler, 3)
            assert len(batched) == len(list(batched))
            return list(sampler), list(batched)

        orders = []
        for order, batches in ranks(world, both):
            assert [index for batch in batches for index in batch] == order
            assert all(len(names_in(dataset, batch)) == 1 and len(batch) <= 3 for batch in batches)
            orders.append(order)
        gathered = [index for row in zip(*orders, strict=True) for index in row][: len(dataset)]
        assert gathered == list(range(14))

    def test_mistakes(self):
        dataset = several(a=3, b=3)
        with pytest.raises(UserError, match='shuffles: set shuffle=False'):
            OneDatasetBatchSampler(DefaultSampler(dataset), 2)
        with pytest.raises(UserError, match='at least 1, got 0'):
            OneDatasetBatchSampler(DefaultSampler(dataset, shuffle=False), 0)
        with pytest.raises(UserError, match='needs a MultiDataset'):
            OneDatasetBatchSampler(DefaultSampler([1, 2], shuffle=False), 2)
