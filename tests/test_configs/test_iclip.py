"""The configs of iCLIP: what the rows of its tables differ in, and steps of each kind at tiny size."""

import copy
import re
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tiny_configs import CONFIGS, PAIRED, PAIRED_CLASSES, ROOT, leaves, load, tiny_paired_run, write_pairs

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets.scene_datasets import scene_class_names
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.parts.captions import caption_of
from textxfer_mm.text.class_names import load_class_names

ICLIP = [c for c in CONFIGS if c.startswith('iclip/')]
STILLS = 'iclip/iclip_clip-rn-w16_stills_2xb64-8e_rendered-scenes.py'
#: One of each kind; the rows of Table 1 differ in the shares alone.
COMPUTED = [c for c in PAIRED if not re.search(r'yfcc(90|75|25|10)-', c)]
#: E.g. iclip_swin-t_yfcc90-in21k10_32xb128-32e
NAME = re.compile(
    r'(?P<loss>iclip|unicl|clip)_(?P<arch>swin-t|swin-b|vit-b-16)_yfcc(?P<captioned>\d*)(-in21k(?P<labelled>\d*))?_'
    r'(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<epochs>\d+)e'
)
#: Captions alone are matched alike by iCLIP.
FORMS = dict(iclip='iclip', clip='iclip', unicl='unicl')
WIDTHS = {'swin-t': 768, 'swin-b': 1024, 'vit-b-16': 768}


@pytest.fixture(autouse=True, scope='module')
def _quick():
    """Most of the time of so small a run is spent on laying out its config for the log."""
    with patch('mmengine.config.config.FormatCode', lambda code, **_: (code, True)):
        yield


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('iclip')
    write_pairs(folder / 'data')
    return folder


@pytest.fixture
def build(data, tmp_path, monkeypatch):
    """A runner of a config at tiny size, where its data lie."""
    monkeypatch.chdir(data)
    monkeypatch.setenv('TEXTXFER_CACHE', str(data / 'cache'))

    def build(name, **options):
        cfg = copy.deepcopy(load(name))
        tiny_paired_run(cfg, tmp_path)
        cfg.default_hooks.checkpoint.update(save_best=None, save_optimizer=False)
        cfg.merge_from_dict(options)
        return Runner.from_cfg(cfg)

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield build


def labels_of(batch):
    """How many samples of a batch have a label, and how many a caption."""
    samples = batch['data_samples']
    return Counter('label' if 'gt_label' in s else 'caption' for s in samples if caption_of(s, '') or 'gt_label' in s)


def test_the_scenes_of_the_small_tower_are_those_of_the_list():
    assert load_class_names('rendered_scenes_captioned') == tuple(scene_class_names('captioned'))
    video, image = (load(name) for name in (STILLS.replace('stills_', ''), STILLS))
    assert video.model.cls_head.classifier == image.model.head.classifier
    for key in ('kinds', 'per_class', 'length', 'size'):
        ours, theirs = ([d.get(key) for d in leaves(c.train_dataloader.dataset)] for c in (video, image))
        assert ours == theirs
    assert video.train_dataloader.sampler == image.train_dataloader.sampler


@pytest.mark.parametrize('ratio', [0.25, 0.5])
def test_the_small_tower_takes_a_step_under_mmpretrain(build, ratio):
    runner = build(STILLS, **{'train_dataloader.sampler.ratios': ratio})
    assert labels_of(next(iter(runner.build_dataloader(runner._train_dataloader)))) == Counter(
        label=4 * ratio, caption=4 - 4 * ratio
    )
    runner.train()
    for key, parameter in runner.model.named_parameters():
        assert (parameter in runner.optim_wrapper.optimizer.state) == parameter.requires_grad, key
    assert 0 <= runner.test()['accuracy/top1'] <= 100


