"""Mistakes in annotation lists and data folders are found before a run starts."""

import os
import re

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_runs import run_config, write_corrupt, write_dataset, write_video

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets.places import missing_files
from textxfer_mm.engine import data_checks
from textxfer_mm.engine.classes import num_classes_of
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.errors import UserError

from mmaction.registry import DATASETS  # isort: skip  (after the registry: it repairs mmaction)


@pytest.fixture
def write(tmp_path):
    """Write a list and return a config over it."""
    init_default_scope('mmaction')
    write_video(tmp_path / 'a.mp4')

    def write(text, **dataset):
        (tmp_path / 'list.txt').write_text(text)
        cfg = Config(run_config(tmp_path / 'list.txt', tmp_path / 'run'))
        cfg.train_dataloader.dataset.update(dataset)
        return cfg

    return write


def test_a_good_list_passes(write):
    check_datasets(write('a.mp4 0\na.mp4 1\n'), ('train', 'val', 'test'))
    with pytest.raises(UserError, match='line 3'):
        check_datasets(write('a.mp4 0\na.mp4 1\na.mp4 2\n'), ('train', 'val', 'test'))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            'a.mp4 0\na.mp4 2\n',
            r"list\.txt, line 2 \('a\.mp4 2'\): label 2 is out of range: the head has 2 classes, 0 to 1",
        ),
        ('a.mp4 -1\n', r'line 1 .*label -1 is out of range'),
        ('a.mp4 0\n\na.mp4 0\n', 'line 2 .*an empty line'),
        ('a.mp4 zero\n', 'expected a path followed by whole numbers'),
        ('my video.mp4 0\n', 'if paths hold spaces, set `delimiter`'),
        ('a.mp4 0 1\n', '2 labels; set multi_class=True'),
        ('a.mp4\n', 'no label, but training needs one'),
        ('a.mp4\t0\n', r"'a\.mp4\\t0'.*if other than spaces divide path and label, set `delimiter`"),
        ('', r'list\.txt of train_dataloader is empty'),
    ],
)
def test_bad_lines(write, text, message):
    with pytest.raises(UserError, match=message):
        check_datasets(write(text), ('train',))


def test_paths_with_spaces_and_several_labels(write, tmp_path):
    write_video(tmp_path / 'my video.mp4')
    check_datasets(write('my video.mp4,1\n', delimiter=','), ('train',))
    check_datasets(write('a.mp4 0 1\n', multi_class=True, num_classes=2), ('train',))
    with pytest.raises(UserError, match='line 2'):
        check_datasets(write('my video.mp4,1\nmy video.mp4,2\n', delimiter=','), ('train',))
    with pytest.raises(UserError, match='line 2'):
        check_datasets(write('a.mp4 0 1\na.mp4 0 2\n', multi_class=True, num_classes=2), ('train',))


def test_a_list_without_labels_may_be_tested(write):
    check_datasets(write('a.mp4\n'), ('test',))
    with pytest.raises(UserError, match='no label'):
        check_datasets(write('a.mp4\n'), ('train',))


def test_only_the_named_phases_are_checked(write):
    cfg = write('a.mp4 0\n')
    cfg.test_dataloader.dataset.ann_file = 'nowhere.txt'
    check_datasets(cfg, ('train', 'val'))
    with pytest.raises(UserError, match=r'annotation file nowhere\.txt of test_dataloader does not exist'):
        check_datasets(cfg, ('test',))


def test_missing_annotation_file(write, tmp_path):
    with pytest.raises(UserError, match=r'lists\.txt of train_dataloader does not exist\. Did you mean: list\.txt\?'):
        check_datasets(write('a.mp4 0\n', ann_file='lists.txt', data_root=str(tmp_path)), ('train',))
    with pytest.raises(UserError, match=r'anns/list\.txt .* does not exist\. .*anns does not exist'):
        check_datasets(write('a.mp4 0\n', ann_file=str(tmp_path / 'anns' / 'list.txt')), ('train',))


