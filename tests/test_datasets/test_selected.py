"""Few shots, class subsets and label fractions: what is kept, in any order of wrappers, and what a run makes of it."""

import json
import pickle
import random
import socket

import draw_ranks
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import init_default_scope

from textxfer_mm.datasets.class_subset import ClassSubsetDataset
from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.datasets.few_shot import FewShotDataset
from textxfer_mm.datasets.label_fraction import LabelFractionDataset
from textxfer_mm.engine.hooks.corrupt_video import count_videos
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.class_splits import draw_classes, half_class_split
from textxfer_mm.registry import DATASETS
from textxfer_mm.text.class_names import load_class_names

CLASSES = ['run', 'walk', 'jump', 'sit', 'wave']
#: Not sorted, and not of one size: 9, 8, 8, 8, 7 videos.
LABELS = [(7 * index) % 5 for index in range(39)] + [0]


@pytest.fixture
def inner(tmp_path):
    """A stock dataset over a list; its videos are not there, and need not be; storing it takes MMEngine 0.2 s."""
    init_default_scope('mmaction')
    (tmp_path / 'list.txt').write_text(''.join(f'{i}.mp4 {label}\n' for i, label in enumerate(LABELS)))
    plain = dict(pipeline=[], serialize_data=False)
    return dict(type='VideoDataset', ann_file=str(tmp_path / 'list.txt'), data_prefix=dict(video='v'), **plain)


@pytest.fixture
def few(inner):
    return dict(type='FewShotDataset', dataset=inner, shots=2, seed=3)


@pytest.fixture
def subset(inner):
    return dict(type='ClassSubsetDataset', dataset=inner, classes=['wave', 'walk'], class_names=CLASSES)


def entries(dataset):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(int(info['filename'][2:-4]), info['label']) for info in infos]


def drawn(count, seed, among=range(40)):
    return [among[i] for i in draw_per_class([LABELS[i] for i in among], seed=seed, count=count)]


def members(*labels):
    return [i for i, label in enumerate(LABELS) if label in labels]


class TestFewShot:
    def test_keeps_the_draw(self, few):
        dataset = DATASETS.build(few)
        assert entries(dataset) == [(i, LABELS[i]) for i in drawn(2, 3)]
        assert [dataset[i]['filename'] for i in range(10)] == [f'v/{i}.mp4' for i in drawn(2, 3)]
        assert dataset[-1] == dataset[9]
        with pytest.raises(IndexError):
            dataset[10]
        assert len(list(dataset)) == 10

    def test_more_shots_hold_the_fewer(self, inner):
        one, three, five = ({i for i, _ in entries(FewShotDataset(inner, k, seed=4))} for k in (1, 3, 5))
        assert one < three < five
        assert {i for i, _ in entries(FewShotDataset(inner, 5, seed=5))} != five

    def test_ranks_agree(self, inner):
        """Whatever the global state of a process, and without communication."""
        kept = []
        for rank in range(2):
            np.random.seed(rank)
            random.seed(rank)
            torch.manual_seed(rank)
            kept.append(entries(FewShotDataset(inner, 2)))
        assert kept[0] == kept[1]

    def test_two_processes_agree(self, few, subset, inner, tmp_path):
        """Real ranks, whose draw is written by both before they meet, and read afterwards."""
        fraction = dict(type='LabelFractionDataset', dataset=subset, fraction=0.5, seed=2)
        joined = dict(type='ConcatDataset', datasets=[few, few])
        file = tmp_path / 'draw.json'
        written = dict(few, draw_file=str(file))
        half = dict(type='ClassSubsetDataset', dataset=inner, fraction=0.5, seed=1, class_names=CLASSES)
        configs = dict(few=few, nested=dict(few, dataset=fraction), joined=joined, written=written, half=half)
        cfg = Config(dict(default_scope='mmaction', model=dict(), train_dataloader=dict(batch_size=1, dataset=written)))
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        torch.multiprocessing.spawn(draw_ranks.worker, (port, tmp_path, configs, cfg), nprocs=2)
        first, second = torch.load(tmp_path / 'both.pt')
        assert first == second
        for name, config in configs.items():
            dataset = DATASETS.build(config)
            infos = [dataset.get_data_info(index) for index in range(len(dataset))]
            assert first[name] == [(info['filename'], info['label']) for info in infos]
        assert first['written'] == first['few']
        assert [path.name for path in tmp_path.iterdir() if 'draw' in path.name] == ['draw.json']

    def test_an_epoch_of_the_full_length(self, few):
        """The authors' code repeats the list n // (C * K) times."""
        dataset = DATASETS.build(dict(few, repeat='full_epoch'))
        assert len(dataset) == 40 // (5 * 2) * 10 == 40
        assert entries(dataset) == 4 * entries(DATASETS.build(few))
        assert len(DATASETS.build(dict(few, shots=3, repeat='full_epoch'))) == 40 // (5 * 3) * 15 == 30
        assert count_videos(dataset) == 10
        assert len(DATASETS.build(few)) == 10

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (dict(shots=0), 'at least 1; got 0'),
            (dict(shots=True), 'at least 1; got True'),
            (dict(seed=-1), 'not negative; got -1'),
            (dict(repeat='full'), "repeat of FewShotDataset is none or full_epoch, not 'full'"),
            (dict(shots=8), r'FewShotDataset of \S+list\.txt: 8 videos a class were asked for, but label 3 has 7'),
            (dict(shots=8, class_names=CLASSES), r'label 3 \(sit\) has 7\. Ask for fewer'),
            (dict(class_names=[*CLASSES, 'clap']), r'1 of 6 classes have none: clap\. Add videos'),
            (
                dict(class_names=CLASSES[:4]),
                r"list\.txt: label 4 of '2\.mp4' is out of range: 4 classes are named, 0 to 3 \(from 'run' to 'sit'\)",
            ),
            (dict(dataset=[1, 2]), 'not list; put other wrappers around FewShotDataset'),
        ],
    )
    def test_mistakes(self, few, arguments, message):
        with pytest.raises(UserError, match=message):
            DATASETS.build({**few, **arguments})


