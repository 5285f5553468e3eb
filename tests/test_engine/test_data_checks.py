"""Mistakes in annotation lists and data folders are found before a run starts."""

import pytest
from mmengine.config import Config
from tiny_runs import run_config, write_video

import textxfer_mm.register  # noqa: F401
from textxfer_mm.engine.classes import num_classes_of
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.errors import UserError


@pytest.fixture
def write(tmp_path):
    """Write a list and return a config over it."""
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
        ('', r'list\.txt of train_dataloader is empty'),
    ],
)
def test_bad_lines(write, text, message):
    with pytest.raises(UserError, match=message):
        check_datasets(write(text), ('train',))


def test_paths_with_spaces_and_several_labels(write):
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


@pytest.mark.parametrize('prefix', [dict(video='videos_tarin'), 'videos_tarin'])
def test_missing_folder(write, tmp_path, prefix):
    with pytest.raises(UserError, match=r'data folder .*/videos_tarin of train_dataloader \(data_root, data_prefix\)'):
        check_datasets(write('a.mp4 0\n', data_prefix=prefix, data_root=str(tmp_path)), ('train',))


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
