"""Selections, the classes of dataset and classifier, and the batches that are left: known before a run starts."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_runs import run_config, write_video

from textxfer_mm.engine import selection_checks
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.errors import UserError

CLASSES = ['run', 'walk', 'jump', 'sit']


@pytest.fixture
def make(tmp_path):
    """A config over a list of eight videos of four classes, with a wrapper around the dataset of each phase."""
    init_default_scope('mmaction')
    write_video(tmp_path / 'a.mp4')
    (tmp_path / 'list.txt').write_text(''.join(f'a.mp4 {index % 4}\n' for index in range(8)))

    def make(*, head=4, metainfo=None, **wrapper):
        cfg = Config(run_config(tmp_path / 'list.txt', tmp_path / 'run'))
        if isinstance(head, int):
            cfg.model.cls_head.num_classes = head
        else:
            classifier = dict(type='RandomClassifier', class_names=head, embed_dims=8)
            cfg.model.cls_head = dict(type='TextEmbeddingHead', in_channels=256, classifier=classifier)
        for phase in ('train', 'val', 'test'):
            dataset = cfg[f'{phase}_dataloader'].dataset
            if metainfo is not None:
                dataset.metainfo = metainfo
            if wrapper:
                cfg[f'{phase}_dataloader'].dataset = dict(wrapper, dataset=dataset)
        return cfg

    return make


ALL = ('train', 'val', 'test')


def test_a_subset_is_numbered_anew(make):
    """The labels of the list go up to 3, those of the subset to 1."""
    subset = dict(type='ClassSubsetDataset', classes=['sit', 'run'], class_names=CLASSES)
    check_datasets(make(head=['sit', 'run'], **subset), ALL)
    check_datasets(make(head=2, **subset), ALL)
    check_datasets(make(head=2, type='ClassSubsetDataset', classes=[3, 0]), ALL)
    with pytest.raises(UserError, match=r'train_dataloader has 2 classes and the head 3: give both'):
        check_datasets(make(head=3, type='ClassSubsetDataset', classes=[3, 0]), ALL)


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (CLASSES[:3], 'label 3 is out of range: the head has 3 classes'),
        (
            [*CLASSES, 'wave'],
            "has 4 classes and the classifier 5; they part at label 4: none and 'wave'",
        ),
        (CLASSES[::-1], "have the same 4 classes in another order; they part at label 0: 'run' and 'sit'"),
        (['run', 'stroll', 'jump', 'lie'], "other names for 2 of 4 classes; they part at label 1: 'walk' and 'stroll'"),
    ],
)
def test_dataset_and_classifier_that_disagree(make, classes, message):
    wrapped = dict(type='FewShotDataset', shots=2)
    for named in (dict(metainfo=dict(classes=CLASSES)), dict(class_names=CLASSES, **wrapped)):
        with pytest.raises(UserError, match=message):
            check_datasets(make(head=classes, **named), ('train',))


def test_names_may_be_spelled_otherwise(make):
    check_datasets(make(head=['Run', 'walk', 'jump_', 'sit.'], metainfo=dict(classes=CLASSES)), ALL)


def test_names_of_a_dataset_by_name_or_file(make, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.dataset.base_dataset.print_log', lambda text, **options: said.append(text))
    (tmp_path / 'names.json').write_text('{"run": 0, "walk": 1, "jump": 2, "sit": 3}')
    cfg = make(head=CLASSES, metainfo=dict(classes=str(tmp_path / 'names.json')))
    check_datasets(cfg, ALL)
    assert cfg.train_dataloader.dataset.metainfo.classes == CLASSES
    for name, message in (
        ('ucf101', 'train_dataloader has 101 classes and the classifier 4'),
        ('ucf11', "Unknown dataset 'ucf11'.*Did you mean: ucf101"),
    ):
        with pytest.raises(UserError, match=message):
            check_datasets(make(head=CLASSES, metainfo=dict(classes=name)), ('train',))
    assert not said  # 'is not a meta file'


def test_folders_tell_the_order_of_names(make, tmp_path):
    """Where no dataset names its classes, as in the shipped configs."""
    lines = [f'{name}/{number}.mp4 {label}\n' for label, name in enumerate(CLASSES) for number in range(2)]
    (tmp_path / 'list.txt').write_text(''.join(lines))
    for line in lines:
        (tmp_path / line.split('/')[0]).mkdir(exist_ok=True)
        (tmp_path / line.split()[0]).touch()
    check_datasets(make(head=CLASSES), ALL)
    subset = dict(type='ClassSubsetDataset', classes=['sit', 'run'])
    check_datasets(make(head=['sit', 'run'], class_names=CLASSES, **subset), ALL)
    for other in (dict(head=CLASSES[::-1]), dict(head=['sit', 'run'], class_names=CLASSES[::-1], **subset)):
        with pytest.raises(UserError, match=r"list\.txt: 2 of 2 videos of label 0 lie in a folder of the name 'run'"):
            check_datasets(make(**other), ('train',))


def test_each_phase_is_compared(make):
    cfg = make(head=CLASSES, metainfo=dict(classes=CLASSES))
    check_datasets(cfg, ALL)
    cfg.test_dataloader.dataset.metainfo.classes = CLASSES[::-1]
    check_datasets(cfg, ('train', 'val'))
    with pytest.raises(UserError, match=r'^test_dataloader and the classifier have the same 4'):
        check_datasets(cfg, ('test',))


@pytest.mark.parametrize(
    ('wrapper', 'message'),
    [
        (dict(type='FewShotDataset', shots=3), r'list\.txt: 3 videos a class were asked for, but label 0 has 2'),
        (
            dict(type='ClassSubsetDataset', classes=['fly'], class_names=CLASSES),
            "'fly', which is none of the 4 classes",
        ),
        (dict(type='ClassSubsetDataset', classes=[7]), 'classes has label 7, and labels are 0 to 3'),
        (dict(type='ClassSubsetDataset', classes=['a'], class_names=['a', 'b']), "label 2 of 'a.mp4' is out of range"),
        (dict(type='LabelFractionDataset', fraction=0), 'above 0 and at most 1; got 0'),
    ],
)
def test_selections_that_cannot_be(make, tmp_path, wrapper, message):
    with pytest.raises(UserError, match=message):
        check_datasets(make(**wrapper), ('train',))
    assert not (tmp_path / 'run').exists()


class TestBatches:
    def test_none_is_made(self, make, monkeypatch):
        one_shot = make(type='FewShotDataset', shots=1)
        one_shot.train_dataloader.update(batch_size=5, drop_last=True)
        with pytest.raises(UserError, match=r'makes no batch: it has 4 videos, batch_size=5 and drop_last=True\. Set'):
            check_datasets(one_shot, ('train',))
        one_shot.train_dataloader.dataset.repeat = 'full_epoch'
        check_datasets(one_shot, ('train',))
        one_shot.train_dataloader.dataset.repeat = 'none'
        one_shot.train_dataloader.drop_last = False
        check_datasets(one_shot, ('train',))
        plain = make()
        plain.train_dataloader.update(batch_size=8, drop_last=True)
        check_datasets(plain, ('train',))
        plain.train_dataloader.batch_size = 9
        with pytest.raises(UserError, match='it has 8 videos, batch_size=9'):
            check_datasets(plain, ('train',))
        plain.train_dataloader.update(batch_size=5)
        plain.launcher = 'pytorch'
        monkeypatch.setenv('WORLD_SIZE', '2')
        with pytest.raises(UserError, match='it has 4 videos on each of 2 ranks, batch_size=5'):
            check_datasets(plain, ('train',))

    def test_single_videos_are_left_out(self, make, monkeypatch):
        said = []
        monkeypatch.setattr(selection_checks, 'print_log', lambda text, **options: said.append(text))
        cfg = make(type='FewShotDataset', shots=1)
        cfg.train_dataloader.update(batch_size=3, drop_last=True)
        check_datasets(cfg, ('train',))
        assert 'each epoch leaves out 1 of 4 videos' in said.pop()
        cfg.train_dataloader.batch_size = 2
        check_datasets(cfg, ('train',))
        assert not said

    def test_samplers_without_an_end(self, make):
        cfg = make(type='FewShotDataset', shots=1)
        cfg.train_dataloader.update(batch_size=5, drop_last=True, sampler=dict(type='InfiniteSampler'))
        check_datasets(cfg, ('train',))
