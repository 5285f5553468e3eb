"""Several sets of images by their class names: rows, measures, tables, and a dataset that does not fit."""

import copy
import json
import runpy
import shutil
import sys
from unittest.mock import patch

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from tiny import TINY_VIT
from tiny_configs import ROOT, load

import textxfer_mm.register  # noqa: F401
from textxfer_mm.apis import evaluate_sets, sets_table
from textxfer_mm.apis.classification_sets import SetResult
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.text.glosses.table import gloss_table, squeezed
from textxfer_mm.text.templates import TEMPLATES as TEMPLATE_SETS

NAMES = ['cat', 'dog', 'tench']
TEMPLATES = ['a photo of a {}.', 'a drawing of a {}.']
GLOSSES = dict(cat=['feline mammal', 'a whip'], tench='freshwater fish')
STEPS = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
LOADER = dict(batch_size=2, num_workers=0, dataset=dict(type='CustomDataset', pipeline=STEPS))
ENCODER = dict(type='CLIPTextEncoder', arch=TINY_VIT)
CLASSIFIER = dict(type='TextClassifier', class_names=['another', 'one'], encoder=ENCODER)
MODEL = dict(
    type='ImageClassifier',
    backbone=dict(type='CLIPImageBackbone', arch=TINY_VIT),
    head=dict(type='UnifiedContrastiveClsHead', in_channels=32, classifier=CLASSIFIER, topk=(1,)),
    data_preprocessor=dict(type='MixedDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True),
)
VOC = '<annotation>{}</annotation>'
OBJECT = '<object><name>{}</name><difficult>{}</difficult></object>'


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Seven images of noise, of unequally many of each class, and the same in the layout of VOC."""
    folder, generator = tmp_path_factory.mktemp('sets'), np.random.default_rng(0)
    labels = [0, 0, 0, 0, 1, 1, 2]
    for path in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (folder / path).mkdir(parents=True)
    for number in range(len(labels)):
        picture = Image.fromarray(generator.integers(0, 255, (32, 32, 3), dtype=np.uint8))
        picture.save(folder / f'{number}.png')
        picture.save(folder / 'JPEGImages' / f'{number}.jpg')
        objects = [('cat', number % 2), ('dog', 0), ('cat', 0)][: 1 + number % 3]
        text = VOC.format(''.join(OBJECT.format(*one) for one in objects))
        (folder / 'Annotations' / f'{number}.xml').write_text(text)
    (folder / 'ImageSets/Main/test.txt').write_text('\n'.join(map(str, range(len(labels)))) + '\n')
    (folder / 'list.txt').write_text(''.join(f'{n}.png {label}\n' for n, label in enumerate(labels)))
    return folder


@pytest.fixture(scope='module')
def model():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(MODEL)
    model.init_weights()
    return model.eval()


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def a_set(images, **options):
    dataset = dict(type='CustomDataset', data_root=str(images), ann_file='list.txt')
    return dict(dataset=dataset, class_names=NAMES, templates=TEMPLATES, **options)


def cosines(model, files, glosses):
    """One image and one prompt at a time."""
    rows = []
    for name in NAMES:
        texts = [template.format(name) for template in TEMPLATES]
        given = glosses.get(name, [])
        given = [given] if isinstance(given, str) else given
        texts = [f'{text} {gloss}' for text in texts for gloss in given] if given else texts
        made = [model.head.class_rows.encode_frozen([text])[0] for text in texts]
        rows.append(torch.stack([one / one.norm() for one in made]).mean(0))
    found = []
    for file in files:
        pixels = torch.from_numpy(np.asarray(Image.open(file))[..., ::-1].copy()).permute(2, 0, 1)
        data = model.data_preprocessor(dict(inputs=[pixels], data_samples=None))
        with torch.no_grad():
            image = model.head.embed(model.extract_feat(data['inputs']))[0]
        found.append([torch.cosine_similarity(image, row, dim=0).item() for row in rows])
    return np.array(found)


@pytest.mark.parametrize('glosses', [{}, GLOSSES])
def test_measures_against_one_image_at_a_time(model, images, glosses):
    values = cosines(model, [images / f'{number}.png' for number in range(7)], glosses)
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    right = values.argmax(1) == labels
    given = dict(glosses=glosses) if glosses else {}
    found = evaluate_sets(
        model,
        dict(all=a_set(images, **given), each=a_set(images, measure='mean_class', **given)),
        LOADER,
    )
    assert found['all'].value == pytest.approx(right.mean())
    assert found['each'].value == pytest.approx(np.mean([right[labels == k].mean() for k in range(3)]))
    assert (found['all'].images, found['all'].classes, found['all'].templates) == (7, 3, 2)
    assert found['all'].with_glosses == len(glosses)
    shared = evaluate_sets(model, dict(all=a_set(images)), LOADER, glosses=gloss_table(glosses)) if glosses else found
    assert shared['all'] == found['all']


def test_glosses_of_other_classes_are_left_out_where_they_are_shared(model, images):
    found = evaluate_sets(model, dict(all=a_set(images)), LOADER, glosses=gloss_table(dict(horse='an animal')))
    assert found['all'].with_glosses == 0
    with pytest.raises(UserError, match=r'are of other classes \(horse\)'):
        evaluate_sets(model, dict(all=a_set(images, glosses=dict(horse='an animal'))), LOADER)


@pytest.mark.parametrize('trained', [True, False])
def test_a_gloss_that_is_too_long_is_shortened(model, images, trained, caplog):
    """For a tower that is trained, and for a frozen encoder."""
    head = dict(type='TextEmbeddingClsHead', in_channels=32, classifier=CLASSIFIER, topk=(1,))
    read = model if trained else MODELS.build({**MODEL, 'head': head})
    evaluate_sets(read, dict(a=a_set(images, glosses=dict(cat='word ' * 90))), LOADER)
    assert '1 of 1 glosses are shortened, since the text encoder reads 77 tokens' in caplog.text


def test_difficult_objects_of_voc_do_not_count(model, images):
    """Against the definition: 11 levels, a class at a time, without what is difficult there and nowhere plain."""
    names = load_class_names('voc2007')
    options = dict(dataset=dict(type='VOC', data_root=str(images), split='test'), class_names='voc2007')
    (found,) = evaluate_sets(model, dict(voc=dict(options, measure='map_11')), LOADER).values()
    prompts = [f'a photo of a {name}.' for name in names]
    rows = torch.nn.functional.normalize(model.head.class_rows.encode_frozen(prompts), dim=-1)
    precisions = []
    for name in ('cat', 'dog'):
        scored = []
        for number in range(7):
            objects = [('cat', number % 2), ('dog', 0), ('cat', 0)][: 1 + number % 3]
            mine = [difficult for thing, difficult in objects if thing == name]
            if mine and all(mine):
                continue
            pixels = torch.from_numpy(mmcv.imread(str(images / 'JPEGImages' / f'{number}.jpg'))).permute(2, 0, 1)
            data = model.data_preprocessor(dict(inputs=[pixels], data_samples=None))
            with torch.no_grad():
                image = model.head.embed(model.extract_feat(data['inputs']))[0]
            score = torch.cosine_similarity(image, rows[names.index(name)], dim=0).item()
            scored.append((score, bool(mine)))
        scored.sort(reverse=True)
        hits = np.cumsum([hit for _, hit in scored])
        precision, recall = hits / np.arange(1, len(hits) + 1), hits / hits[-1]
        precisions.append(np.mean([precision[recall >= level / 10 - 1e-9].max() for level in range(11)]))
    assert found.value == pytest.approx(np.mean(precisions), abs=1e-6)
    with pytest.raises(UserError, match=r"'voc' has images of several classes, or of none: give measure='map_11'"):
        evaluate_sets(model, dict(voc=options), LOADER)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(measure='top-1'), r"Set 'a': unknown measure 'top-1'\..*top1"),
        (dict(template='{}'), r"Set 'a' has the unknown option 'template'\..*templates"),
        (dict(class_names=['cat', 'dog']), r"Set 'a': label 2 of an image is none of its 2 classes"),
        (dict(measure=['top1']), r"Set 'a': unknown measure \['top1'\]"),
        (dict(dataset='x'), r"Set 'a': dataset is a config, dict\(type=..., ...\), got 'x'"),
        (
            dict(dataset=dict(type='CustomDatset')),
            r"Set 'a' cannot be read: type='CustomDatset' .* mean: CustomDataset",
        ),
        (
            dict(dataset=dict(type='Food101', data_root='none', split='test')),
            r"Set 'a' cannot be read: .*Get its files",
        ),
        (
            dict(dataset=dict(type='CIFAR10', data_root='none', split='test', download=False)),
            r"Set 'a' cannot be read: Cannot find CIFAR10 dataset",
        ),
    ],
)
def test_mistakes(model, images, change, message):
    with pytest.raises(UserError, match=message):
        evaluate_sets(model, dict(a={**a_set(images), **change}), LOADER)


def test_all_sets_are_read_before_the_first_is_evaluated(model, images):
    missing, seen = a_set(images), []
    missing['dataset'] = {**missing['dataset'], 'ann_file': 'none.txt'}
    told = r"Set 'b' cannot be read: .*none\.txt.* leave the set out\. Nor can 1 more: c\."
    with pytest.raises(UserError, match=told):
        evaluate_sets(
            model, dict(a=a_set(images), b=missing, c=missing), LOADER, progress=lambda *told: seen.append(told)
        )
    assert not seen
    with pytest.raises(UserError, match=r'The sets are read by the pipeline of testing: give dataloader=dict\(dataset'):
        evaluate_sets(model, dict(a=a_set(images)), dict(batch_size=2))


def test_a_model_that_diverged_has_no_accuracy(model, images):
    diverged = copy.deepcopy(model)
    with torch.no_grad():
        diverged.backbone.visual.proj.fill_(torch.nan)
    with pytest.raises(UserError, match=r"Set 'a': the embeddings of 7 of 7 images are not finite\. Did the training"):
        evaluate_sets(diverged, dict(a=a_set(images)), LOADER)


def test_no_sets_and_half_a_set(model):
    with pytest.raises(UserError, match='There are no sets to evaluate'):
        evaluate_sets(model, {}, LOADER)
    with pytest.raises(UserError, match=r"Set 'a': give dataset and class_names"):
        evaluate_sets(model, dict(a=dict(class_names=NAMES)), LOADER)


def test_class_names_that_are_missing_or_not_those_of_the_dataset_end_before_the_first_set(model, images, monkeypatch):
    monkeypatch.setattr('textxfer_mm.apis.classification_sets._of_set', None)
    good = a_set(images)

    def refused(**options):
        with pytest.raises(UserError) as caught:
            evaluate_sets(model, dict(A=good, B={**good, **options}), LOADER)
        return str(caught.value)

    assert refused(class_names=str(images / 'nosuch.txt')).startswith("Set 'B': ")
    folders = dict(type='CustomDataset', data_root=str(images), data_prefix='folders')
    for name in ('cats', 'dogs', 'wild_birds'):
        (images / 'folders' / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(next(images.glob('*.png')), images / 'folders' / name)
    assert refused(dataset=folders, class_names=['cats', 'dogs']) == (
        "Set 'B' has 3 classes (cats, dogs, wild_birds), class_names 2 (cats, dogs): give one name a class, in the "
        'order of the labels.'
    )
    assert refused(dataset=folders, class_names=['cats', 'wild birds', 'dogs']) == (
        "Set 'B': class_names are in another order than its labels: class 1 is 'dogs' there, and 'wild birds' in "
        'class_names. Give them in the order of the labels.'
    )


def test_the_table_says_what_is_missing():
    found = dict(
        Pets=SetResult('mean_class', 0.5, 10, 37, 1, 0, {}),
        VOC=SetResult('map_11', 0.251, 10, 20, 1, 0, {}),
    )
    assert sets_table(found, ['Birdsnap']).splitlines() == [
        '|  | Pets | VOC | Birdsnap | mean of 2 |',
        '| --- | --- | --- | --- | --- |',
        '| measure | mean per class | 11-point mAP | not evaluated |  |',
        '| model | 50.0 | 25.1 |  | 37.5 |',
    ]


def test_the_shipped_sets_are_datasets_of_mmpretrain_with_their_classes():
    from mmpretrain.registry import DATASETS

    sets = load('_base_/datasets/zero_shot_sets.py').zero_shot_sets
    assert len(sets) == 12
    by_class = {'FGVCAircraft', 'OxfordPets', 'Caltech101', 'Flowers102'}
    assert {name for name, one in sets.items() if one.get('measure') == 'mean_class'} == by_class
    assert sets.VOC2007.measure == 'map_11'
    for name, one in sets.items():
        kind = DATASETS.get(one.dataset.type)
        assert 'templates' not in one or one.templates in TEMPLATE_SETS
        if name == 'Birdsnap':  # of which the list is brought
            continue
        known = kind.METAINFO.get('classes')  # which Flowers102 does not have
        assert (known is None) == (name == 'Flowers102')
        names = load_class_names(one.class_names)
        assert len(names) == 102 if known is None else list(map(squeezed, names)) == list(map(squeezed, known)), name


def test_the_tool_prints_the_table(model, images, tmp_path, capsys):
    parts = dict(custom_imports=dict(imports=['textxfer_mm.register']), default_scope='mmpretrain', model=MODEL)
    cfg = Config(dict(**parts, test_pipeline=STEPS, test_dataloader=LOADER))
    cfg.dump(tmp_path / 'model.py')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    Config(dict(zero_shot_sets=dict(A=a_set(images), B=a_set(images)))).dump(tmp_path / 'sets.py')
    tool = ROOT.parent / 'tools/analysis_tools/zero_shot_sets.py'
    words = [str(tool), str(tmp_path / 'model.py'), str(tmp_path / 'model.pth'), '--sets', str(tmp_path / 'sets.py')]

    def run(*more):
        with patch.object(sys, 'argv', [*words, *more]), pytest.raises(SystemExit) as stop:
            runpy.run_path(str(tool), run_name='__main__')
        return stop.value.code, capsys.readouterr()

    code, said = run('--skip', 'B', '--json', str(tmp_path / 'out.json'))
    assert code in (0, None), said.err
    expected = evaluate_sets(model, dict(A=a_set(images)), LOADER)['A'].value
    assert f'| model | {100 * expected:.1f} |  | {100 * expected:.1f} |' in said.out
    assert 'Encoding the images of A' in said.err
    assert json.loads((tmp_path / 'out.json').read_text())['A']['value'] == pytest.approx(expected)
    Config(dict(**parts)).dump(tmp_path / 'untested.py')
    words[1] = str(tmp_path / 'untested.py')
    code, said = run()
    assert code == 2
    assert 'untested.py has no test_dataloader' in said.err
    words[1] = str(tmp_path / 'model.py')
    code, said = run('--skip', 'C')
    assert code == 2
    assert "--skip: there is no set 'C'" in said.err
