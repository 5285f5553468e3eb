"""Several datasets in one loader: tags, replicas, repeated copies, corrupt videos, and clips that cannot be stacked."""

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, DefaultSampler, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_runs import pipeline, write_corrupt, write_dataset
from torch.utils.data import DataLoader

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.batches import flat_batch, multi_dataset_collate
from textxfer_mm.datasets.few_shot import FewShotDataset
from textxfer_mm.datasets.multi_dataset import MultiDataset
from textxfer_mm.datasets.tagged import TaggedDataset
from textxfer_mm.engine.hooks.corrupt_video import count_videos
from textxfer_mm.errors import UserError
from textxfer_mm.registry import DATASETS

#: Names that a module, a config key or a path could not have.
ODD = 'keys.of/the day_1'


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmaction')


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """A folder of four videos of two classes, and two that cannot be decoded."""
    folder = tmp_path_factory.mktemp('videos')
    return write_dataset(folder, good=4, corrupt=('empty', 'text'))


def listed(folder, name, labels, **options):
    """The config of a list whose videos need not be there."""
    (folder / f'{name}.txt').write_text(''.join(f'{i}.mp4 {label}\n' for i, label in enumerate(labels)))
    plain = dict(pipeline=[], serialize_data=False)
    return dict(type='VideoDataset', ann_file=str(folder / f'{name}.txt'), **plain, **options)


def tagged(folder, name, labels, **options):
    inner = listed(folder, name.replace('/', '-'), labels, **options.pop('inner', {}))
    return dict(type='TaggedDataset', name=name, dataset=inner, **options)


@pytest.fixture
def two(tmp_path):
    return [tagged(tmp_path, 'a', [0, 1, 2], class_names=['x', 'y', 'z']), tagged(tmp_path, ODD, [1, 0])]


def real(videos, steps, *, kind='VideoDataset', name='k', **options):
    dataset = dict(type=kind, ann_file=str(videos), data_prefix=dict(video=str(videos.parent)), pipeline=steps)
    return dict(type='TaggedDataset', name=name, dataset={**dataset, **options})