class TestDrawFile:
    @pytest.fixture
    def file(self, tmp_path):
        return tmp_path / 'draws' / 'draw.json'

    def test_is_written_and_read_back(self, few, file, monkeypatch):
        written = entries(DATASETS.build(dict(few, draw_file=str(file))))
        facts = json.loads(file.read_text())
        assert (facts['shots'], facts['seed'], facts['videos_of_list']) == (2, 3, 40)
        assert facts['videos'] == [[f'{i}.mp4', label] for i, label in written]
        monkeypatch.setattr('textxfer_mm.datasets.few_shot.draw_per_class', lambda *args, **options: [])
        before = file.read_bytes()
        assert entries(DATASETS.build(dict(few, draw_file=str(file), repeat='full_epoch'))) == 4 * written
        assert file.read_bytes() == before

    def test_follows_the_videos_to_another_folder(self, few, file):
        written = entries(DATASETS.build(dict(few, draw_file=file)))
        few['dataset']['data_prefix'] = dict(video='w')
        assert entries(DATASETS.build(dict(few, draw_file=file))) == written

    def test_other_ranks_write_nothing(self, few, file, monkeypatch):
        monkeypatch.setattr('textxfer_mm.datasets.few_shot.is_main_process', lambda: False)
        assert len(DATASETS.build(dict(few, draw_file=file))) == 10
        assert not file.exists()

    def test_another_draw_or_list_is_refused(self, few, file, tmp_path):
        DATASETS.build(dict(few, draw_file=file))
        for change, message in (
            (dict(shots=1), r'draw\.json is a draw with shots=2, and shots=1 is asked for\. Give the file'),
            (dict(seed=0), 'is a draw with seed=3, and seed=0 is asked for'),
        ):
            with pytest.raises(UserError, match=message):
                DATASETS.build({**few, 'draw_file': file, **change})
        lines = (tmp_path / 'list.txt').read_text().splitlines()
        for other in (lines[:-1], lines[::-1], ['0.mp4 4', *lines[1:]]):
            (tmp_path / 'list.txt').write_text('\n'.join(other) + '\n')
            with pytest.raises(UserError, match=rf'from another list: one of 40 .* this one has {len(other)} '):
                DATASETS.build(dict(few, draw_file=file))

    def test_what_is_no_draw_is_refused(self, few, file):
        DATASETS.build(dict(few, draw_file=file))
        facts = json.loads(file.read_text())
        stranger = [['x.mp4', 0], *facts['videos'][1:]]
        for content, message in (
            ('{', r'draw\.json is not valid JSON'),
            ('[]', 'is no draw: an object with shots, seed, .* is expected'),
            (json.dumps(dict(facts, videos=facts['videos'][1:])), 'was changed .*not 2 videos of label'),
            (json.dumps(dict(facts, videos=facts['videos'][:1] * 10)), r'was changed .*not in the list\. Remove it'),
            (json.dumps(dict(facts, videos=stranger)), r"was changed .*\['x\.mp4', 0\] not in the list"),
            (json.dumps(dict(facts, videos={'a': 1})), 'was changed'),
        ):
            file.write_text(content)
            with pytest.raises(UserError, match=message):
                DATASETS.build(dict(few, draw_file=file))

    def test_one_that_cannot_be_written_is_told(self, few, tmp_path):
        with pytest.raises(UserError, match=r'draw_file .* is a folder'):
            DATASETS.build(dict(few, draw_file=tmp_path))

    def test_videos_of_one_name_are_kept_apart(self, few, file, tmp_path):
        (tmp_path / 'list.txt').write_text('a.mp4 0\n' * 3 + 'b.mp4 1\n' * 3)
        written = [DATASETS.build(dict(few, draw_file=file)) for _ in range(2)]
        assert [len(dataset) for dataset in written] == [4, 4]


