"""What is trained by the runner: the whole model of a folder, and the configs that are handed out."""

import copy
import re
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny_runs import run_config
from typer.testing import CliRunner

from textxfer_mm.apis import load_config, load_recognizer, predict_videos
from textxfer_mm.apis.folder_training import TrainingSettings, finetuning, folds, recipes, run, train_folder, trained
from textxfer_mm.apis.folder_training.building import Building
from textxfer_mm.apis.folder_training.recipes import whole_recipe
from textxfer_mm.apis.folder_training.starting import starting_point
from textxfer_mm.apis.folder_training.videos import read_videos
from textxfer_mm.apis.model_configs import config_of_checkpoint
from textxfer_mm.cli.main import app
from textxfer_mm.engine.runners import build_runner, require_full_checkpoint
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS

WHOLE = 'whole model, fine-tuned'


@pytest.fixture(scope='module')
def place(class_folders, tmp_path_factory):
    """The sound folders; the features of the first run here are found by all others."""
    return shutil.copytree(class_folders, tmp_path_factory.mktemp('finetune') / 'place')


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One repeat of two folds and few steps."""
    monkeypatch.setattr(folds, 'REPEATS', 1)
    monkeypatch.setattr(folds, 'FOLDS', 2)
    monkeypatch.setattr(trained, '_STEPS', (0, 5))
    monkeypatch.setattr(trained, '_EPOCHS', (0, 2))
    for module in (recipes, finetuning):
        monkeypatch.setattr(module, 'EPOCHS', 2)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Only the linear probe and zero-shot, and what a test adds."""
    wanted, every = {'linear probe', 'zero-shot by the class names'}, Building.candidates
    monkeypatch.setattr(Building, 'candidates', lambda *args: [one for one in every(*args) if one.title in wanted])
    return wanted


def settings(place, **options):
    given = dict(start=dict(config=place / 'clip.py'), out=place / 'out', check=False)
    return TrainingSettings(place / 'sound', **{**given, **options})


def winner(title):
    """A choice of one candidate, whoever was better."""
    return lambda found: next((one for one in found if one.candidate.title == title), found[0])


def trained_again(out):
    """What tools/train.py makes of the config, and the runner."""
    cfg = load_config(out / 'config.py')
    cfg.work_dir = str(out / 'again')
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].num_workers = 0
    runner = build_runner(cfg)
    before = {}
    runner.register_hook(Remember(before), priority='LOWEST')
    runner.train()
    return runner, before


class Remember(Hook):
    """Copies the weights that training starts from."""

    def __init__(self, before):
        self.before = before

    def before_train_epoch(self, runner):
        if not self.before:
            self.before.update({name: value.clone() for name, value in runner.model.state_dict().items()})


def moved(runner, before):
    """The parts of a model whose weights training has changed."""
    after = runner.model.state_dict()
    return {'.'.join(name.split('.')[:2]) for name, value in before.items() if not torch.equal(value, after[name])}


def test_the_whole_model_is_trained_and_handed_out(place, monkeypatch):
    monkeypatch.setattr(run, 'choose', winner(WHOLE))
    said, told = [], []
    report = train_folder(settings(place, finetune=True), say=said.append, progress=lambda *step: told.append(step))
    out, text = place / 'out', '\n'.join(said)
    assert WHOLE in next(line for line in said if line.startswith('candidates:'))
    number = r'whole model: 3 runs, the last only if it is the best; 2 epochs of 3 steps each, about [\d.]+ min in all'
    assert re.search(number, text)
    assert {step for step, *_ in told} >= {f'Fine-tuning, run {n} of 3' for n in (1, 2, 3)}
    entry = next(entry for entry in report['candidates'] if entry['title'] == WHOLE)
    assert (report['kept'], entry['folds'], len(entry['settings'])) == (WHOLE, 2, 2)
    assert report['seconds']['fine-tuning the whole model'] > 0
    assert (out / 'finetune.log').is_file()
    assert not (out / 'finetune').exists()
    cfg = load_config(out / 'config.py')
    cfg.load_from, cfg.work_dir = str(out / 'model.pth'), str(out / 'test')
    cfg.test_dataloader.num_workers = 0
    runner = build_runner(cfg)
    require_full_checkpoint(runner)
    assert runner.test()['acc/top1'] == pytest.approx(report['tested']['accuracy'], abs=1e-6)
    model = load_recognizer(config_of_checkpoint(out / 'model.pth'), out / 'model.pth', device='cpu')
    videos = read_videos(place / 'sound')
    right = [
        found.top(1)[0][0] == videos.class_names[label]
        for found, label in zip(predict_videos(model, videos.files), videos.labels, strict=True)
    ]
    assert sum(right) / len(right) == pytest.approx(report['tested']['accuracy'])
    clip = MODELS.build(load_config(place / 'clip.py').model.backbone)
    clip.init_weights()
    weights = dict(model.backbone.named_parameters())
    assert any(not torch.equal(weights[name], value) for name, value in clip.named_parameters())
    runner, before = trained_again(out)
    assert moved(runner, before) == {'backbone.visual', 'cls_head.cosine'}
    rates = {group['initial_lr'] for group in runner.optim_wrapper.param_groups}
    assert sorted(rates) == pytest.approx([5e-6, 5e-5])