def test_a_list_that_is_none(write, tmp_path):
    with pytest.raises(UserError, match=r'train_dataloader is a folder: give the list itself'):
        check_datasets(write('a.mp4 0\n', ann_file=str(tmp_path)), ('train',))
    with pytest.raises(UserError, match=r'train_dataloader\.dataset has no ann_file: give the list'):
        check_datasets(write('a.mp4 0\n', ann_file=None), ('train',))


def test_missing_folder(write, tmp_path):
    given = dict(data_prefix=dict(video='videos_tarin'), data_root=str(tmp_path))
    with pytest.raises(UserError, match=r'data folder .*/videos_tarin of train_dataloader \(data_root, data_prefix\)'):
        check_datasets(write('a.mp4 0\n', **given), ('train',))


@pytest.mark.parametrize(
    ('kind', 'prefix', 'wanted'),
    [
        ('VideoDataset', dict(img='.'), r"dict\(video='FOLDER'\), the folder of its videos"),
        ('VideoDataset', '.', r"data_prefix='\.' of train_dataloader: VideoDataset takes dict\(video='FOLDER'\)"),
        ('VideoDataset', dict(video=None), r"dict\(video='FOLDER'\)"),
        ('VideoDataset', ['.'], r"dict\(video='FOLDER'\)"),
        (
            'VideoDataset',
            dict(video='.', videos='other'),
            r"'videos': 'other'\} of train_dataloader: VideoData",
        ),
        ('RawframeDataset', dict(video='.'), r"dict\(img='FOLDER'\), the folder of its folders of frames"),
    ],
)
def test_another_prefix_than_the_dataset_reads(write, kind, prefix, wanted):
    cfg = write('a.mp4 0\n', type=kind)
    cfg.train_dataloader.dataset.pop('data_prefix')
    cfg.train_dataloader.dataset.data_prefix = prefix
    with pytest.raises(UserError, match=wanted):
        check_datasets(cfg, ('train',))


def test_remote_data_is_not_looked_at(write):
    remote = dict(ann_file='s3://bucket/list.txt', data_prefix=dict(video='s3://bucket/videos'))
    check_datasets(write('a.mp4 0\n', **remote), ('train',))
    with pytest.raises(UserError, match=r'bucket/list\.txt .* does not exist'):
        check_datasets(write('a.mp4 0\n', **dict(remote, ann_file='bucket/list.txt')), ('train',))


def test_wrapped_datasets(write):
    cfg = write('a.mp4 5\n')
    inner = cfg.train_dataloader.dataset
    for wrapped in (dict(type='RepeatDataset', times=2, dataset=inner), dict(type='ConcatDataset', datasets=[inner])):
        cfg.train_dataloader.dataset = wrapped
        with pytest.raises(UserError, match='label 5 is out of range'):
            check_datasets(cfg, ('train',))


@pytest.mark.parametrize(
    ('line', 'offset', 'message'),
    [
        ('frames 10 1', False, None),
        ('frames 0 10 1', True, None),
        ('frames 10 3', False, 'label 3 is out of range'),
        ('frames', False, 'expected 2 columns before the label, found 1'),
        ('frames 0 10 7', True, 'label 7 is out of range'),
    ],
)
def test_raw_frame_lists(write, tmp_path, line, offset, message):
    (tmp_path / 'frames').mkdir()
    given = dict(type='RawframeDataset', with_offset=offset, data_prefix=dict(img=str(tmp_path)))
    cfg = write(f'{line}\n', **given)
    if message is None:
        check_datasets(cfg, ('train',))
    else:
        with pytest.raises(UserError, match=message):
            check_datasets(cfg, ('train',))


