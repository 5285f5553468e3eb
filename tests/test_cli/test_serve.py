"""``textxfer serve``: mistakes in one line, and an end that leaves nothing."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from exported_models import TINY_VIT, built, video_config
from tiny_images import ARCH
from tiny_runs import write_video
from torch import nn
from typer.testing import CliRunner

from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.cli.main import app
from textxfer_mm.cli.serve import _chosen, _load, _named
from textxfer_mm.web import server

pytest.importorskip('gradio', reason='gradio is not installed: pip install "textxfer_mm[web]"')
httpx = pytest.importorskip('httpx')


def run(*args):
    result = CliRunner().invoke(app, ['serve', *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def one_line(result):
    assert result.exit_code == 2, result.output
    (line,) = result.output.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--checkpoint', 'none.pth'), 'checkpoint none.pth does not exist.'),
        (('--config', 'none.py'), 'config none.py does not exist.'),
        (('--model', 'ViT-B-33'), "ViT-B-33 cannot be served: Unknown CLIP architecture 'ViT-B-33'. Did you mean"),
        (('--pretrained', 'openai'), '--pretrained are the weights of --model'),
        (('--device', 'gpu'), '--device gpu is no device'),
        (('--dataset', 'ucf101'), '--dataset chooses among the datasets of a trained model: give its --checkpoint.'),
        (('--allow-host', 'müller.example'), '--allow-host müller.example: give the name of a host alone, such as'),
        (
            ('--allow-host', 'a.example', '--host', '0.0.0.0', '--port', 0),
            '--allow-host has no effect with --host 0.0.0.0, which',
        ),
        (('--allow-host', 'http://a.example'), '--allow-host http://a.example: give the name of a host alone, such as'),
        (('--max-size', 'inf'), '--max-size inf is no size: give a number of megabytes.'),
        (('--keep', 'inf'), '--keep inf is no length of time'),
        (('--videos', 'none'), '--videos none does not exist: give a folder of videos.'),
        (('--labels', 'a,a'), 'Duplicate class names'),
        (('--labels', 'a.txt'), '--labels a.txt looks like a file: give the labels themselves, with commas between'),
        (('--host', '203.0.113.1'), '--host 203.0.113.1 is no address of this machine'),
        (('--host', 'no such host'), '--host no such host is no address of this machine'),
    ],
)
def test_mistakes(options, message):
    port = ('--port', 0)
    assert message in one_line(run(*options, *port))


@pytest.mark.parametrize('command', ['serve', 'timeline', 'search', 'train'])
def test_only_predict_offers_exported_models(command):
    """The others refuse them."""
    helped = {}
    for name in (command, 'predict'):
        output = CliRunner().invoke(app, [name, '--help']).output
        helped[name] = ' '.join(output.replace('\u2502', ' ').split())
    assert 'A CLIP model instead' in helped[command]
    assert 'exported model' not in helped[command]
    assert 'weights; or an exported model' in helped['predict']


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f'--port {port} is in use: give another one, or 0' in one_line(run('--port', port))


@pytest.mark.parametrize(
    ('files', 'names'),
    [
        (['runs/waving/model.pth'], ['waving']),
        (['a/epoch_15.pth', 'b/best_acc_top1_epoch_3.pth', 'c/last.pth'], ['a', 'b', 'c']),
        (['a/models.pth'], ['models']),
        (['a/model.pth', 'a/best.pth', 'b/model.pth'], ['a/model', 'a/best', 'b']),
        (['a/x.pth', 'b/x.pth', 'b/y.pth'], ['a/x', 'b/x', 'y']),
        (['1/a/x.pth', '2/a/x.pth', 'b/x.pth'], ['1/a/x.pth', '2/a/x.pth', 'b/x']),
    ],
)
def test_checkpoints_are_called_by_what_tells_them_apart(files, names):
    assert {name: str(path) for name, path in _named(list(map(Path, files))).items()} == dict(
        zip(names, files, strict=True)
    )


def test_a_checkpoint_in_the_current_folder_is_called_by_it(tmp_path, monkeypatch):
    folder = tmp_path / 'jumping'
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert list(_named([Path('model.pth')])) == ['jumping']


def test_without_gradio(monkeypatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    assert 'pip install "textxfer_mm[web]"' in one_line(run())


def test_a_checkpoint_that_cannot_be_served(tmp_path):
    torch.save(dict(state_dict={'a': torch.zeros(1)}), tmp_path / 'bare.pth')
    line = one_line(run('--checkpoint', tmp_path / 'bare.pth', '--port', 0))
    assert line.startswith('error: bare cannot be served: ')


def test_a_model_of_several_datasets_is_served_by_the_classes_of_one(tmp_path):
    text = dict(type='TextClassifier', encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT))
    classes = dict(one=dict(class_names=['a cat', 'a dog']), two=dict(class_names=['red', 'green', 'blue']))
    cfg = video_config(TINY_VIT)
    cfg.model.cls_head = dict(type='MultiDatasetTextHead', in_channels=32, classifier=text, datasets=classes)
    cfg.model.cls_head.informative_weight = 0.0
    model, file = built(cfg), tmp_path / 'two.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=model.cfg.pretty_text)), file)
    write_video(tmp_path / 'a.mp4')
    line = one_line(run('--checkpoint', file, '--port', 0))
    assert line.startswith('error: two cannot be served: The model has the class rows of several datasets')
    assert '--dataset of the commands' in line
    (given,) = _chosen([file], None, None, None, 'two').values()
    served = _load('two', given, 'cpu')
    assert served.own_labels == ('red', 'green', 'blue')
    assert served.answer(tmp_path / 'a.mp4', ['a', 'b']).prediction.class_names == ('a', 'b')
    assert served.answer(tmp_path / 'a.mp4').prediction.class_names == ('red', 'green', 'blue')


def test_the_packaged_model_says_in_each_answer_how_weak_it_is(monkeypatch):
    monkeypatch.setattr('textxfer_mm.apis.chosen_model.load_chosen', lambda **given: None)
    monkeypatch.setattr('textxfer_mm.apis.recognizer.Recognizer', lambda model: SimpleNamespace(model=nn.Identity()))
    assert _load('packaged model', {}, None).remark == (
        'The packaged model sees objects rather than motion, and is far weaker than CLIP.'
    )
    assert _load('mine', dict(checkpoint=Path('mine.pth')), None).remark == ''


@pytest.mark.parametrize(
    ('host', 'is_open'),
    [
        *((name, False) for name in ('127.0.0.1', '127.0.0.2', '::1', 'localhost', 'LOCALHOST')),
        *((name, True) for name in ('0.0.0.0', '::', '10.1.2.3')),
    ],
)
def test_who_can_open_the_page(host, is_open):
    assert server.is_open_to_others(host) == is_open


def test_it_serves_until_it_is_ended_and_leaves_nothing(tmp_path):
    """A process of its own, ended by SIGTERM."""
    cfg = clip_zero_shot_config(ARCH, None, ['waving', 'clapping'], num_frames=4)
    cfg.dump(tmp_path / 'zero_shot.py')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    code = 'from textxfer_mm.cli.main import main; main()'
    words = ['-c', code, 'serve', '--config', str(tmp_path / 'zero_shot.py'), '--port', str(port), '--device', 'cpu']
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get('PYTHONPATH')])])
    given = {**os.environ, 'PYTHONPATH': path, 'TMPDIR': str(temporary), 'http_proxy': 'http://127.0.0.1:9'}
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=given)
    try:
        said = next(line for line in map(bytes.decode, process.stdout) if 'INFO' not in line)
        assert said == f'The page is at http://127.0.0.1:{port}/ (Ctrl-C ends it). Models: zero_shot.\n'
        answer = httpx.post(f'http://127.0.0.1:{port}/gradio_api/upload', files=dict(files=('a.mp4', b'a')))
        assert Path(answer.json()[0]).is_file()
        assert temporary in Path(answer.json()[0]).parents
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        assert process.stdout.read().decode() == 'terminated\n'
        assert list(temporary.iterdir()) == []
    finally:
        process.kill()
        process.wait()