@pytest.mark.parametrize(
    ('title', 'parts'),
    [
        ('linear probe', {'cls_head.projection'}),
        ('cosine classifier from the text rows', {'cls_head.class_rows', 'cls_head.cosine'}),
        ('temporal module on frame features', {'neck.layers', 'cls_head.class_rows', 'cls_head.cosine'}),
        ('Tip-Adapter', {'cls_head.cache'}),
    ],
)
def test_its_config_trains_a_candidate_again(place, monkeypatch, few, title, parts):
    few.add(title)
    if title == 'linear probe':
        monkeypatch.setattr(recipes, 'EPOCHS', 15)
    monkeypatch.setattr(run, 'choose', winner(title))
    train_folder(settings(place))
    runner, before = trained_again(place / 'out')
    assert moved(runner, before) == parts
    if title == 'Tip-Adapter':
        assert before['cls_head.cache.keys'].shape == (18, 32)  # read from its file
    if title == 'linear probe':
        losses = runner.message_hub.get_scalar('train/loss').data[0]
        assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_ctrl_c_keeps_the_best_of_the_others(place, monkeypatch):
    def interrupted(self, cfg, title):
        if title != 'Timing a step':
            raise KeyboardInterrupt
        return None, finetuning.History([0.0] * 3, [0.0] * 3, [0.1] * 3, [], [])

    monkeypatch.setattr(finetuning.WholeModel, '_train', interrupted)
    said = []
    report = train_folder(settings(place, finetune=True), say=said.append)
    assert WHOLE not in [entry['title'] for entry in report['candidates']]
    assert 'stopped: the whole model is left out, the best of the others is kept' in said
    assert (place / 'out' / 'model.pth').is_file()


def test_ctrl_c_in_the_last_training_keeps_the_next_best(place, monkeypatch):
    calls = []

    def third_is_interrupted(self, samples, seed):
        calls.append(len(samples.labels))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return finetuning.Fitted(lambda given: torch.eye(3)[given.labels], {}, {})

    monkeypatch.setattr(finetuning.WholeModel, 'fit', third_is_interrupted)
    monkeypatch.setattr(finetuning.WholeModel, 'announce', lambda *_: '')
    monkeypatch.setattr(run, 'choose', winner(WHOLE))
    said = []
    report = train_folder(settings(place, finetune=True), say=said.append)
    assert calls == [9, 9, 18]
    assert report['kept'] == 'zero-shot by the class names'
    assert any('is not trained to the end' in line for line in said)


def test_what_was_trained_last_is_not_trained_again(tmp_path, monkeypatch):
    """After a single split the winner was trained on these very videos, and with this seed."""
    trainings = []

    def told(self, cfg, title):
        trainings.append(title)
        return torch.nn.Module(), finetuning.History([0.5], [0.0], [0.1], [], [])

    monkeypatch.setattr(finetuning.WholeModel, '_train', told)
    monkeypatch.setattr(finetuning.WholeModel, '_cfg', lambda *_: None)
    whole = finetuning.WholeModel(Config(), tmp_path, lambda *_: None)
    files = np.array([f'{n}.mp4' for n in range(4)])
    samples = finetuning.Samples(torch.zeros(4, 1, 2), torch.tensor([0, 1, 0, 1]), np.arange(4), files=files)
    first = whole.fit(samples, 0)
    assert whole.fit(samples.at(np.arange(4)), 0) is first
    assert whole.fit(samples, 1) is not first
    assert whole.fit(samples.at(np.arange(3)), 1) is not first
    assert whole.fit(samples, 0) is not first
    assert len(trainings) == 4