def test_the_number_of_classes_comes_from_the_text_classifier_too():
    classifier = dict(
        type='TextClassifier', class_names=['running', 'walking', 'waving'], encoder=dict(type='LanguageModelEncoder')
    )
    assert num_classes_of(Config(dict(model=dict(cls_head=dict(classifier=classifier))))) == 3
    assert num_classes_of(Config(dict(model=dict(cls_head=dict(num_classes=7))))) == 7
    assert num_classes_of(Config(dict(model=dict(type='Recognizer3D')))) is None


def test_testing_needs_no_class_names(write, tmp_path):
    """They are in the checkpoint."""
    cfg = write('a.mp4 0\n')
    classifier = dict(
        type='TextClassifier',
        class_names=str(tmp_path / 'gone.txt'),
        encoder=dict(type='CLIPTextEncoder', arch='ViT-B-32', pretrained='openai'),
    )
    cfg.model.cls_head = dict(type='TextEmbeddingHead', in_channels=8, classifier=classifier)
    check_datasets(cfg, ('test',))
    with pytest.raises(UserError, match=r'gone\.txt'):
        check_datasets(cfg, ('train', 'val'))
    (tmp_path / 'gone.txt').write_text('running\nrunning\n')
    with pytest.raises(UserError, match='running'):
        check_datasets(cfg, ('test',))


def test_what_is_checked_is_what_the_dataset_reads(write, tmp_path):
    names = ['a.mp4', 'b [x] 1.mp4', 'ü走路\u2028.mp4', str(tmp_path / 'a.mp4')]
    for name in names[1:3]:
        write_video(tmp_path / name)
    for encoding in ('utf-8', 'utf-8-sig', 'utf-16', 'utf-32'):
        for end in ('\n', '\r\n', '\r', '\n\n \n'):
            cfg = write('', delimiter='\t')
            text = '\n'.join(f'{name}\t{i % 2}' for i, name in enumerate(names)) + '\n'
            (tmp_path / 'list.txt').write_bytes(text.replace('\n', end[:2].strip(' ')).encode(encoding))
            if end.startswith('\n\n'):
                (tmp_path / 'list.txt').write_bytes((text + end).encode(encoding))
            check_datasets(cfg, ('train',))
            dataset = DATASETS.build(cfg.train_dataloader.dataset)
            read = [dataset.get_data_info(i) for i in range(len(dataset))]
            assert [info['filename'] for info in read] == [str(tmp_path / name) for name in names]
            assert [info['label'] for info in read] == [0, 1, 0, 1]


def test_marks_of_lists_that_were_put_together(write, tmp_path):
    cfg = write('')
    (tmp_path / 'list.txt').write_bytes(2 * 'a.mp4 0\n'.encode('utf-8-sig'))
    check_datasets(cfg, ('train',))
    assert len(DATASETS.build(cfg.train_dataloader.dataset)) == 2


@pytest.mark.parametrize('text', ['走路.mp4 0\n'.encode('gbk'), b'\0\xff\xfe\x80', 'a.mp4 0\n'.encode('utf-16-le')])
def test_lists_in_other_encodings_are_one_line(write, tmp_path, text):
    cfg = write('')
    (tmp_path / 'list.txt').write_bytes(text)
    with pytest.raises(UserError, match=r'list\.txt is not a text file in UTF-8 .*Save it as UTF-8'):
        check_datasets(cfg, ('train',))
    with pytest.raises(UserError, match=r'list\.txt is not a text file in UTF-8'):
        DATASETS.build(cfg.train_dataloader.dataset)


def test_a_line_of_ten_megabytes_is_not_echoed(write):
    with pytest.raises(UserError, match=r'line 2 .*10,000,000 letters') as caught:
        check_datasets(write('a.mp4 0\n' + 'a' * 10_000_000 + '\n'), ('train',))
    assert len(str(caught.value)) < 1000