class TestClassSubset:
    def test_by_names(self, subset):
        dataset = DATASETS.build(subset)
        assert entries(dataset) == [(i, {4: 0, 1: 1}[LABELS[i]]) for i in members(4, 1)]
        assert dataset.metainfo['classes'] == ('wave', 'walk')
        assert dataset[0]['label'] == dataset.get_data_info(0)['label']

    def test_by_labels(self, inner):
        dataset = ClassSubsetDataset(inner, [3, 0])
        assert entries(dataset) == [(i, {3: 0, 0: 1}[LABELS[i]]) for i in members(3, 0)]
        assert 'classes' not in dataset.metainfo
        assert ClassSubsetDataset(inner, np.array([3, 0]), class_names=CLASSES).class_names == ('sit', 'run')

    def test_names_are_found_as_they_are_written_otherwise(self, inner):
        names = ['brush_hair', 'Push-up', 'jump', 'sit', 'wave']
        assert ClassSubsetDataset(inner, ['push up', 'brush hair'], class_names=names).class_names == tuple(
            names[1::-1]
        )

    def test_by_a_file(self, inner, tmp_path):
        (tmp_path / 'kept.txt').write_text('sit\nrun\n')
        inner['metainfo'] = dict(classes=CLASSES)
        dataset = ClassSubsetDataset(inner, str(tmp_path / 'kept.txt'))
        assert dataset.class_names == ('sit', 'run')
        assert {LABELS[i]: label for i, label in entries(dataset)} == {3: 0, 0: 1}

    def test_by_a_list_that_is_known(self, inner):
        names = load_class_names('kinetics400')
        seen = load_class_names('kinetics400_seen300')
        lazy = ClassSubsetDataset(inner, 'kinetics400_seen300', class_names='kinetics400', lazy_init=True)
        assert lazy.class_names == seen
        assert {LABELS[i] for i, _ in entries(lazy)} == {label for label in range(5) if names[label] in seen}

    def test_drawn(self, inner):
        """Half of the classes are those of the authors' code, in the order of their old labels."""
        for seed in range(4):
            np.random.seed(seed)
            half = sorted(np.random.permutation(5)[:2].tolist())
            dataset = ClassSubsetDataset(inner, fraction=0.5, seed=seed, class_names=CLASSES)
            assert dataset.class_names == tuple(CLASSES[label] for label in half)
            assert entries(dataset) == [(i, half.index(LABELS[i])) for i in members(*half)]
            others = ClassSubsetDataset(inner, fraction=0.5, seed=seed, class_names=CLASSES, invert=True)
            assert others.class_names == tuple(name for name in CLASSES if name not in dataset.class_names)
            assert len(others) + len(dataset) == len(LABELS)
        assert half_class_split(5, 3) == half
        three = ClassSubsetDataset(inner, count=3, seed=1, class_names=CLASSES)
        assert three.class_names == tuple(CLASSES[label] for label in draw_classes(5, 3, 1))

    def test_all_others(self, subset):
        dataset = DATASETS.build(dict(subset, invert=True))
        assert dataset.class_names == ('run', 'jump', 'sit')
        assert entries(dataset) == [(i, {0: 0, 2: 1, 3: 2}[LABELS[i]]) for i in members(0, 2, 3)]

    def test_several_labels_a_video(self, inner, tmp_path):
        (tmp_path / 'list.txt').write_text('a.mp4 0 1\nb.mp4 2 3 4\nc.mp4 0\nd.mp4 4\n')
        several = dict(inner, multi_class=True, num_classes=5)
        dataset = ClassSubsetDataset(several, ['wave', 'jump', 'walk'], class_names=CLASSES)
        assert [info['filename'] for info in map(dataset.get_data_info, range(3))] == ['v/a.mp4', 'v/b.mp4', 'v/d.mp4']
        assert [dataset[i]['label'].tolist() for i in range(3)] == [[0, 0, 1], [1, 1, 0], [1, 0, 0]]
        assert [dataset.get_cat_ids(i) for i in range(3)] == [[2], [1, 0], [0]]

    def test_classes_without_videos(self, inner, tmp_path, monkeypatch):
        said = []
        monkeypatch.setattr('textxfer_mm.datasets.class_subset.print_log', lambda text, **options: said.append(text))
        (tmp_path / 'list.txt').write_text('a.mp4 0\nb.mp4 3\n')
        dataset = ClassSubsetDataset(inner, ['sit', 'wave'], class_names=CLASSES)
        assert [dataset[0]['label'], len(dataset)] == [0, 1]
        assert said == [f'1 of 2 classes have no video in {tmp_path}/list.txt: wave (label 4).']
        with pytest.raises(UserError, match=r'list\.txt: no video has label 1\. Labels without videos need'):
            ClassSubsetDataset(inner, [1, 3])
        with pytest.raises(UserError, match='none of the 2 videos is left'):
            ClassSubsetDataset(inner, ['wave'], class_names=CLASSES)

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (dict(classes=None), 'takes one of `classes`, `count` and `fraction`'),
            (dict(count=2), 'takes one of'),
            (dict(classes=None, fraction=1.5), 'fraction of ClassSubsetDataset is above 0 and at most 1; got 1.5'),
            (dict(classes=None, fraction=0.1), 'fraction=0.1 of 5 classes is less than one class'),
            (dict(classes=None, count=6), '6 classes were asked for, and there are 5'),
            (dict(classes=None, count=2, seed=-1), 'seed of a split of classes is a whole number from 0 on; got -1'),
            (dict(classes=None, count=2, class_names=None), 'how many there are is not known: give class_names'),
            (dict(classes=[]), 'is empty; name at least one'),
            (dict(classes=['run', 3]), "names or labels, all of one kind; got .'run', 3"),
            (dict(classes=['runn']), r"classes has 'runn', which is none of the 5 classes\. Did you mean: run\?"),
            (dict(classes=['run', 'Run']), "classes has 'Run' twice"),
            (dict(classes=[1, 1]), "classes has '1' twice"),
            (dict(classes=[5]), 'classes has label 5, and labels are 0 to 4'),
            (dict(classes=[-1]), 'classes has label -1, and labels are 0 to 4'),
            (dict(classes=[9], class_names=None), 'classes has label 9, and labels are 0 to 4'),
            (
                dict(class_names=None),
                "has the name 'wave', but the names of the labels are not known: give",
            ),
            (dict(classes=CLASSES, invert=True), 'all 5 classes are given, and invert=True keeps the others'),
            (dict(classes=['missile'], class_names='imagenet1k'), "'missile', which 2 classes are called: give labels"),
            (dict(classes='lost.txt'), 'File of class names not found: lost.txt'),
            (dict(class_names=['a', 'b']), r"label 2 of '1\.mp4' is out of range: 2 classes are named"),
        ],
    )
    def test_mistakes(self, subset, arguments, message):
        with pytest.raises(UserError, match=message):
            DATASETS.build({**subset, **arguments})


