"""Folders of classes in the place of a list of images: MMPretrain labels them by the alphabet, whatever the names."""

import re

import pytest
from mmengine.registry import DefaultScope
from PIL import Image
from tiny_images import image_config

from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.errors import UserError

from mmpretrain.registry import DATASETS  # isort: skip


@pytest.fixture
def config(tmp_path):
    """A config whose images lie in folders of these names, each with one image."""

    def make(folders, names=None, num_classes=None, **dataset):
        for folder in folders:
            (tmp_path / 'images' / folder).mkdir(parents=True)
            Image.new('RGB', (8, 8)).save(tmp_path / 'images' / folder / '0.png')
        (tmp_path / 'images').mkdir(exist_ok=True)
        cfg = image_config(**(dict(type='LinearClsHead', num_classes=num_classes) if num_classes else {}))
        if names is not None:
            cfg.model.head.classifier.class_names = names
        given = dict(type='CustomDataset', data_root=str(tmp_path / 'images'), pipeline=cfg.test_pipeline)
        cfg.train_dataloader = dict(batch_size=2, dataset={**given, **dataset})
        return cfg

    return make


def labels_of(cfg):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    return {info['img_path'].split('/')[-2]: info['gt_label'] for info in map(dataset.get_data_info, range(3))}


@pytest.mark.parametrize('folders', [('Clapping', 'running', 'waving'), ('n01', 'n02', 'n03')], ids=['names', 'other'])
def test_folders_in_the_order_of_the_names_pass(config, folders):
    cfg = config(folders, ['clapping', 'running', 'waving'])
    assert check_datasets(cfg, ('train',)) == set()
    assert labels_of(cfg) == {folder: label for label, folder in enumerate(folders)}


def test_names_in_another_order_than_the_alphabet(config):
    cfg = config(('waving', 'clapping', 'running'), ['waving', 'clapping', 'running'])
    assert labels_of(cfg) == dict(clapping=0, running=1, waving=2)
    with pytest.raises(
        UserError, match=r"label 0 is 'clapping', but the classifier calls it 'waving'\. Give the class names"
    ):
        check_datasets(cfg, ('train',))
    cfg.train_dataloader.dataset.metainfo = dict(classes=['running', 'clapping', 'waving'])
    with pytest.raises(UserError, match="label 0 is 'clapping', but metainfo calls it 'running'"):
        check_datasets(cfg, ('train',))


@pytest.mark.parametrize(
    ('dataset', 'num_classes', 'message'),
    [
        ({}, 4, r'images of train_dataloader holds 3 folders \(a, b, c\), and the head has 4 classes'),
        (dict(type='ImageNet'), None, r'holds 3 folders \(a, b, c\), and ImageNet \(metainfo\) has 1000 classes'),
        (dict(metainfo=dict(classes=['a', 'b'])), None, r'3 folders .*, and CustomDataset \(metainfo\) has 2 classes'),
    ],
)
def test_as_many_folders_as_classes(config, dataset, num_classes, message):
    with pytest.raises(UserError, match=message):
        check_datasets(config('abc', num_classes=num_classes, **dataset), ('train',))


@pytest.mark.parametrize('kind', ['CustomDataset', 'ImageNet'])
def test_no_folders_at_all(config, kind, tmp_path):
    cfg = config((), type=kind)
    Image.new('RGB', (8, 8)).save(tmp_path / 'images' / 'ILSVRC2012_val_00000001.png')
    with pytest.raises(UserError, match=re.escape('holds no folders: without a list (ann_file), the images of each')):
        check_datasets(cfg, ('train',))


def test_a_list_that_imagenet_finds_by_itself_counts(config, tmp_path):
    cfg = config((), type='ImageNet', split='train')
    (tmp_path / 'images' / 'train').mkdir()
    (tmp_path / 'images' / 'meta').mkdir()
    (tmp_path / 'images' / 'meta' / 'train.txt').write_text('a.png 0\n')
    cfg.model.head = dict(type='LinearClsHead', num_classes=1000)
    assert check_datasets(cfg, ('train',)) == set()


def test_a_selection_of_classes_is_of_all_folders(config):
    """The labels of the folders are not those of the classifier."""
    cfg = config(('a', 'b', 'waving'), ['a', 'waving'])
    inner = dict(cfg.train_dataloader.dataset, metainfo=dict(classes=['a', 'b', 'waving']))
    cfg.train_dataloader.dataset = dict(type='ClassSubsetDataset', classes=[0, 2], dataset=inner)
    assert check_datasets(cfg, ('train',)) == set()