def test_lists_without_labels(write, tmp_path):
    """They may be tested; validation, and half of the labels, mean that something is missing."""
    cfg = write('a.mp4\n')
    assert check_datasets(cfg, ('test',)) == {'test'}
    with pytest.raises(UserError, match=r'1 of 1 lines have no label, but validation needs one'):
        check_datasets(cfg, ('val',))
    with pytest.raises(UserError, match=r'list\.txt of test_dataloader: 1 of 2 lines have no label'):
        check_datasets(write('a.mp4\na.mp4 1\n'), ('test',))
    cfg = write('a.mp4\na.mp4 0 1\n')
    cfg.test_dataloader.dataset.update(multi_class=True, num_classes=2)
    assert check_datasets(cfg, ('test',)) == set()  # a video of none of the classes


@pytest.mark.parametrize('folders', [1, 3, 40])
def test_missing_files_are_found(tmp_path, folders):
    for number in range(folders):
        (tmp_path / f'{number}').mkdir()
    paths = [str(tmp_path / f'{number % folders}' / f'{number}.mp4') for number in range(100)]
    for path in paths[::2]:
        open(path, 'w').close()
    (tmp_path / 'gone.mp4').symlink_to(tmp_path / 'nowhere')
    (tmp_path / 'there.mp4').symlink_to(paths[0])
    more = [str(tmp_path / name) for name in ('gone.mp4', 'there.mp4', '0')]
    strange = [*(f'{tmp_path}/nowhere/{i}.mp4' for i in range(20)), 's3://bucket/a.mp4']
    assert missing_files([*paths, *more, *strange]) == [*paths[1::2], more[0], more[2], *strange[:-1]]
    assert missing_files([*more, paths[0]], folders=True) == [*more[:2], paths[0]]


def test_folders_that_may_not_be_listed(tmp_path, monkeypatch):
    paths = [str(tmp_path / f'{number}.mp4') for number in range(100)]
    open(paths[7], 'w').close()

    def scandir(folder):
        raise PermissionError

    monkeypatch.setattr(os, 'scandir', scandir)
    assert missing_files(paths) == [*paths[:7], *paths[8:]]


def test_one_listing_a_folder(tmp_path, monkeypatch):
    """What lies on the network is not asked for file by file."""
    asked = []
    exists = os.path.isfile
    monkeypatch.setattr(os.path, 'isfile', lambda path: asked.append(path) or exists(path))
    paths = [str(tmp_path / f'{number}.mp4') for number in range(1000)]
    for path in paths[1:]:
        open(path, 'w').close()
    assert missing_files(paths) == paths[:1]
    assert asked == paths[:1]


class TestMissingVideos:
    @pytest.fixture
    def cfg(self, tmp_path):
        return Config(run_config(write_dataset(tmp_path, good=8, corrupt=['missing']), tmp_path / 'run'))

    def test_in_training_some_may_miss(self, cfg, monkeypatch):
        said = []
        monkeypatch.setattr(data_checks, 'print_log', lambda message, **options: said.append(message))
        check_datasets(cfg, ('train',), may_miss=('train',))
        assert re.fullmatch(r'1 of 9 videos of train_dataloader are missing: \S+/missing0\.mp4\. Others .*', said[0])
        cfg.custom_hooks[1].max_share = 0.1
        with pytest.raises(UserError, match=r'1 of 9 .* missing: .*missing0\.mp4\. More than max_share=0\.1 of Corr'):
            check_datasets(cfg, ('train',), may_miss=('train',))

    def test_where_nothing_replaces_them_none_may_miss(self, cfg):
        for change in (dict(custom_hooks=[]), {'train_dataloader.dataset.pipeline.0.type': 'DecordInit'}):
            changed = cfg.copy()
            changed.merge_from_dict(change)
            if 'custom_hooks' not in change:
                changed.train_dataloader.dataset.pipeline[2].type = 'DecordDecode'
            with pytest.raises(UserError, match='1 of 9 videos of train_dataloader are missing'):
                check_datasets(changed, ('train',), may_miss=('train',))

    def test_in_validation_and_testing_none_may_miss(self, cfg):
        for phase in ('val', 'test'):
            with pytest.raises(UserError, match=f'1 of 9 videos of {phase}_dataloader are missing'):
                check_datasets(cfg, (phase,), may_miss=('train',))

    def test_one_rank_looks(self, cfg, monkeypatch):
        monkeypatch.setenv('RANK', '1')
        with pytest.raises(UserError):
            check_datasets(cfg, ('test',))
        cfg.launcher = 'pytorch'
        check_datasets(cfg, ('test',))
        monkeypatch.setenv('RANK', '0')
        with pytest.raises(UserError):
            check_datasets(cfg, ('test',))

    def test_corrupt_ones_are_there(self, cfg, tmp_path):
        write_corrupt(tmp_path / 'missing0.mp4', 'empty')
        check_datasets(cfg, ('train', 'val', 'test'))