class TestNesting:
    """Each way is compared with selecting by hand."""

    def test_shots_of_a_subset(self, subset):
        dataset = DATASETS.build(dict(type='FewShotDataset', dataset=subset, shots=3, seed=1))
        among = members(4, 1)
        want = draw_per_class([{4: 0, 1: 1}[LABELS[i]] for i in among], seed=1, count=3)
        assert [i for i, _ in entries(dataset)] == [among[n] for n in want]
        assert dataset.metainfo['classes'] == dataset.class_names == ('wave', 'walk')

    def test_a_subset_of_shots(self, few, subset):
        dataset = DATASETS.build(dict(subset, dataset=few))
        assert entries(dataset) == [(i, {4: 0, 1: 1}[LABELS[i]]) for i in drawn(2, 3) if LABELS[i] in (4, 1)]

    def test_three_deep(self, subset):
        half = dict(type='LabelFractionDataset', dataset=subset, fraction=0.5, seed=2)
        again = ClassSubsetDataset(FewShotDataset(half, 2, seed=1), ['walk'])
        assert {LABELS[i] for i, _ in entries(again)} == {1}
        assert [label for _, label in entries(again)] == [0, 0]
        assert {i for i, _ in entries(again)} < {i for i, _ in entries(DATASETS.build(half))}

    def test_around_repetitions(self, inner, few):
        """What is repeated is the draw, not a part of the repetitions."""
        repeated = dict(type='RepeatDataset', times=3, dataset=inner)
        dataset = FewShotDataset(repeated, 2, seed=3)
        assert entries(dataset) == 3 * entries(DATASETS.build(few))
        assert count_videos(dataset) == 10
        assert len(FewShotDataset(RepeatDataset(repeated['dataset'], 3), 2)) == 30

    def test_inside_repetitions(self, few):
        assert entries(RepeatDataset(few, 3)) == 3 * entries(DATASETS.build(few))

    def test_around_joined_lists(self, inner, tmp_path):
        """Two lists are one to a draw, and each keeps its own videos."""
        (tmp_path / 'more.txt').write_text(''.join(f'{i + 100}.mp4 {i % 2}\n' for i in range(20)))
        more = dict(inner, ann_file=str(tmp_path / 'more.txt'))
        joined = dict(type='ConcatDataset', datasets=[inner, more])
        dataset = FewShotDataset(joined, 2, seed=8)
        names = [*range(40), *range(100, 120)]
        labels = [*LABELS, *(i % 2 for i in range(20))]
        assert entries(dataset) == [(names[i], labels[i]) for i in draw_per_class(labels, seed=8, count=2)]
        assert [dataset[i]['filename'] for i in range(10)] == [f'v/{i}.mp4' for i, _ in entries(dataset)]
        emptied = ClassSubsetDataset(joined, [4])
        assert entries(emptied) == [(i, 0) for i in members(4)]  # nothing of the second list
        built = ConcatDataset([DATASETS.build(inner), DATASETS.build(more)])
        assert entries(FewShotDataset(built, 2, seed=8)) == entries(dataset)
        assert len(built) == 60
        assert dataset.get_cat_ids(9) == [entries(dataset)[9][1]]

    def test_inside_joined_lists(self, subset, few):
        dataset = ConcatDataset([dict(subset, classes=['walk', 'wave']), dict(subset, classes=['walk', 'wave'])])
        assert len(dataset) == 2 * len(members(4, 1))
        assert len(ConcatDataset([few, few])) == 20

    def test_with_balanced_classes(self, inner, tmp_path):
        labels = [0] * 8 + [1] * 2 + [2] * 2
        (tmp_path / 'list.txt').write_text(''.join(f'{i}.mp4 {label}\n' for i, label in enumerate(labels)))
        kept = dict(type='ClassSubsetDataset', dataset=inner, classes=[2, 0])
        around = ClassBalancedDataset(kept, 0.5)
        inside = ClassSubsetDataset(dict(type='ClassBalancedDataset', dataset=inner, oversample_thr=0.5), [2, 0])
        assert entries(around) == entries(inside)
        assert [label for _, label in entries(inside)].count(0) == 4  # each of two twice: sqrt(0.5 / 0.2) = 1.6

    def test_repeated_augmentation(self, inner):
        steps = [dict(type='DecordInit'), dict(type='SampleFrames', clip_len=1), dict(type='DecordDecode')]
        repeating = dict(inner, type='RepeatAugDataset', num_repeats=2, pipeline=steps)
        dataset = FewShotDataset(repeating, 2, seed=3)
        assert entries(dataset) == [(i, LABELS[i]) for i in drawn(2, 3)]
        assert dataset.dataset.num_repeats == 2

    def test_other_wrappers_are_refused(self, inner):
        folds = dict(type='mmpretrain.KFoldDataset', dataset=inner, fold=0, num_splits=5)
        with pytest.raises(UserError, match=r'not KFoldDataset; put other wrappers around FewShotDataset'):
            FewShotDataset(folds, 1)

    def test_lists_of_other_classes_are_not_joined(self, inner):
        two = [dict(inner, metainfo=dict(classes=CLASSES)), dict(inner, metainfo=dict(classes=CLASSES[::-1]))]
        joined = dict(type='ConcatDataset', datasets=two, ignore_keys='classes')
        with pytest.raises(
            UserError, match="joins datasets of other classes: 5 from 'run' to 'wave', and 5 from 'wave'"
        ):
            FewShotDataset(joined, 1)
        with pytest.raises(
            UserError,
            match=r"have the same 5 classes in another order.*label 0: 'run' and 'wave'",
        ):
            FewShotDataset(dict(two[0]), 1, class_names=CLASSES[::-1])


