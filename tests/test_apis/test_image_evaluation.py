"""The evaluator, the features and the interpolation on a model of images: the numbers of the stock test loop."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from tiny import TINY_VIT

import textxfer_mm.register  # noqa: F401
from textxfer_mm.apis import evaluate, extract_features
from textxfer_mm.apis.interpolation import Interpolation
from textxfer_mm.apis.interpolation_sweep import sweep
from textxfer_mm.apis.list_loaders import loader_of_list
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS

SEEN, UNSEEN = ('dark', 'bright', 'grey', 'pale'), ('left', 'right', 'up')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=32, edge='short'),
    dict(type='CenterCrop', crop_size=32),
    dict(type='PackInputs'),
]
EVALUATOR = dict(type='Accuracy', topk=(1,))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A folder of images with two lists, a config of one of them and a checkpoint."""
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(rng.integers(0, 255, (40, 32, 3), dtype=np.uint8)).save(folder / f'{number}.png')
    for name, count in (('seen', len(SEEN)), ('unseen', len(UNSEEN))):
        (folder / f'{name}.txt').write_text(''.join(f'{number}.png {number % count}\n' for number in range(12)))
    torch.manual_seed(0)
    init_default_scope('mmaction')
    backbone = MODELS.build(dict(type='CLIPBackbone', arch=TINY_VIT))
    text = MODELS.build(dict(type='CLIPTextEncoder', arch=TINY_VIT)).tower()
    state = {f'visual.{k}': v for k, v in backbone.visual.state_dict().items()} | text.model.state_dict()
    torch.save({**state, 'logit_scale': torch.tensor(4.6)}, folder / 'clip.pt')
    clip = dict(arch=TINY_VIT, pretrained=str(folder / 'clip.pt'))
    classifier = dict(type='TextClassifier', class_names=list(SEEN), encoder=dict(type='CLIPTextEncoder', **clip))
    dataset = dict(type='CustomDataset', data_root=str(folder), ann_file='seen.txt', pipeline=PIPELINE)
    loader = dict(batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='CLIPImageBackbone', **clip),
                head=dict(type='TextEmbeddingClsHead', in_channels=32, classifier=classifier),
                data_preprocessor=dict(type='ClsDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3, to_rgb=True),
            ),
            test_pipeline=PIPELINE,
            **{f'{phase}_dataloader': copy.deepcopy(loader) for phase in ('train', 'val', 'test')},
            test_cfg=dict(),
            test_evaluator=EVALUATOR,
        )
    )
    init_default_scope('mmpretrain')
    model = MODELS.build(copy.deepcopy(cfg.model))
    model.init_weights()
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), folder / 'trained.pth')
    return folder, cfg


def test_loop(cfg, folder):
    """Top-1 of MMEngine's runner; pytest does not collect it, because it has no fixtures."""
    cfg = copy.deepcopy(cfg)
    cfg.train_dataloader = cfg.val_dataloader = None
    cfg.work_dir, cfg.load_from, cfg.experiment_name = str(folder / 'w'), str(folder / 'trained.pth'), str(folder)
    return Runner.from_cfg(cfg).test()['accuracy/top1']


test_loop.__test__ = False


def value_of(result, which='trained', **wanted):
    (row,) = [r for r in result['results'] if all(r[k] == v for k, v in wanted.items())]
    return row[which]['value']


def test_full_class_accuracy_is_that_of_the_test_loop(made):
    folder, cfg = made
    result = evaluate(cfg, folder / 'trained.pth', protocols=['full', 'mean-class'], device='cpu')
    assert value_of(result, protocol='full', metric='top1') == pytest.approx(test_loop(cfg, folder) / 100)
    assert result['untrained'] == dict(note='')
    assert (result['classifier'], result['average_clips']) == ('TextClassifier', 'prob')
    untrained = value_of(result, 'untrained', protocol='full', metric='top1')
    assert untrained == value_of(evaluate(cfg, protocols=['full'], device='cpu'), 'untrained', metric='top1')


