"""The configs of images: names, variables, and a real run at tiny size under MMPretrain."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tiny_configs import IMAGE as ALL
from tiny_configs import leaf, load, tiny_image_run

import textxfer_mm.register  # noqa: F401
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.class_splits import split_classes
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.vision import input_cfg, preprocessor_cfg

#: The others are run by the tests of their benchmark.
IMAGE = [c for c in ALL if c.startswith('image')]
#: E.g. text4vis_vit-b-16_vision-only_1-shot_8xb16-200e_in1k
NAME = re.compile(r'text4vis_(?P<arch>vit-[^_]+)_((?P<what>.+)_)?(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<epochs>\d+)e_in1k')
ARCHS = {
    'vit-b-16': ('ViT-B-16-quickgelu', 512),
    'vit-l-14': ('ViT-L-14-quickgelu', 768),
    'vit-l-14-336': ('ViT-L-14-336-quickgelu', 768),
}
#: One of each kind: the classifier, its baseline, few-shot and the split of classes.
STEPPED = [f'image/text4vis_vit-b-16_{what}_in1k.py' for what in ('seen600_8xb16-10e', 'vision-only_1-shot_8xb16-200e')]


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('classifiers')


@pytest.fixture
def build(tmp_path, cache, monkeypatch):
    """A runner of a config at tiny size."""
    monkeypatch.setenv('TEXTXFER_CACHE', str(cache))

    def build(name):
        cfg = tiny_image_run(copy.deepcopy(load(name)), tmp_path / 'images', tmp_path / 'work')
        cfg.default_hooks.checkpoint.update(save_best=None, save_optimizer=False)
        return Runner.from_cfg(cfg)

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield build


@pytest.mark.parametrize('name', IMAGE)
def test_name_says_what_is_in_it(name):
    cfg, said = load(name), NAME.fullmatch(Path(name).stem)
    arch, width = ARCHS[said['arch']]
    head, backbone, epochs = cfg.model.head, cfg.model.backbone, int(said['epochs'])
    assert cfg.default_scope == 'mmpretrain'
    assert (backbone.arch, head.in_channels) == (arch, width)
    assert int(said['gpus']) * int(said['batch']) == 128 == cfg.auto_scale_lr.base_batch_size
    assert cfg.train_dataloader.batch_size == int(said['batch'])
    assert cfg.train_cfg.max_epochs == epochs == cfg.param_scheduler[-1].end
    what = said['what'] or ''
    assert ('vision-only' in what) == (head.type == 'LinearClsHead')
    shots = re.search(r'(\d)-shot', what)
    assert cfg.train_dataloader.dataset.get('shots') == (int(shots[1]) if shots else None)
    if head.type == 'TextEmbeddingClsHead':
        assert head.classifier.encoder.arch == arch
        assert head.classifier.templates == ('imagenet' if '80-templates' in what else 'a photo of a {}.')


@pytest.mark.parametrize('name', IMAGE)
def test_images_are_as_the_encoder_wants_them(name):
    cfg = load(name)
    backbone, pixels = cfg.model.backbone, cfg.model.data_preprocessor
    want = preprocessor_cfg(backbone.arch, backbone.pretrained)
    assert pixels.mean == pytest.approx(want['mean'], abs=1e-4)
    assert pixels.std == pytest.approx(want['std'], abs=1e-4)
    assert pixels.to_rgb is True
    size = input_cfg(backbone.arch, backbone.pretrained)['size'][0]
    for phase in ('train', 'val', 'test'):
        pipeline = leaf(cfg[f'{phase}_dataloader'].dataset).pipeline
        assert pipeline == cfg['train_pipeline' if phase == 'train' else 'test_pipeline']
        sizes = {step[key] for step in pipeline for key in ('scale', 'crop_size') if key in step}
        assert sizes == {size}
        assert all(step.interpolation == 'bicubic' for step in pipeline if 'scale' in step)


@pytest.mark.parametrize('name', STEPPED)
def test_trains_and_tests_one_step(name, build):
    runner = build(name)
    before = {key: p.detach().clone() for key, p in runner.model.named_parameters() if p.requires_grad}
    runner.train()
    check_rates(runner)
    metrics = runner.test()
    assert 0 <= metrics['accuracy/top1'] <= 100
    now = dict(runner.model.named_parameters())
    assert any(not torch.equal(now[key], value) for key, value in before.items() if 'backbone' in key)


@pytest.mark.parametrize('name', [c for c in IMAGE if c not in STEPPED])
def test_trains_one_step(name, build):
    """What a step uses, without a loop around it: model, optimizer, data of all phases, loss and scores."""
    runner = build(name)
    model = runner.model
    model.init_weights()
    wrapper = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    check_rates(runner)
    assert model.head.num_classes == 1000
    weight = model.backbone.visual.conv1.weight
    before = weight.detach().clone()
    assert torch.isfinite(model.train_step(next(iter(runner.train_loop.dataloader)), wrapper)['loss'])
    assert not torch.equal(weight, before)
    assert weight.isfinite().all()
    model.eval()
    with torch.no_grad():
        (sample, _) = model.test_step(next(iter(runner.test_loop.dataloader)))
    assert sample.pred_score.shape == (1000,)
    assert sample.pred_score.sum().item() == pytest.approx(1, abs=1e-3)


def check_rates(runner):
    """The paper's 5e-6 for what is pre-trained and for the scale, ten times that for a layer that is new."""
    groups = {id(p): group for group in runner.optim_wrapper.optimizer.param_groups for p in group['params']}
    for key, parameter in runner.model.named_parameters():
        group = groups[id(parameter)]
        slow = key.startswith('backbone.visual.') or key.endswith('logit_scale')
        rate = group.get('initial_lr', group['lr'])
        assert (rate, group['weight_decay']) == (pytest.approx(5e-6 if slow else 5e-5), 0.2), key


