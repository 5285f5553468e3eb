"""Captions from files: what is read, what is refused, and mixed with labels under both frameworks."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image
from tiny_runs import write_dataset

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets.caption_files import read_captions
from textxfer_mm.datasets.captioned import CaptionedImages, CaptionedVideos
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.errors import UserError

PAIRS = [('a.png', 'a red hat, worn'), ('b c.png', 'ein Hut; "rot"'), ('a.png', 'un\nchapeau')]


@pytest.fixture
def images(tmp_path):
    """Two images of one colour each."""
    for number, name in enumerate(('a.png', 'b c.png')):
        Image.fromarray(np.full((12, 10, 3), (200, 100, 50 * number), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


def write(folder, name, text, encoding='utf-8'):
    (folder / name).write_text(text, encoding=encoding, newline='')
    return folder / name


def table(delimiter, header, end='\n'):
    cells = [header, *PAIRS]
    return end.join(delimiter.join('"' + c.replace('"', '""') + '"' for c in row) for row in cells) + end


# ----------------------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize('header', [('path', 'caption'), ('filepath', 'title'), ('image', 'text')])
@pytest.mark.parametrize(
    ('name', 'delimiter'), [('a.csv', ','), ('a.csv', '\t'), ('a.CSV', ';'), ('a.csv', '|'), ('a.tsv', '\t')]
)
def test_tables(tmp_path, name, delimiter, header):
    for end, encoding in (('\n', 'utf-8'), ('\r\n', 'utf-8-sig'), ('\n\n', 'utf-16')):
        assert read_captions(write(tmp_path, name, table(delimiter, header, end), encoding)) == PAIRS


def test_other_columns_are_left_alone_and_their_order_is_free(tmp_path):
    file = write(tmp_path, 'a.csv', 'id,words,caption,where\n0,a hat,x,a.png\n1,a cap,y,b.png\n')
    assert read_captions(file, path_key='where', caption_key='words') == [('a.png', 'a hat'), ('b.png', 'a cap')]


def test_json_lines(tmp_path):
    lines = [dict(path='a.png', caption=['one', 'two']), dict(img_path='b.png', text='three\u2028still three')]
    text = '\n'.join(json.dumps(line, ensure_ascii=False) for line in lines) + '\n\n'
    expected = [('a.png', 'one'), ('a.png', 'two'), ('b.png', 'three\u2028still three')]
    assert read_captions(write(tmp_path, 'a.jsonl', text)) == expected


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.csv', 'path,words\na,b\n', r'a\.csv has no column of captions \(caption, title, text\); there is path, wo'),
        ('a.csv', 'where,caption\na,b\n', r'no column of paths \(path, filepath, .*\); there is where, caption.*path'),
        ('a.csv', '', r'no column of paths .*; there is none'),
        ('a.csv', 'path,caption\n', r'a\.csv holds no captions'),
        ('a.csv', 'path,caption\na.png,b\na.png\n', r'line 3: a\.png has no caption, a text that is not empty; got'),
        ('a.csv', 'path,caption\na.png,"  "\n', r'line 2: a\.png has no caption'),
        ('a.csv', 'path,caption\n,b\n', r'line 2: the path of a file is missing'),
        ('a.csv', f'path,caption\na,{"b" * 200_000}\n', r'begins in line 2 is no row of a table: field larger than'),
        (
            'a.csv',
            'path,caption\na,b\nc,a man, a dog\n',
            r'line 3: 3 columns, where the header has 2\. What holds a com',
        ),
        ('a.tsv', 'path\tcaption\na\tb\tc\n', r'line 2: 3 columns, where the header has 2\. What holds a tab is put'),
        (
            'a.csv',
            'path,caption\na,b\nc,"never\nd,e\nf,g\n',
            r'begins in line 3 is no row.*: unexpected end of data\. ',
        ),
        ('a.csv', 'path,caption\na,"b" said\n', r'begins in line 2 is no row of a table: .*two of them for each'),
        ('a.csv', 'path,caption,caption\na,b,c\n', r"a\.csv has 2 columns of the name 'caption': rename all but one"),
        (
            'a.jsonl',
            '{"path": "a", "caption": "b", "caption": "c"}\n',
            r"line 1 is no JSON: the key 'caption' occurs 2",
        ),
        ('a.jsonl', '{"path": "a"}\n', r'line 1 has no column of captions .*there is path'),
        ('a.jsonl', '{"path": "a", "caption": []}\n', r'line 1: a has no caption'),
        ('a.jsonl', '{"path": "a", "caption": 3}\n', r'line 1: a has no caption.*got \[3\]'),
        ('a.jsonl', '{"path": 3, "caption": "b"}\n', r'line 1: the path of a file is missing, got 3'),
        ('a.jsonl', '[1]\n', r'line 1 is no object with a path and a caption'),
        ('a.jsonl', '{"path"\n', r'line 1 is no JSON: .*Give one object a line'),
        ('a.json', '{}', r'a\.json is no file of captions: .*VideoTextDataset'),
        ('a.txt', 'a b', r'these end in \.csv, \.tsv, \.jsonl or \.ndjson'),
    ],
)
def test_mistakes_in_files(tmp_path, name, text, message):
    with pytest.raises(UserError, match=message) as caught:
        read_captions(write(tmp_path, name, text))
    assert '\n' not in str(caught.value)


def test_mistakes_in_names(tmp_path):
    file = write(tmp_path, 'a.csv', 'path,caption\na,b\n')
    with pytest.raises(UserError, match=r'no column of captions \(captoin\); there is path, caption\. Did you mean: c'):
        read_captions(file, caption_key='captoin')
    with pytest.raises(UserError, match=r'nowhere\.csv cannot be read: No such file'):
        read_captions(tmp_path / 'nowhere.csv')


# -------------------------------------------------------------------------------------------------------- the datasets


def test_images_and_their_captions(images):
    write(images, 'a.csv', table(',', ('path', 'caption')))
    for prefix in (dict(data_root=str(images), ann_file='a.csv'), dict(ann_file=str(images / 'a.csv'))):
        where = {} if 'data_root' in prefix else dict(data_prefix=dict(img_path=str(images)))
        dataset = CaptionedImages(pipeline=[], **prefix, **where)
        found = [dataset.get_data_info(index) for index in range(len(dataset))]
        assert [(one['img_path'], one['caption']) for one in found] == [(str(images / p), c) for p, c in PAIRS]


@pytest.mark.parametrize(('kind', 'key'), [(CaptionedImages, 'img_path'), (CaptionedVideos, 'video')])
def test_missing_files_are_named(images, kind, key):
    file = write(images, 'a.csv', 'path,caption\na.png,x\nz.png,y\nz.png,again\n')
    options = dict(ann_file=file, pipeline=[], data_prefix={key: str(images)})
    message = rf'1 of 2 files of .*a\.csv are missing: .*z\.png\. Restore them.*data_prefix=dict\({key}="FOLDER"\)'
    with pytest.raises(UserError, match=message):
        kind(**options)
    assert len(kind(**options, check_files=False)) == 3
    with pytest.raises(UserError, match=rf'{kind.__name__} takes data_prefix=dict\({key}="FOLDER"\).*got .*wrong'):
        kind(ann_file=file, pipeline=[], data_prefix=dict(wrong='x'))


def test_a_fraction_of_the_files_with_all_their_captions(tmp_path):
    rows = [f'{number // 2}.png,about {number}' for number in range(200)]
    write(tmp_path, 'a.csv', '\n'.join(['path,caption', *rows]))
    options = dict(ann_file=str(tmp_path / 'a.csv'), pipeline=[], check_files=False)

    def drawn(**more):
        dataset = CaptionedImages(**options, **more)
        return [dataset.get_data_info(index)['caption'] for index in range(len(dataset))]

    whole, quarter = drawn(), drawn(fraction=0.25)
    assert len(whole) == 200
    assert len(quarter) == 50
    numbers = [int(caption.split()[1]) for caption in quarter]
    assert numbers == sorted(numbers)
    assert {number ^ 1 for number in numbers} == set(numbers)  # both captions of a file
    assert quarter == drawn(fraction=0.25) != drawn(fraction=0.25, seed=1)
    assert set(quarter) < set(drawn(fraction=0.5))  # a larger share holds the smaller one
    assert drawn(fraction=1) == whole
    for fraction in (0, -0.5, 1.5, '1', True, float('nan')):
        with pytest.raises(UserError, match=r'CaptionedImages: fraction is a number above 0 and up to 1, got'):
            drawn(fraction=fraction)
    with pytest.raises(UserError, match=r'fraction=0\.001 of 100 files leaves none'):
        drawn(fraction=0.001)


@pytest.mark.parametrize('scope', ['mmpretrain', 'mmaction'])
def test_a_run_is_told_before_it_starts(images, scope):
    write(images, 'a.csv', 'path,words\na.png,x\n')
    inner = dict(type='CaptionedImages', data_root=str(images), ann_file='a.csv', pipeline=[])
    tagged = dict(type='TaggedDataset', name='captioned', dataset=inner)
    loader = dict(batch_size=1, dataset=dict(type='MultiDataset', datasets=[tagged]))
    head = 'cls_head' if scope == 'mmaction' else 'head'
    cfg = Config(dict(default_scope=scope, model={head: dict(num_classes=2)}, train_dataloader=loader))
    with pytest.raises(UserError, match=r'a\.csv has no column of captions'):
        check_datasets(cfg, ('train',))
    write(images, 'a.csv', 'path,caption\nz.png,x\n')
    with pytest.raises(UserError, match=r'1 of 1 files of .*a\.csv are missing'):
        check_datasets(cfg, ('train',))
    write(images, 'a.csv', 'path,caption\na.png,x\n')
    assert check_datasets(cfg, ('train',)) == set()
    inner['ann_file'] = 'b.csv'
    with pytest.raises(UserError, match=r'annotation file .*b\.csv of train_dataloader does not exist'):
        check_datasets(Config({**cfg, 'train_dataloader': loader}), ('train',))


# ------------------------------------------------------------------------------------------------- mixed with labels


def mixed(datasets, ratios, size=8):
    """Batches of an epoch of a ratio sampler over tagged datasets."""
    return dict(
        batch_size=size,
        num_workers=0,
        sampler=dict(type='DatasetRatioSampler', ratios=ratios, length=2 * size),
        batch_sampler=dict(type='DatasetRatioBatchSampler'),
        dataset=dict(
            type='MultiDataset',
            datasets=[dict(type='TaggedDataset', name=name, dataset=one) for name, one in datasets.items()],
        ),
    )


def kinds(batch):
    """How many samples of a batch have a label alone, and how many a caption alone."""
    captions = [next((s.get(k) for k in ('caption', 'text') if s.get(k)), None) for s in batch['data_samples']]
    labels = ['gt_label' in sample for sample in batch['data_samples']]
    assert all(bool(caption) != label for caption, label in zip(captions, labels, strict=True))
    return Counter('caption' if caption else 'label' for caption in captions)


@pytest.mark.parametrize('ratio', [0.25, 0.5, 0.75])
def test_images_under_mmpretrain(images, ratio):
    write(images, 'a.csv', table(',', ('path', 'caption')))
    write(images, 'list.txt', 'a.png 0\nb c.png 1\n')
    steps = [dict(type='LoadImageFromFile'), dict(type='PackInputs', meta_keys=('caption',))]
    where = dict(data_root=str(images), pipeline=steps)
    datasets = dict(
        captioned=dict(type='CaptionedImages', ann_file='a.csv', **where),
        labelled=dict(type='CustomDataset', ann_file='list.txt', **where),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        batches = list(Runner.build_dataloader(mixed(datasets, ratio), seed=0))
    assert [kinds(batch) for batch in batches] == [Counter(caption=8 * ratio, label=8 * (1 - ratio))] * 2
    assert all(image.shape == (3, 12, 10) for batch in batches for image in batch['inputs'])


def test_images_under_mmaction(images):
    write(images, 'a.csv', table(',', ('path', 'caption')))
    write(images, 'list.txt', 'a.png 0\nb c.png 1\n')
    steps = [
        dict(type='LoadImageFromFile'),
        dict(type='ImageAsFrames'),
        dict(type='Resize', scale=(16, 16), keep_ratio=False),
        dict(type='Flip', flip_ratio=0.5),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=('caption',)),
    ]
    where = dict(data_root=str(images), pipeline=steps)
    datasets = dict(
        labelled=dict(type='mmpretrain.CustomDataset', ann_file='list.txt', **where),
        captioned=dict(type='CaptionedImages', ann_file='a.csv', **where),
    )
    with DefaultScope.overwrite_default_scope('mmaction'):
        batch = next(iter(Runner.build_dataloader(mixed(datasets, dict(labelled=1, captioned=3)), seed=0)))
    assert kinds(batch) == Counter(caption=6, label=2)
    for frames, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
        assert frames.shape == (1, 3, 1, 16, 16)
        assert frames[0, 0].unique().tolist() == [200]  # red comes first
        blue = sample.gt_label.item() * 50 if 'gt_label' in sample else (sample.caption == PAIRS[1][1]) * 50
        assert torch.equal(frames[0, 2].unique(), torch.tensor([blue], dtype=torch.uint8))


def test_videos_under_mmaction(tmp_path):
    labels = write_dataset(tmp_path, good=2)
    names = [line.split()[0] for line in labels.read_text().splitlines()]
    write(tmp_path, 'a.jsonl', ''.join(json.dumps(dict(video=n, caption=f'about {n}')) + '\n' for n in names))
    write(tmp_path, 'b.json', json.dumps({names[0]: ['one', 'two']}))
    steps = [
        dict(type='ExactVideoInit'),
        dict(type='UniformSample', clip_len=2),
        dict(type='ExactVideoDecode'),
        dict(type='Resize', scale=(16, 16), keep_ratio=False),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=('caption', 'text', 'filename')),
    ]
    where = dict(data_prefix=dict(video=str(tmp_path)), pipeline=steps)
    datasets = dict(
        labelled=dict(type='VideoDataset', ann_file=str(labels), **where),
        captioned=dict(type='CaptionedVideos', ann_file=str(tmp_path / 'a.jsonl'), **where),
        texts=dict(type='VideoTextDataset', ann_file=str(tmp_path / 'b.json'), **where),
    )
    ratios = dict(labelled=4, captioned=2, texts=2)
    with DefaultScope.overwrite_default_scope('mmaction'):
        (batch, _) = Runner.build_dataloader(mixed(datasets, ratios), seed=0)
    assert kinds(batch) == Counter(caption=4, label=4)
    told = [sample for sample in batch['data_samples'] if sample.get('caption')]
    assert len(told) == 2
    assert all(f'about {sample.filename.rpartition("/")[2]}' == sample.caption for sample in told)