def test_other_classes_on_another_list(made):
    folder, cfg = made
    features = folder / 'features.safetensors'
    options = dict(
        protocols=['base-to-novel', 'generalized'],
        labels=[UNSEEN],
        ann_files=[folder / 'unseen.txt'],
        features=features,
        device='cpu',
    )
    result = evaluate(cfg, folder / 'trained.pth', **options)
    assert [entry['zero_shot'] for entry in result['lists']] == [False, True]
    other = copy.deepcopy(cfg)
    other.model.head.classifier.class_names = list(UNSEEN)
    other.test_dataloader.dataset.ann_file = 'unseen.txt'
    novel = [row for row in result['results'] if row['protocol'] == 'base-to-novel' and row['classes'] == len(UNSEEN)]
    assert novel[0]['trained']['value'] == pytest.approx(test_loop(other, folder) / 100)
    for image in folder.glob('*.png'):
        image.rename(image.with_suffix('.gone'))
    try:
        assert evaluate(cfg, folder / 'trained.pth', **options)['results'] == result['results']  # without the images
    finally:
        for image in folder.glob('*.gone'):
            image.rename(image.with_suffix('.png'))


def test_a_stock_head_is_evaluated_by_its_logits(made, tmp_path):
    cfg = copy.deepcopy(made[1])
    cfg.model.head = dict(type='LinearClsHead', num_classes=4, in_channels=32)
    init_default_scope('mmpretrain')
    torch.save(dict(state_dict=MODELS.build(copy.deepcopy(cfg.model)).state_dict()), tmp_path / 'trained.pth')
    result = evaluate(cfg, tmp_path / 'trained.pth', device='cpu')
    assert value_of(result, metric='top1') == pytest.approx(test_loop(cfg, tmp_path) / 100)
    assert result['classifier'] == 'a learned layer'


def test_features_are_those_of_the_tower(made):
    folder, cfg = made
    found = extract_features(cfg, split='train', per_class=2, checkpoint=folder / 'trained.pth', device='cpu')
    assert found.features.shape == (8, 32)
    assert sorted(found.labels.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.metadata['encoder'].startswith('CLIPImageBackbone')


def test_the_models_between_two(made):
    folder, cfg = made
    ends = Interpolation('pretrained', folder / 'trained.pth')
    seen = loader_of_list(ends.cfg, folder / 'seen.txt', option='--seen', phase='test')
    unseen = loader_of_list(ends.cfg, folder / 'unseen.txt', option='--unseen', phase='test')
    found = sweep(ends, seen, unseen, UNSEEN, alphas=[0.0, 1.0], device='cpu')
    assert found.videos == (12, 12)
    before, after = found.points
    assert after.seen == pytest.approx(test_loop(cfg, folder) / 100)
    want = evaluate(cfg, protocols=['full'], device='cpu')
    assert before.seen == pytest.approx(value_of(want, 'untrained', metric='top1'))
    half = ends.checkpoint(0.5)['state_dict']
    ends_of = [ends.pair.at(alpha)['backbone.visual.conv1.weight'] for alpha in (0.0, 1.0)]
    torch.testing.assert_close(half['backbone.visual.conv1.weight'], sum(ends_of) / 2)


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ('0.png 4\n', r"lost\.txt, line 1 \('0\.png 4'\): .*4.* 0 to 3"),
        ('0.png zero\n', r"lost\.txt, line 1 \('0\.png zero'\): expected a path followed by whole numbers"),
        ('lost.png 0\n', '1 of 1 images of test_dataloader are missing: .*lost.png'),
    ],
)
def test_lists_of_images_are_checked_before_a_run(made, tmp_path, lines, message):
    folder, cfg = made
    (tmp_path / 'lost.txt').write_text(lines)
    cfg = copy.deepcopy(cfg)
    cfg.test_dataloader.dataset.update(ann_file=str(tmp_path / 'lost.txt'), data_prefix=str(folder))
    with pytest.raises(UserError, match=message):
        check_datasets(cfg, ('test',))


@pytest.mark.parametrize(
    ('dataset', 'folder'),
    [
        (dict(type='ImageNet', data_root='data/nowhere', split='val'), 'data/nowhere/val'),
        (dict(type='CustomDataset', data_prefix='data/nowhere'), 'data/nowhere'),
        (dict(type='CustomDataset', data_root='data', data_prefix=dict(img_path='none')), 'data/none'),
    ],
)
def test_folders_of_images_that_are_not_there(made, dataset, folder):
    cfg = copy.deepcopy(made[1])
    cfg.test_dataloader.dataset = dict(**dataset, pipeline=PIPELINE)
    with pytest.raises(UserError, match=f'data folder {folder} of test_dataloader .* does not exist'):
        check_datasets(cfg, ('test',))


def test_what_is_refused(made):
    folder, cfg = made
    with pytest.raises(UserError, match='--average-clips feature: an image has one view'):
        evaluate(cfg, folder / 'trained.pth', average_clips='feature', device='cpu')