class TestBalancedClasses:
    def test_lists_can_be_balanced(self, write):
        cfg = write('a.mp4 0\n' * 5 + 'a.mp4 1\n')
        balanced = dict(type='ClassBalancedDataset', oversample_thr=0.5, dataset=cfg.train_dataloader.dataset)
        cfg.train_dataloader.dataset = balanced
        check_datasets(cfg, ('train',))
        assert len(DATASETS.build(balanced)) == 7
        fraction = dict(type='LabelFractionDataset', fraction=1.0, dataset=balanced['dataset'])
        assert len(DATASETS.build(dict(balanced, dataset=fraction))) == 7

    def test_lists_of_several_labels_can(self, write):
        cfg = write('a.mp4 0\n' * 5 + 'a.mp4 0 1\n', multi_class=True, num_classes=2)
        balanced = dict(type='ClassBalancedDataset', oversample_thr=0.5, dataset=cfg.train_dataloader.dataset)
        dataset = DATASETS.build(balanced)
        assert len(dataset) == 7
        assert dataset[6]['data_samples'].gt_label.tolist() == [1, 1]

    def test_what_tells_no_labels_cannot(self, write):
        cfg = write('a.mp4 0\n')
        joined = dict(type='ConcatDataset', datasets=[cfg.train_dataloader.dataset])
        cfg.train_dataloader.dataset = dict(type='ClassBalancedDataset', oversample_thr=0.5, dataset=joined)
        with pytest.raises(UserError, match=r'ClassBalancedDataset of train_dataloader cannot wrap ConcatDataset'):
            check_datasets(cfg, ('train',))


def test_a_number_of_classes_that_is_text(write):
    cfg = write('a.mp4 0\n')
    cfg.model = dict(cls_head=dict(num_classes='2'))
    with pytest.raises(UserError, match=r"num_classes='2' of the head is no whole number"):
        check_datasets(cfg, ('train',))


def test_classes_without_a_training_video_are_named(write, monkeypatch):
    said = []
    monkeypatch.setattr(data_checks, 'print_log', lambda message, **_: said.append(message))
    check_datasets(write('a.mp4 0\na.mp4 1\n'), ('train', 'val'))
    assert said == []
    cfg = write('a.mp4 0\na.mp4 0\n')
    check_datasets(cfg, ('val', 'test'))
    assert said == []
    check_datasets(cfg, ('train', 'val'))
    assert said == ['1 of 2 classes have no training video: 1.']
    cfg.model.cls_head = dict(
        type='TextEmbeddingHead',
        in_channels=256,
        classifier=dict(type='OrthogonalClassifier', class_names=['waving', 'bowing', 'jumping'], embed_dims=256),
    )
    check_datasets(cfg, ('train',))
    assert said[1:] == ['2 of 3 classes have no training video: bowing, jumping.']
    del said[:]
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[cfg.train_dataloader.dataset] * 2)
    check_datasets(cfg, ('train',))
    assert said == ['2 of 3 classes have no training video: bowing, jumping.']
