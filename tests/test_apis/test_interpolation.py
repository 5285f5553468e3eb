"""Interpolation of weights against the formula, and what it refuses."""

import copy

import numpy as np
import pytest
import torch
from interpolated import SEEN, UNSEEN, fine_tune, recognizer_config, start, state
from mmengine.config import Config
from mmengine.runner import Runner
from tiny import TINY_RESNET
from tiny_runs import write_dataset
from torch.nn.modules.batchnorm import _BatchNorm

from textxfer_mm.apis import config_of_checkpoint, interpolate, load_recognizer, score_videos, sweep
from textxfer_mm.apis.batch_norm import batch_norm_statistics, reestimate_batch_norm
from textxfer_mm.apis.interpolation import Interpolation
from textxfer_mm.engine.classes import rows_of, source_of
from textxfer_mm.engine.weight_pair import WeightPair
from textxfer_mm.errors import UserError

TRANSFORMER = dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=2)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('models')


@pytest.fixture(autouse=True)
def cache(folder, monkeypatch):
    monkeypatch.setenv('TEXTXFER_CACHE', str(folder / 'cache'))


@pytest.fixture(scope='module')
def vit(folder):
    """A config, and a checkpoint fine-tuned from its pre-trained weights."""
    cfg = recognizer_config(folder)
    return cfg, fine_tune(cfg, folder / 'vit.pth')


@pytest.fixture(scope='module')
def resnet(folder):
    cfg = recognizer_config(folder, TINY_RESNET)
    return cfg, fine_tune(cfg, folder / 'resnet.pth')


def others(name):
    """Whether a tensor is the fine-tuned model's whatever alpha is."""
    return 'class_rows' in name or name.endswith('num_batches_tracked')


