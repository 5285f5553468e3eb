"""A model card tells how to use a model: what it shows is run here."""

import re
import shlex

import pytest
import torch
from exported_models import NAMES, TINY_VIT, built, run, video_config
from huggingface_hub import ModelCard
from tiny_runs import write_video

from textxfer_mm.apis import Recognizer

TEXT = dict(type='TextClassifier', encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT))
TWO = dict(
    type='MultiDatasetTextHead',
    in_channels=32,
    classifier=TEXT,
    datasets=dict(one=dict(class_names=['a cat', 'a dog']), two=dict(class_names=['red', 'green', 'blue'])),
    informative_weight=0.0,
)


def saved(file, head=None, *, with_config=True):
    """A checkpoint, with its config in it or beside it."""
    cfg = video_config(TINY_VIT)
    cfg.model.cls_head = head or cfg.model.cls_head
    model = built(cfg)
    meta = dict(cfg=model.cfg.pretty_text) if with_config else {}
    torch.save(dict(state_dict=model.state_dict(), meta=meta), file)
    model.cfg.dump(file.with_suffix('.py'))
    return file


def shown(card, language):
    """The lines of a block."""
    return re.search(rf'```{language}\n(.*?)```', card.text, re.DOTALL)[1].splitlines()


@pytest.mark.parametrize(
    ('head', 'with_config', 'options'),
    [
        (None, True, []),
        (None, False, ['--config', "who's model.py"]),
        (TWO, True, ['--dataset', 'two']),
    ],
    ids=['its own config', 'a config beside it', 'several datasets'],
)
def test_the_commands_it_shows_run(tmp_path, monkeypatch, head, with_config, options):
    monkeypatch.chdir(tmp_path)
    file = saved(tmp_path / "who's model.pth", head, with_config=with_config)
    write_video(tmp_path / 'a.mp4')
    made = run('card', file.name, *options)
    assert made.exit_code == 0, made.output
    card = ModelCard.load(tmp_path / 'README.md')
    assert 'zero-shot' in card.data.tags
    own, other = (shlex.split(line.replace('VIDEO', 'a.mp4'))[1:] for line in shown(card, 'bash'))
    for command, label in ((own, 'green' if head else NAMES[0]), (other, 'zero-shot')):
        done = run(*command)
        assert done.exit_code == 0, done.output
        assert label in done.output
    namespace = {}
    exec('\n'.join(line for line in shown(card, 'python') if 'video.mp4' not in line), namespace)
    assert isinstance(namespace['recognizer'], Recognizer)


def test_which_of_several_datasets_must_be_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = run('card', saved(tmp_path / 'a.pth', TWO).name)
    assert made.exit_code == 2
    assert '--dataset of the commands' in made.output
    assert not (tmp_path / 'README.md').exists()


def test_rows_of_no_names_are_not_called_open(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = dict(type='RandomClassifier', class_names=NAMES, embed_dims=32)
    file = saved(tmp_path / 'a.pth', dict(type='TextEmbeddingHead', in_channels=32, classifier=drawn))
    assert run('card', file.name).exit_code == 0
    card = ModelCard.load(tmp_path / 'README.md')
    assert card.data.tags == ['mmaction2']
    assert shown(card, 'bash') == ['textxfer predict VIDEO --checkpoint a.pth']