def test_a_training_that_fails_costs_the_whole_model_alone(place, monkeypatch):
    def fails(self, cfg, title):
        raise UserError('The loss is nan.')

    monkeypatch.setattr(finetuning.WholeModel, '_train', fails)
    said = []
    report = train_folder(settings(place, finetune=True), say=said.append)
    assert 'the whole model is left out: The loss is nan.' in said
    assert report['kept'] != WHOLE


def test_without_a_gpu_it_is_not_trained_unless_asked_for(place, monkeypatch):
    assert not settings(place).trains_whole_model
    assert settings(place, finetune=True, device='cpu').trains_whole_model
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert settings(place).trains_whole_model
    assert not settings(place, finetune=False).trains_whole_model
    assert not settings(place, device='cpu').trains_whole_model
    with pytest.raises(UserError, match='--finetune trains on cuda here, not on --device cpu'):
        settings(place, finetune=True, device='cpu').trains_whole_model  # noqa: B018


def test_a_stock_checkpoint_is_where_training_again_starts(place, tmp_path, monkeypatch):
    cfg = Config(run_config(tmp_path / 'list.txt', tmp_path / 'run'))
    cfg.test_pipeline = cfg.test_dataloader.dataset.pipeline
    for split in ('train', 'val', 'test'):
        cfg.pop(f'{split}_dataloader')
    cfg.dump(tmp_path / 'tsn.py')
    torch.manual_seed(5)
    state = MODELS.build(copy.deepcopy(cfg.model)).state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'tsn.pth')
    start = dict(config=tmp_path / 'tsn.py', checkpoint=tmp_path / 'tsn.pth')
    monkeypatch.setattr(run, 'choose', winner('linear probe'))
    train_folder(settings(place, start=start, out=tmp_path / 'out'))
    runner, before = trained_again(tmp_path / 'out')
    assert moved(runner, before) == {'cls_head.projection'}
    for name, value in state.items():
        if name.startswith('backbone.'):
            assert torch.equal(before[name], value), name
    monkeypatch.setattr(run, 'choose', winner(WHOLE))
    report = train_folder(settings(place, start=start, out=tmp_path / 'out', finetune=True))
    assert report['kept'] == WHOLE
    runner, before = trained_again(tmp_path / 'out')
    assert all(torch.equal(before[name], value) for name, value in state.items() if name.startswith('backbone.'))
    assert any(part.startswith('backbone.') for part in moved(runner, before))


def test_recipes_of_the_packaged_model_and_of_clip(place):
    packaged = whole_recipe(starting_point(['walking', 'running']), ['walking', 'running'], 1280)
    assert packaged.train_cfg.max_epochs == 15
    assert packaged.model.cls_head.classifier.class_names == ['walking', 'running']
    assert 'Flip' in [step['type'] for step in packaged.train_pipeline]
    names = ['walking to the left', 'walking to the right']
    assert 'Flip' not in [step['type'] for step in whole_recipe(starting_point(names), names, 1280).train_pipeline]
    clip = whole_recipe(starting_point(['a', 'b'], config=place / 'clip.py'), ['a', 'b'], 32)
    steps = [step['type'] for step in clip.train_pipeline]
    assert steps[3:6] == ['RandomResizedCrop', 'Resize', 'Flip']
    assert not any('test_mode' in step for step in clip.train_pipeline)
    assert any('test_mode' in step for step in clip.test_pipeline)


def test_the_option_reaches_the_run(place, tmp_path, monkeypatch):
    seen = []

    def stop(settings, **_):
        seen.append(settings.finetune)
        raise UserError('enough')

    monkeypatch.setattr('textxfer_mm.apis.folder_training.train_folder', stop)
    for flag in ((), ('--finetune',), ('--no-finetune',)):
        CliRunner().invoke(app, ['train', str(place / 'sound'), '--out', str(tmp_path), *flag])
    assert seen == [None, True, False]