class TestTags:
    def test_the_tag_is_in_the_packed_sample_beside_the_own_label(self, videos):
        dataset = DATASETS.build(real(videos, pipeline(test_mode=True), name=ODD, test_mode=True))
        sample = dataset[1]['data_samples']
        assert sample.dataset_name == sample.metainfo['dataset_name'] == ODD
        assert sample.gt_label.tolist() == [1]
        assert sample.metainfo['gt_index'] == 1
        assert 'dataset_name' not in dataset[1]  # the model would be handed it
        assert sample.to_dict()['dataset_name'] == ODD  # what metrics get

    @pytest.mark.parametrize('once', [True, False])
    def test_every_copy_of_stock_repeated_augmentation_has_it(self, videos, once):
        steps = pipeline(test_mode=False)
        steps[0], steps[2] = dict(type='DecordInit'), dict(type='DecordDecode')
        dataset = DATASETS.build(real(videos, steps, kind='RepeatAugDataset', num_repeats=3, sample_once=once))
        assert [copy['data_samples'].dataset_name for copy in dataset[0]] == ['k'] * 3

    def test_a_sample_without_data_samples_has_it_as_an_entry(self, two):
        assert DATASETS.build(two[0])[2] == dict(DATASETS.build(two[0]['dataset'])[2], dataset_name='a')

    def test_what_replaces_a_corrupt_video_is_of_the_same_dataset(self, videos, monkeypatch):
        monkeypatch.setattr(corrupt_record, 'record', lambda *_, **__: videos.parent)
        dataset = MultiDataset([real(videos, pipeline(test_mode=False), name=name) for name in 'ab'])
        assert [dataset[i]['data_samples'].dataset_name for i in (4, 5, 10, 11)] == ['a', 'a', 'b', 'b']
        assert count_videos(dataset) == 12

    def test_it_is_a_dataset_of_mmengine(self, two):
        dataset = DATASETS.build(dict(two[0], lazy_init=True))
        assert dataset.dataset._fully_initialized is False
        assert dataset.metainfo == dict(dataset_name='a', classes=('x', 'y', 'z'))
        assert len(dataset) == 3
        assert dataset.dataset._fully_initialized
        assert dataset.get_data_info(1) == dict(dataset.dataset.get_data_info(1), dataset_name='a')
        assert [dataset.get_cat_ids(i) for i in range(3)] == [[0], [1], [2]]

    @pytest.mark.parametrize('outside', [True, False])
    def test_selections_inside_and_around_it_keep_the_same(self, tmp_path, outside):
        inner = listed(tmp_path, 'a', [0, 1] * 5)
        few = dict(type='FewShotDataset', shots=2, seed=3)
        expected = [info['filename'] for info in map(DATASETS.build(dict(few, dataset=inner)).get_data_info, range(4))]
        dataset = (
            dict(few, dataset=dict(type='TaggedDataset', name='a', dataset=inner))
            if outside
            else dict(type='TaggedDataset', name='a', dataset=dict(few, dataset=inner))
        )
        built = DATASETS.build(dataset)
        assert [built[i]['filename'] for i in range(len(built))] == expected
        assert {built[i]['dataset_name'] for i in range(4)} == {'a'}

    def test_class_balanced_around_and_inside(self, tmp_path):
        labels = [0] * 8 + [1] * 2
        inner = tagged(tmp_path, 'a', labels)
        balanced = dict(type='ClassBalancedDataset', oversample_thr=0.8)
        around = DATASETS.build(dict(balanced, dataset=inner))
        within = DATASETS.build(dict(inner, dataset=dict(balanced, dataset=inner['dataset'])))
        assert len(around) == len(within) == 8 + 2 * 2
        assert around[11]['dataset_name'] == within[11]['dataset_name'] == 'a'
        assert within.get_cat_ids(11) == [1]

    def test_names_go_through_selections_and_are_compared(self, tmp_path):
        inner = listed(tmp_path, 'a', [0, 1], metainfo=dict(classes=('run', 'walk')))
        built = FewShotDataset(TaggedDataset('a', inner), 1)
        assert built.class_names == ('run', 'walk')
        assert built.metainfo['dataset_name'] == 'a'
        with pytest.raises(UserError, match="part at label 0: 'run' and 'jump'"):
            _ = TaggedDataset('a', inner, class_names=['jump', 'walk']).metainfo

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (dict(name=''), "name is what the dataset is called, got ''"),
            (dict(name=3), 'called, got 3'),
            (dict(dataset=[1]), r"TaggedDataset 'a' wraps a dataset of MMEngine or the config of one, not list"),
            (dict(class_names='kinetic400'), 'Did you mean: kinetics400'),
        ],
    )
    def test_mistakes(self, two, arguments, message):
        with pytest.raises(UserError, match=message):
            DATASETS.build({**two[0], **arguments})

    def test_two_tags_are_one_too_many(self, two):
        joined = dict(type='RepeatDataset', times=2, dataset=two[0])
        with pytest.raises(UserError, match="'b' holds 'a', which has a tag already"):
            DATASETS.build(dict(type='TaggedDataset', name='b', dataset=joined))