# --------------------------------------------------------------------------------------------- classes and their splits


def test_the_split_is_the_draw_of_the_config():
    names = load_class_names('imagenet1k')
    seen, unseen = split_classes(1000, 600, seed=4)
    assert load_class_names('imagenet1k_seen600') == tuple(names[label] for label in seen)
    assert load_class_names('imagenet1k_unseen400') == tuple(names[label] for label in unseen)
    assert not set(load_class_names('imagenet1k_seen600')) & set(load_class_names('imagenet1k_unseen400'))
    cfg = load('image/text4vis_vit-b-16_seen600_8xb16-10e_in1k.py')
    for phase, inverted in (('train', False), ('val', False), ('test', True)):
        subset = cfg[f'{phase}_dataloader'].dataset
        assert (subset.count, subset.seed, subset.get('invert', False)) == (600, 4, inverted)


def test_imagenet_of_mmpretrain_has_the_classes_of_clip_in_their_order():
    """Its own names are WordNet's synonyms; most have OpenAI's name among them."""
    from mmpretrain.datasets.categories import IMAGENET_CATEGORIES

    names = load_class_names('imagenet1k')
    same = [name.lower() in other.lower() for name, other in zip(names, IMAGENET_CATEGORIES, strict=True)]
    assert np.mean(same) > 0.75
    shifted = [name.lower() in other.lower() for name, other in zip(names, IMAGENET_CATEGORIES[1:], strict=False)]
    assert np.mean(shifted) < 0.1


@pytest.mark.parametrize('what', ['1-shot_8xb16-200e', 'seen600_8xb16-10e'])
def test_checks_before_a_run_know_these_classes(what, tmp_path):
    cfg = tiny_image_run(copy.deepcopy(load(f'image/text4vis_vit-b-16_{what}_in1k.py')), tmp_path / 'images', None)
    assert check_datasets(cfg, ('train', 'val')) == set()


def test_class_lists_that_disagree_are_refused(tmp_path):
    cfg = tiny_image_run(
        copy.deepcopy(load('image/text4vis_vit-b-16_1-shot_8xb16-200e_in1k.py')), tmp_path / 'images', None
    )
    names = list(load_class_names('imagenet1k'))
    cfg.model.head.classifier.class_names = [f'{n} {name}' for n, name in enumerate(reversed(names))]
    with pytest.raises(UserError, match='train_dataloader and the classifier have other names for 1000 of'):
        check_datasets(cfg, ('train',))
    cfg.model.head.classifier.class_names = 'imagenet1k_seen600'
    with pytest.raises(UserError, match='train_dataloader has 1000 classes and the classifier 600'):
        check_datasets(cfg, ('train',))


def test_more_shots_than_a_class_has_images_are_refused(tmp_path):
    cfg = tiny_image_run(
        copy.deepcopy(load('image/text4vis_vit-b-16_3-shot_8xb16-200e_in1k.py')), tmp_path / 'images', None
    )
    cfg.train_dataloader.dataset.shots = 3
    with pytest.raises(UserError, match=r'3 videos a class were asked for, but label 0 \(tench\) has 1'):
        check_datasets(cfg, ('train',))