class TestReplacements:
    @pytest.mark.parametrize('wrap', ['few', 'subset', 'joined'])
    def test_come_from_the_kept_videos(self, inner, wrap):
        """A corrupt video must not bring in one that was left out, nor a label that is no more."""
        broken = dict(inner, pipeline=[lambda info: None if info['filename'] == broken_name else info])
        if wrap == 'subset':
            dataset = ClassSubsetDataset(broken, [4, 1])
        else:
            whole = dict(type='ConcatDataset', datasets=[broken, broken]) if wrap == 'joined' else broken
            dataset = FewShotDataset(whole, 2, seed=3)
        kept = entries(dataset)
        broken_name = f'v/{kept[0][0]}.mp4'
        found = {(int(info['filename'][2:-4]), info['label']) for info in (dataset[0] for _ in range(80))}
        assert found <= {entry for entry in kept if entry[0] != kept[0][0]}
        assert len(found) > 1


class TestStorage:
    def test_lists_are_read_lazily_and_stored_once(self, few, monkeypatch):
        """The whole list is shortened before MMEngine serializes it."""
        del few['dataset']['serialize_data']
        stored = []
        serialize = BaseDataset._serialize_data
        monkeypatch.setattr(
            BaseDataset, '_serialize_data', lambda self: stored.append(len(self.data_list)) or serialize(self)
        )
        dataset = DATASETS.build(few)
        assert stored == [10]
        assert dataset.dataset.serialize_data
        assert len(dataset.dataset.data_address) == 10
        lazy = DATASETS.build(dict(few, lazy_init=True))
        assert stored == [10]
        lazy.full_init()
        assert stored == [10, 10]

    def test_workers_that_are_spawned_get_it(self, few):
        del few['dataset']['serialize_data']
        dataset = pickle.loads(pickle.dumps(DATASETS.build(few)))
        assert entries(dataset) == [(i, LABELS[i]) for i in drawn(2, 3)]

    def test_what_is_given_stays_whole(self, inner):
        for options in (dict(serialize_data=True), dict(), dict(lazy_init=True)):
            whole = DATASETS.build(dict(inner, **options))
            first = entries(FewShotDataset(whole, 2, seed=3))
            assert first == [(i, LABELS[i]) for i in drawn(2, 3)]
            assert entries(ClassSubsetDataset(whole, [1])) == [(i, 0) for i in members(1)]
            assert entries(whole) == list(enumerate(LABELS))
        shots = FewShotDataset(whole, 3, seed=3)
        assert len(ClassSubsetDataset(shots, [1])) == 3
        assert len(LabelFractionDataset(shots, 0.5)) == 10
        assert len(shots) == 15

    def test_indices_and_test_mode_are_kept(self, inner):
        part = dict(inner, indices=list(range(20)), test_mode=True)
        dataset = FewShotDataset(part, 2, seed=3)
        assert dataset.dataset.test_mode
        assert [i for i, _ in entries(dataset)] == drawn(2, 3, range(20))