class TestMultiDataset:
    def test_datasets_follow_each_other_with_their_replicas(self, two):
        dataset = DATASETS.build(dict(type='MultiDataset', datasets=two, replicas={ODD: 3}))
        assert len(dataset) == 3 + 3 * 2
        assert [dataset.place(i) for i in range(9)] == [('a', 0), ('a', 1), ('a', 2), *[(ODD, 0), (ODD, 1)] * 3]
        assert [dataset[i]['label'] for i in range(5)] == [0, 1, 2, 1, 0]
        assert dataset[-1] == dataset[8] == dataset[4]
        assert dataset.get_data_info(4)['dataset_name'] == ODD
        assert dataset.spans == {'a': range(3), ODD: range(3, 9)}
        with pytest.raises(IndexError):
            dataset[9]
        assert count_videos(dataset) == 5

    def test_metainfo_has_the_classes_of_each(self, two):
        dataset = MultiDataset(two)
        assert dataset.metainfo == {'a': dict(dataset_name='a', classes=('x', 'y', 'z')), ODD: dict(dataset_name=ODD)}

    def test_the_stock_wrapper_joins_parts_of_one_dataset_inside(self, tmp_path):
        part = [listed(tmp_path, name, [0, 1]) for name in 'xy']
        dataset = MultiDataset([TaggedDataset('a', dict(type='ConcatDataset', datasets=part))])
        assert [dataset[i]['dataset_name'] for i in range(4)] == ['a'] * 4
        assert isinstance(dataset.datasets[0].dataset, ConcatDataset)

    def test_lists_may_be_read_later(self, two):
        dataset = DATASETS.build(dict(type='MultiDataset', datasets=two, lazy_init=True))
        assert not dataset.datasets[0].dataset._fully_initialized
        dataset.full_init()
        assert len(dataset) == 5

    def test_in_proportion_every_sample_comes_once(self, two):
        """The paper's mixing: the stock sampler over all."""
        dataset = MultiDataset(two)
        order = list(DefaultSampler(dataset, shuffle=True, seed=0))
        assert sorted(order) == list(range(5))

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (dict(datasets=[]), 'datasets is a list of TaggedDataset; got'),
            (dict(datasets=dict(type='TaggedDataset')), 'datasets is a list of TaggedDataset; got'),
            (dict(replicas=dict(b=2)), "replicas name 'b'. Known"),
            (dict(replicas=dict(a=0)), "replicas of 'a' is a whole number from 1 on, got 0"),
            (dict(replicas=dict(a=1.5)), 'got 1.5'),
            (dict(replicas=dict(a=True)), 'got True'),
            (dict(replicas=[1, 1]), 'replicas is a dict of whole numbers by name'),
        ],
    )
    def test_mistakes(self, two, arguments, message):
        with pytest.raises(UserError, match=message):
            MultiDataset(**{'datasets': two, **arguments})

    def test_all_datasets_have_a_tag_of_their_own_and_samples(self, two, tmp_path):
        with pytest.raises(UserError, match=r'dataset 1 is a VideoDataset; wrap it: dict\(type="TaggedDataset"'):
            MultiDataset([two[0], two[1]['dataset']])
        with pytest.raises(UserError, match="two datasets are called 'a'"):
            MultiDataset([two[0], two[0]])
        with pytest.raises(UserError, match="'none' has no samples"):
            MultiDataset([two[0], tagged(tmp_path, 'none', [])])

    def test_a_selection_around_labels_of_several_spaces_is_refused(self, two):
        with pytest.raises(UserError, match='not MultiDataset; put other wrappers around FewShotDataset'):
            FewShotDataset(MultiDataset(two), 1)


def sample(name, shape, **kind):
    data = dict(inputs=torch.ones(shape, dtype=torch.uint8))
    return {**data, 'dataset_name': name, **kind}


class TestBatches:
    def test_copies_come_side_by_side(self):
        one, two, three = (sample(name, (1, 3, 2, 4, 4)) for name in 'abc')
        assert [one['dataset_name'] for one in flat_batch([[one, two], three])] == ['a', 'b', 'c']
        collated = multi_dataset_collate([[one, two], three])
        assert collated['dataset_name'] == ['a', 'b', 'c']
        assert len(collated['inputs']) == 3

    @pytest.mark.parametrize('other', [(1, 3, 4, 4, 4), (2, 3, 2, 4, 4), (1, 3, 2, 4, 8), (1, 2, 4, 4)])
    def test_clips_of_other_shapes_are_refused(self, other):
        """What the data preprocessor would pad with zeros: frames, views, sizes."""
        batch = [sample('a', (1, 3, 2, 4, 4)), sample(ODD, other)]
        with pytest.raises(UserError) as error:
            flat_batch(batch)
        assert f"(1, 3, 2, 4, 4) of 'a' and {other} of {ODD!r}" in str(error.value)
        with pytest.raises(UserError, match='OneDatasetBatchSampler'):
            multi_dataset_collate([[batch[0]], batch[1:]])

    def test_a_loader_refuses_them_without_being_told(self, videos):
        long = pipeline(test_mode=True)
        long[1] = dict(long[1], num_clips=3)
        parts = [
            real(videos, steps, name=name, test_mode=True, indices=4)
            for name, steps in (('short', pipeline(test_mode=True)), ('long', long))
        ]
        loader = Runner.build_dataloader(
            dict(
                batch_size=8,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='MultiDataset', datasets=parts),
            ),
            seed=0,
        )
        with pytest.raises(UserError, match=r"\(2, 3, 32, 32\) of 'short' and \(3, 3, 32, 32\) of 'long'"):
            next(iter(loader))
        loader = Runner.build_dataloader(
            dict(
                batch_size=8,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                batch_sampler=dict(type='OneDatasetBatchSampler'),
                dataset=dict(type='MultiDataset', datasets=parts),
            ),
            seed=0,
        )
        assert [[len(clip) for clip in batch['inputs']] for batch in loader] == [[2] * 4, [3] * 4]
        assert len(loader) == 2