@pytest.mark.parametrize('alpha', [0, 0.3, 0.5, 1])
@pytest.mark.parametrize('kind', ['vit', 'resnet'])
def test_weights_are_those_of_the_formula(kind, alpha, request):
    cfg, tuned = request.getfixturevalue(kind)
    before, after = start(cfg).state_dict(), state(tuned)
    found = interpolate('pretrained', tuned, alpha)['state_dict']
    assert list(found) == list(after)
    assert any(others(name) for name in found)
    for name, value in found.items():
        want = after[name] if others(name) else (1 - alpha) * before[name] + alpha * after[name]
        exact = dict(atol=0, rtol=0) if alpha in (0, 1) else dict(atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(value, want, msg=name, **exact)
        assert value.dtype == after[name].dtype


def test_a_checkpoint_is_as_good_as_the_word(vit, tmp_path):
    cfg, tuned = vit
    torch.save(
        dict(state_dict={f'module.{name}': value for name, value in start(cfg).state_dict().items()}),
        tmp_path / 'a.pth',
    )
    one, two = (interpolate(before, tuned, 0.3)['state_dict'] for before in ('pretrained', tmp_path / 'a.pth'))
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def test_what_is_written_loads_like_any_other(vit, tmp_path):
    cfg, tuned = vit
    out = tmp_path / 'half.pth'
    torch.save(interpolate('pretrained', tuned, 0.5), out)
    saved = torch.load(out, weights_only=True)
    assert set(saved) == {'state_dict', 'meta'}
    assert saved['meta']['epoch'] == 3
    assert saved['meta']['dataset_meta'] == dict(classes=SEEN)
    assert saved['meta']['interpolation']['alpha'] == 0.5
    model = load_recognizer(config_of_checkpoint(out), out, device='cpu')
    found = score_videos(model, cfg.val_dataloader)
    assert found.class_names == SEEN
    naive = start(cfg)
    with torch.no_grad():
        for name, parameter in naive.named_parameters():
            parameter.copy_((parameter + state(tuned)[name]) / 2)
    want = score_videos(naive, cfg.val_dataloader)
    torch.testing.assert_close(torch.tensor(found.values), torch.tensor(want.values), atol=1e-5, rtol=0)


def test_the_text_encoder_is_not_needed(vit, monkeypatch):
    """The rows of the checkpoint are the classifier: nothing is embedded for --alpha."""
    monkeypatch.setattr('textxfer_mm.classifiers.sources.TextClassifier.build', lambda self: pytest.fail('embedded'))
    assert interpolate('pretrained', vit[1], 0.5)['state_dict']


def test_a_config_for_a_checkpoint_that_holds_none(vit, tmp_path):
    cfg, tuned = vit
    bare, config = tmp_path / 'bare.pth', tmp_path / 'config.py'
    torch.save(state(tuned), bare)
    cfg.dump(config)
    with pytest.raises(UserError, match=r'bare\.pth holds no config.*--config FILE'):
        interpolate('pretrained', bare, 0.5)
    found = interpolate('pretrained', bare, 0.5, config=config)
    want = interpolate('pretrained', tuned, 0.5)['state_dict']
    assert all(torch.equal(value, want[name]) for name, value in found['state_dict'].items())
    assert found['meta']['cfg'] == Config.fromfile(config).pretty_text
    assert interpolate(bare, bare, 0.5)['state_dict'].keys() == want.keys()  # nothing of a config is asked for


def test_masks_half_precision_and_counters():
    mask = torch.full((2, 2), -torch.inf).triu(1)
    before = dict(mask=mask, half=torch.tensor([1.0]), count=torch.tensor(1), same=torch.tensor([0.1]))
    after = dict(
        mask=mask, half=torch.tensor([2.0], dtype=torch.float16), count=torch.tensor(5), same=torch.tensor([0.1])
    )
    pair = WeightPair(before, after, ('a', 'b'))
    for alpha in (0, 0.25, 0.9, 1):
        found = pair.at(alpha)
        assert torch.equal(found['mask'], mask)
        assert (found['half'].dtype, found['half'].item()) == (torch.float16, pytest.approx(1 + alpha, abs=1e-3))
        assert found['count'].item() == 5
        assert torch.equal(found['same'], before['same'])
    for alpha in (-0.1, 1.1, float('nan')):
        with pytest.raises(UserError, match='alpha goes from 0, the pre-trained model, to 1'):
            pair.at(alpha)


def test_a_module_that_does_not_exist_pre_trained(folder, vit, tmp_path):
    cfg = recognizer_config(folder, neck=TRANSFORMER)
    tuned = fine_tune(cfg, tmp_path / 'ttrans.pth')
    with pytest.raises(UserError, match=r"config's pre-trained weights do not hold neck \(TemporalTransformer\): "):
        interpolate('pretrained', tuned, 0.5)
    with pytest.raises(UserError, match=r'vit\.pth lacks neck \(TemporalTransformer\): .*TAP in the place of T-Trans'):
        interpolate(vit[1], tuned, 0.5)
    first = fine_tune(cfg, tmp_path / 'first.pth', seed=2)
    assert interpolate(first, tuned, 0.5)
    cfg.load_from = str(first)  # the fine-tuning began from a model that has it
    torch.save(dict(state_dict=state(tuned), meta=dict(cfg=cfg.pretty_text)), tuned)
    found = interpolate('pretrained', tuned, 0)['state_dict']
    assert all(torch.equal(value, state(first)[name]) for name, value in found.items() if 'class_rows' not in name)


def test_weights_that_begin_at_random(vit, tmp_path):
    cfg, tuned = vit
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone.pretrained = None
    torch.save(dict(state_dict=state(tuned), meta=dict(cfg=cfg.pretty_text)), tmp_path / 'random.pth')
    with pytest.raises(UserError, match=r'do not hold backbone \(CLIPBackbone\): what begins untrained'):
        interpolate('pretrained', tmp_path / 'random.pth', 0.5)


def test_two_architectures(vit, resnet, tmp_path):
    with pytest.raises(UserError, match=r'are two architectures, so there is nothing between them: backbone\.') as told:
        interpolate(vit[1], resnet[1], 0.5)
    assert 'in all)' in str(told.value)
    assert '\n' not in str(told.value)
    weights = state(vit[1])
    weights['backbone.visual.proj'] = weights['backbone.visual.proj'][:, :8]
    torch.save(weights, tmp_path / 'narrow.pth')
    with pytest.raises(UserError, match=r'backbone\.visual\.proj \(64, 8\) against \(64, 32\)\. Give the checkpoint'):
        interpolate(tmp_path / 'narrow.pth', vit[1], 0.5)


def test_a_run_that_diverged(vit, tmp_path):
    weights = state(vit[1])
    weights['backbone.visual.proj'][0, 0] = torch.nan
    torch.save(weights, tmp_path / 'nan.pth')
    with pytest.raises(UserError, match=r'nan\.pth holds weights that are not finite'):
        interpolate(vit[1], tmp_path / 'nan.pth', 0.5)


def test_rows_of_a_text_tower_are_made_again(folder, tmp_path):
    cfg = recognizer_config(folder)
    cfg.model.cls_head.type = 'VideoTextMatchingHead'
    tuned = fine_tune(cfg, tmp_path / 'online.pth')
    found = interpolate('pretrained', tuned, 0.5)['state_dict']
    model = start(cfg)
    before, after = model.state_dict(), state(tuned)
    name = 'cls_head.class_rows.tower.model.text_projection'
    torch.testing.assert_close(found[name], (before[name] + after[name]) / 2)
    with torch.no_grad():
        for key, parameter in model.cls_head.class_rows.tower.named_parameters():
            parameter.copy_(found[f'cls_head.class_rows.tower.{key}'])
    want = model.cls_head.class_rows.make().weight
    torch.testing.assert_close(found['cls_head.class_rows.weight'], want, atol=1e-5, rtol=0)
    assert not torch.allclose(want, after['cls_head.class_rows.weight'], atol=1e-3)
    whole = interpolate('pretrained', tuned, 1)['state_dict']
    assert torch.equal(whole['cls_head.class_rows.weight'], after['cls_head.class_rows.weight'])


def test_rows_that_were_trained(folder, vit, tmp_path):
    cfg = recognizer_config(folder, head=dict(frozen=False))
    tuned = fine_tune(cfg, tmp_path / 'unfrozen.pth')
    name = 'cls_head.class_rows.weight'
    text, trained = start(cfg).state_dict()[name], state(tuned)[name]
    found = interpolate('pretrained', tuned, 0.25)['state_dict'][name]
    torch.testing.assert_close(found, 0.75 * text + 0.25 * trained)
    cfg.model.cls_head.classifier.class_names = ['red', 'green']
    other = fine_tune(cfg, tmp_path / 'other.pth')
    with pytest.raises(UserError, match=r'rows of .*unfrozen\.pth were trained, for dark, bright, .* red, green'):
        interpolate(other, tuned, 0.5)


def test_learned_prompts_begin_untrained(folder, tmp_path):
    cfg = recognizer_config(folder)
    cfg.model.cls_head.type = 'LearnablePromptHead'
    tuned = fine_tune(cfg, tmp_path / 'prompts.pth')
    with pytest.raises(UserError, match=r'do not hold cls_head\.class_rows\.context: '):
        interpolate('pretrained', tuned, 0.5)


@pytest.mark.parametrize('frozen', [-1, 2])
def test_batch_norm_is_estimated_on_training_videos(resnet, folder, frozen):
    """The mean over batches of their means and unbiased variances, layer after layer, without any momentum."""
    cfg, tuned = copy.deepcopy(resnet[0]), resnet[1]
    cfg.model.backbone.frozen_stages = frozen
    ends = Interpolation('pretrained', tuned)
    plain = ends.pair.at(0.5)
    ends._config = cfg
    found = Interpolation.checkpoint(ends, 0.5, batch_norm=cfg.train_dataloader, device='cpu')
    assert found['meta']['interpolation']['batch_norm'] == 'estimated'
    model = start(cfg)
    model.load_state_dict(plain)
    shuffled = {**cfg.train_dataloader.to_dict(), 'sampler': dict(type='DefaultSampler', shuffle=True)}
    batches = list(Runner.build_dataloader(shuffled, seed=0))
    layers = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    seen = {name: [] for name in layers}
    model.eval()
    for name, module in layers.items():
        module.train()
        module.register_forward_pre_hook(lambda _, args, name=name: seen[name].append(args[0].detach()))
    with torch.no_grad():
        for batch in batches:
            model.test_step(batch)
    assert len(batches) == 2
    for name in layers:
        channels = [x.transpose(0, 1).flatten(1) for x in seen[name]]  # (C, N * H * W) of each batch
        for key, want in (('mean', [x.mean(1) for x in channels]), ('var', [x.var(1) for x in channels])):
            value = found['state_dict'][f'{name}.running_{key}']
            torch.testing.assert_close(value, sum(want) / 2, atol=1e-5, rtol=1e-4)
            assert not torch.allclose(value, plain[f'{name}.running_{key}'], atol=1e-3)
    rest = [name for name in plain if not name.endswith(('running_mean', 'running_var', 'num_batches_tracked'))]
    assert all(torch.equal(found['state_dict'][name], plain[name]) for name in rest)


def test_batch_norm_leaves_out_what_cannot_be_decoded(resnet, folder, monkeypatch):
    said = []
    monkeypatch.setattr('textxfer_mm.apis.encoding.print_log', lambda line, **_: said.append(line))
    cfg, tuned = copy.deepcopy(resnet[0]), resnet[1]
    write_dataset(folder / 'damaged', good=2, corrupt=['empty', 'text'])
    cfg.train_dataloader.dataset.update(
        ann_file=str(folder / 'damaged' / 'list.txt'), data_prefix=dict(video=str(folder / 'damaged'))
    )
    cfg.train_dataloader.batch_size = 8
    models = [start(cfg), start(cfg)]
    models[1].load_state_dict(state(tuned))
    alone = copy.deepcopy(models)
    reestimate_batch_norm(models, cfg.train_dataloader)
    assert '2 of 4 videos could not be decoded and are left out:' in said[0]
    lines = (folder / 'damaged' / 'list.txt').read_text().splitlines()
    (folder / 'damaged' / 'sound.txt').write_text('\n'.join(line for line in lines if 'good' in line))
    cfg.train_dataloader.dataset.ann_file = str(folder / 'damaged' / 'sound.txt')
    for model, one in zip(models, alone, strict=True):
        reestimate_batch_norm([one], cfg.train_dataloader)
        for name in batch_norm_statistics(model):
            torch.testing.assert_close(model.state_dict()[name], one.state_dict()[name])
    assert len(said) == 1
    (folder / 'damaged' / 'sound.txt').write_text('\n'.join(line for line in lines if 'good' not in line))
    with pytest.raises(UserError, match='None of the 2 videos could be decoded'):
        reestimate_batch_norm([alone[0]], cfg.train_dataloader)


def test_batch_norm_of_a_vit(vit):
    cfg, tuned = vit
    with pytest.raises(UserError, match='no statistics of BatchNorm to estimate'):
        Interpolation('pretrained', tuned).checkpoint(0.5, batch_norm=cfg.train_dataloader, device='cpu')


@pytest.fixture(scope='module')
def unseen(vit, folder):
    """The dataloader of videos of two other classes."""
    loader = copy.deepcopy(vit[0].val_dataloader)
    loader.dataset.ann_file = str(write_dataset(folder / 'unseen', good=3))
    loader.dataset.data_prefix = dict(video=str(folder / 'unseen'))
    return loader


def test_a_sweep_is_a_test_of_each_model(vit, unseen, tmp_path):
    cfg, tuned = vit
    told = []
    found = sweep(
        *(Interpolation('pretrained', tuned), cfg.val_dataloader, unseen, UNSEEN),
        alphas=(0.5, 0, 0.5),
        device='cpu',
        progress=lambda *what: told.append(what),
    )
    assert [point.alpha for point in found.points] == [0, 0.5]
    assert (found.seen_names, found.unseen_names, found.videos) == (SEEN, UNSEEN, (4, 3))
    assert told == [('seen', 2, 4), ('seen', 4, 4), ('unseen', 2, 3), ('unseen', 3, 3)]  # once for both models
    point = found.points[1]
    torch.save(interpolate('pretrained', tuned, point.alpha), tmp_path / 'model.pth')
    model = load_recognizer(config_of_checkpoint(tmp_path / 'model.pth'), tmp_path / 'model.pth', device='cpu')
    right, rows = {}, {}
    for names, loader, what in ((SEEN, cfg.val_dataloader, 'seen'), (UNSEEN, unseen, 'unseen')):
        rows_of(model).replace(source_of(cfg, names).build())
        right[what] = score_videos(model, loader).top(1)
        rows_of(model).replace(source_of(cfg, (*SEEN, *UNSEEN)).build())
        scores = score_videos(model, loader)
        rows[what] = np.log(scores.values), scores.labels + (len(SEEN) if what == 'unseen' else 0)
        right[f'{what}_among_all'] = stacked(*rows[what], 0)
    assert {key: getattr(point, key) for key in right} == pytest.approx(right)
    assert point.harmonic_mean == pytest.approx(mean_of(right['seen_among_all'], right['unseen_among_all']))
    reached = [tuple(stacked(*rows[what], by) for what in ('seen', 'unseen')) for by in np.linspace(-99, 99, 4001)]
    assert (point.stacked_seen, point.stacked_unseen) in reached
    assert point.stacked_harmonic_mean == pytest.approx(max(mean_of(*pair) for pair in reached))
    assert 0 <= point.area <= 1
    curves = found.curves()
    assert curves['all names competing'][1] == [point.unseen_among_all for point in found.points]


def test_a_sweep_over_some_classes_of_a_list(vit, unseen, folder):
    """As the configs that train on 300 of 400 classes have it: labels of the list that are none of the model."""
    cfg, tuned = vit
    loader = copy.deepcopy(cfg.val_dataloader)
    lines = (folder / 'videos' / 'list.txt').read_text().splitlines()
    (folder / 'videos' / 'more.txt').write_text('\n'.join([*lines, 'good0.mp4 7']))
    loader.dataset.ann_file = str(folder / 'videos' / 'more.txt')
    some = dict(type='ClassSubsetDataset', classes=[0, 1], dataset=loader.dataset)
    ends, alphas = Interpolation('pretrained', tuned), dict(alphas=[1], device='cpu')
    want = sweep(ends, cfg.val_dataloader, unseen, UNSEEN, **alphas)
    assert sweep(ends, dict(loader, dataset=some), unseen, UNSEEN, **alphas) == want
    with pytest.raises(UserError, match='list of seen classes has label 7, and there are 2 seen names'):
        sweep(ends, loader, unseen, UNSEEN, **alphas)


def stacked(logits, labels, constant):
    """Top-1 with a constant taken off the logits of the seen names, which come first."""
    return float(((logits - constant * (np.arange(4) < 2)).argmax(1) == labels).mean())


def mean_of(a, b):
    return 2 * a * b / (a + b) if a + b else 0.0


def test_mistakes_of_a_sweep(vit, unseen, folder, tmp_path):
    cfg, tuned = vit
    ends = Interpolation('pretrained', tuned)
    with pytest.raises(UserError, match='1 of the 2 unseen classes were trained on: bright'):
        sweep(ends, cfg.val_dataloader, unseen, ['grey', 'bright'])
    with pytest.raises(UserError, match=r'list of unseen classes has label 1, and there are 1 unseen names'):
        sweep(ends, cfg.val_dataloader, unseen, ['grey'])
    with pytest.raises(UserError, match='alpha goes from 0'):
        sweep(ends, cfg.val_dataloader, unseen, UNSEEN, alphas=[2])
    with pytest.raises(UserError, match='needs at least one alpha'):
        sweep(ends, cfg.val_dataloader, unseen, UNSEEN, alphas=[])
    learned = copy.deepcopy(cfg)
    learned.model.cls_head = dict(type='I3DHead', num_classes=2, in_channels=32, average_clips='prob')
    one = fine_tune(learned, tmp_path / 'linear.pth')
    with pytest.raises(UserError, match=r'linear\.pth knows no class names: its classifier is a learned layer'):
        sweep(Interpolation(one, one), cfg.val_dataloader, unseen, UNSEEN)
    with pytest.raises(UserError, match=r'do not hold cls_head \(I3DHead\): '):
        interpolate('pretrained', one, 0.5)