class TestMMPretrain:
    @pytest.fixture
    def images(self, tmp_path):
        lines = ''.join(f'{i}.jpg {i % 4}\n' for i in range(20))
        (tmp_path / 'images.txt').write_text(lines)
        return dict(type='mmpretrain.CustomDataset', data_root=str(tmp_path), ann_file='images.txt', pipeline=[])

    def test_images(self, images):
        named = dict(images, classes=['cat', 'dog', 'cow', 'fox'])
        dataset = FewShotDataset(dict(type='ClassSubsetDataset', dataset=named, classes=['fox', 'cat']), 2, seed=1)
        labels = [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
        assert sorted(labels) == [0, 0, 1, 1]
        assert dataset.metainfo['classes'] == ('fox', 'cat')
        numbers = [int(dataset.get_data_info(i)['img_path'].rpartition('/')[2][:-4]) for i in range(4)]
        assert [{3: 0, 0: 1}[n % 4] for n in numbers] == labels
        assert [dataset.get_cat_ids(i) for i in range(4)] == [[label] for label in labels]

    def test_names_that_the_list_itself_brings(self, tmp_path):
        content = dict(metainfo=dict(classes=['cat', 'dog']), data_list=[])
        content['data_list'] = [dict(img_path=f'{i}.jpg', gt_label=i % 2) for i in range(6)]
        (tmp_path / 'list.json').write_text(json.dumps(content))
        listed = dict(type='mmpretrain.BaseDataset', ann_file=str(tmp_path / 'list.json'))
        dataset = ClassSubsetDataset(listed, ['dog'])
        assert dataset.class_names == ('dog',)
        assert [dataset.get_data_info(i)['gt_label'] for i in range(3)] == [0, 0, 0]

    def test_labels_of_several_tasks(self, tmp_path):
        content = dict(metainfo={}, data_list=[dict(img_path='a.jpg', gt_label=dict(kind=1, colour=2))])
        (tmp_path / 'list.json').write_text(json.dumps(content))
        listed = dict(type='mmpretrain.BaseDataset', ann_file=str(tmp_path / 'list.json'))
        with pytest.raises(UserError, match=r"or several; BaseDataset has gt_label={'kind': 1, 'colour'"):
            ClassSubsetDataset(listed, [0])

    def test_labels_that_are_arrays_or_tensors(self):
        class Listed(BaseDataset):
            def load_data_list(self):
                return [dict(img_path=f'{i}.jpg', gt_label=label) for i, label in enumerate(self.labels)]

        for make in (np.int64, np.array, torch.tensor):
            Listed.labels = [make(i % 3) for i in range(9)]
            kept = FewShotDataset(Listed(pipeline=[]), 2, seed=1)
            assert [int(kept.get_data_info(i)['gt_label']) for i in range(6)] == [
                i % 3 for i in draw_per_class([i % 3 for i in range(9)], seed=1, count=2)
            ]
            Listed.labels = [[make(i % 3), make((i + 1) % 3)] for i in range(3)]
            subset = ClassSubsetDataset(Listed(pipeline=[]), [2, 0])
            assert [subset.get_data_info(i)['gt_label'] for i in range(3)] == [[1], [0], [0, 1]]
        Listed.labels = [torch.tensor([0, 1])] * 2
        assert ClassSubsetDataset(Listed(pipeline=[]), [1]).get_data_info(0)['gt_label'] == [0]

    def test_several_labels(self, tmp_path):
        content = dict(metainfo=dict(classes=['cat', 'dog', 'cow']), data_list=[])
        content['data_list'] = [dict(img_path=f'{i}.jpg', gt_label=[i % 3, (i + 1) % 3]) for i in range(3)]
        (tmp_path / 'list.json').write_text(json.dumps(content))
        listed = dict(type='mmpretrain.MultiLabelDataset', ann_file=str(tmp_path / 'list.json'))
        dataset = ClassSubsetDataset(listed, ['cow', 'cat'])
        assert [dataset.get_data_info(i)['gt_label'] for i in range(3)] == [[1], [0], [0, 1]]