def repeated(videos, times=2, **options):
    """Repeated augmentation behind the tolerant decoder."""
    steps = pipeline(test_mode=False)
    tail = dict(type='RepeatAugment', num_repeats=times, transforms=steps[3:])
    return real(videos, [*steps[:3], tail], **options)


class TestRepeatAugment:
    def test_copies_have_the_same_frames_and_other_augmentations(self, videos):
        loader = DataLoader(MultiDataset([repeated(videos, indices=4)]), batch_size=4, collate_fn=pseudo_collate)
        (batch,) = loader
        assert len(batch['inputs']) == 8
        assert [one.dataset_name for one in batch['data_samples']] == ['k'] * 8
        assert [one.gt_label.item() for one in batch['data_samples']] == [0, 0, 1, 1] * 2
        assert not torch.equal(batch['inputs'][0], batch['inputs'][1])

    def test_equal_augmentations_give_equal_copies(self, videos):
        steps = pipeline(test_mode=True)
        tail = dict(type='RepeatAugment', num_repeats=3, transforms=steps[3:])
        copies = DATASETS.build(real(videos, [*steps[:3], tail]))[0]
        expected = DATASETS.build(real(videos, steps))[0]
        assert all(torch.equal(copy['inputs'], expected['inputs']) for copy in copies)
        assert len({id(copy['data_samples']) for copy in copies}) == 3

    def test_the_corrupt_are_replaced(self, videos, monkeypatch):
        recorded = []
        monkeypatch.setattr(corrupt_record, 'record', lambda name, *_, **__: recorded.append(name) or videos.parent)
        dataset = MultiDataset([repeated(videos)])
        batch = dataset.__getitems__([4, 0, 5])
        assert len(batch) == 6
        assert {one['data_samples'].dataset_name for one in batch} == {'k'}
        assert len(recorded) >= 2

    def test_a_step_behind_the_decoder_may_drop_the_video(self):
        from textxfer_mm.datasets.transforms_repeat import RepeatAugment

        outcomes = iter([dict(imgs=1), None])
        assert RepeatAugment([lambda _: next(outcomes)])(dict(imgs=[np.zeros(2)])) is None

    @pytest.mark.parametrize('times', [0, 1.5, True])
    def test_mistakes(self, videos, times):
        with pytest.raises(UserError, match=f'at least 1, got {times!r}'):
            DATASETS.build(repeated(videos, times))


def draws_of(videos, indices, workers, before=()):
    """The first pixels of a batch that a loader draws, perhaps behind others."""
    dataset = MultiDataset([real(videos, pipeline(test_mode=False), indices=4)])
    torch.manual_seed(5)
    loader = DataLoader(dataset, batch_sampler=[*before, indices], num_workers=workers, collate_fn=pseudo_collate)
    return list(loader)[-1]['inputs']


def test_workers_draw_for_a_batch_whatever_was_before_it(videos):
    """So that a run may go on within an epoch without decoding what is done."""
    alone = draws_of(videos, [0, 1], 1)
    after = draws_of(videos, [0, 1], 2, before=[[2, 3], [1, 2], [3, 0]])
    assert all(map(torch.equal, alone, after))
    other = draws_of(videos, [1, 0], 1)
    assert not torch.equal(alone[0], other[1])


def test_the_corrupt_may_be_none_of_a_kind(tmp_path):
    write_corrupt(tmp_path / 'x.mp4', 'text')
    (tmp_path / 'list.txt').write_text('x.mp4 0\n')
    dataset = MultiDataset([real(tmp_path / 'list.txt', pipeline(test_mode=False))])
    with pytest.raises(UserError, match='cannot decode'):
        dataset[0]