@pytest.mark.parametrize('name', PAIRED)
def test_name_says_what_is_in_it(name):
    cfg, said = load(name), NAME.fullmatch(Path(name).stem)
    head, members = cfg.model.head, cfg.train_dataloader.dataset.datasets
    assert cfg.default_scope == 'mmpretrain'
    assert head.in_channels == WIDTHS[said['arch']]
    assert head.objective.get('form', 'iclip') == FORMS[said['loss']]
    assert head.objective.get('shard_classes', False) == (said['loss'] == 'iclip')
    assert head.objective.long_captions == 'shorten'
    assert (head.classifier.glosses is None) == (said['loss'] != 'iclip')
    assert int(said['gpus']) * int(said['batch']) == cfg.auto_scale_lr.base_batch_size
    assert cfg.train_dataloader.batch_size == int(said['batch'])
    assert cfg.train_cfg.max_epochs == int(said['epochs']) == cfg.param_scheduler[-1].end
    assert [one.name for one in members] == ['captioned', 'labelled'][: len(members)]
    if said['loss'] == 'clip':
        return
    shares = [int(said[key] or 100) / 100 for key in ('captioned', 'labelled')]
    captioned, labelled = (one.dataset for one in members)
    assert [captioned.get('fraction', 1), labelled.get('fraction', 1)] == shares
    assert cfg.train_dataloader.sampler.ratios == shares[0] / sum(shares)


def check_groups(runner):
    """Nothing of one dimension is decayed, nor the bias of positions."""
    groups = {id(p): group for group in runner.optim_wrapper.optimizer.param_groups for p in group['params']}
    for key, parameter in runner.model.named_parameters():
        bare = parameter.ndim < 2 or 'relative_position_bias_table' in key
        assert groups[id(parameter)]['weight_decay'] == (0 if bare else 0.1), key


@pytest.mark.parametrize('name', COMPUTED)
def test_computes_at_tiny_size(name, build):
    """Checks before a run, a batch with its shares, losses and gradients; a step of one of each kind."""
    runner = build(name)
    assert check_datasets(runner.cfg, ('train',)) == set()
    model = runner.model
    model.init_weights()
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    check_groups(runner)
    assert model.head.num_classes == (1000 if name.startswith('iclip/clip') else len(PAIRED_CLASSES))
    batch = next(iter(runner.train_loop.dataloader))
    share = runner.cfg.train_dataloader.sampler.ratios
    if share in (0.25, 0.5, 0.75):
        assert labels_of(batch) == Counter(caption=4 * share, label=4 - 4 * share)
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    sum(value for key, value in losses.items() if key.startswith('loss')).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert model.backbone.parameters().__next__().grad is not None


def test_the_rows_of_the_ratio_table_are_those_of_the_paper():
    """Table 1 of the supplementary, typed from it: YFCC %, ImageNet-1K, IR, TR."""
    table = {100: (30.1, 12.5, 21.2), 90: (40.9, 13.9, 25.5), 75: (43.9, 15.2, 27.5), 50: (45.9, 15.5, 27.2)}
    table |= {25: (44.8, 14.1, 27.1), 10: (44.2, 14.9, 25.9)}
    for share, numbers in table.items():
        loss, rest = ('clip', '') if share == 100 else ('iclip', f'-in21k{100 - share}')
        text = ' '.join((ROOT / f'iclip/{loss}_swin-t_yfcc{share}{rest}_32xb128-32e.py').read_text().split())
        said = re.search(
            r'Table 1, (\d+) % \+ \d+ %: ImageNet-1K top-1 ([\d.]+), MSCOCO IR ([\d.]+), TR ([\d.]+)', text
        )
        assert (int(said[1]), tuple(float(value.rstrip('.;')) for value in said.groups()[1:])) == (share, numbers)


def test_classes_of_one_name_are_told_apart_by_their_glosses(build):
    rows = build('iclip/iclip_swin-t_yfcc-in21k_32xb128-32e.py').model.head.class_rows
    assert rows.class_names == tuple(name for name, _ in PAIRED_CLASSES)
    assert rows.source.glosses == tuple((gloss,) for _, gloss in PAIRED_CLASSES)
