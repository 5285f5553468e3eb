"""``textxfer`` on the GPU: what it says there is what it says on the CPU."""

import json

import open_clip
import pytest
import torch
from evaluated import UNSEEN, evaluated_config, train
from interpolated import fine_tune, recognizer_config
from on_gpu import DEVICE, ON_GPU  # skips this file without a GPU
from tiny import TINY_RESNET, TINY_VIT
from tiny_runs import write_dataset, write_video
from typer.testing import CliRunner

from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.cli.main import app

NAME = 'ViT-L-14-quickgelu'
LABELS = ('waving', 'clapping', 'running')
#: Without --device, and with each way to name it.
DEVICES = [(), ('--device', 'cuda'), ('--device', 'cuda:0')] if ON_GPU else [(), ('--device', 'cpu')]


def run(*words, status=0):
    result = CliRunner().invoke(app, [str(word) for word in words], env=dict(COLUMNS='200'))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A file of weights of a tiny CLIP in the place of a known one, and two videos beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(open_clip.factory._MODEL_CONFIGS, NAME, TINY_VIT)
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp('clip')
        torch.save(open_clip.create_model(NAME).state_dict(), folder / 'tiny.pt')
        write_dataset(folder / 'videos', good=2)
        write_video(folder / 'long.mp4', frames=60)
        yield folder


@pytest.fixture(scope='module')
def checkpoint(clip):
    """A checkpoint that was saved whole on the GPU."""
    cfg = clip_zero_shot_config(NAME, str(clip / 'tiny.pt'), LABELS)
    model = load_recognizer(cfg, device=str(DEVICE))
    model.init_weights()
    assert next(model.parameters()).device.type == DEVICE.type
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), clip / 'epoch_1.pth')
    return clip / 'epoch_1.pth'


def scores(file):
    """The scores of ``textxfer predict --json``, in the order of the labels."""
    return [[row['scores'][label] for label in sorted(row['scores'])] for row in json.loads(file.read_text())]


@pytest.mark.parametrize('device', DEVICES, ids=' '.join)
@pytest.mark.parametrize('kind', ['bare', 'checkpoint', 'other labels'])
def test_predict(clip, checkpoint, tmp_path, kind, device):
    words = ['--checkpoint', checkpoint] if kind != 'bare' else ['--model', NAME, '--pretrained', clip / 'tiny.pt']
    words += {'bare': ['--labels', ','.join(LABELS)], 'other labels': ['--labels', 'a cat,a dog']}.get(kind, [])
    run('predict', clip / 'videos', *words, *device, '--json', tmp_path / 'ours.json')
    run('predict', clip / 'videos', *words, '--device', 'cpu', '--json', tmp_path / 'cpu.json')
    for ours, want in zip(scores(tmp_path / 'ours.json'), scores(tmp_path / 'cpu.json'), strict=True):
        assert ours == pytest.approx(want, abs=2e-3)


@pytest.mark.skipif(not ON_GPU, reason='of a GPU that is not there')
def test_a_gpu_that_is_not_there_is_one_line(clip):
    words = ['--model', NAME, '--pretrained', clip / 'tiny.pt', '--labels', 'a,b', '--device', 'cuda:77']
    output = run('predict', clip / 'long.mp4', *words, status=2)
    assert 'device cuda:77 is not available here' in output
    assert 'Traceback' not in output


@pytest.mark.parametrize('kind', ['bare', 'checkpoint'])
def test_timeline(clip, checkpoint, tmp_path, kind):
    words = ['--checkpoint', checkpoint] if kind != 'bare' else ['--model', NAME, '--pretrained', clip / 'tiny.pt']
    words += ['--labels', ','.join(LABELS)] if kind == 'bare' else []
    words += ['--window', 2, '--stride', 1]
    found = []
    for name, device in (('ours', DEVICES[0]), ('cpu', ('--device', 'cpu'))):
        run('timeline', clip / 'long.mp4', *words, *device, '--json', tmp_path / name)
        found.append(torch.tensor(json.loads((tmp_path / name).read_text())['windows']['scores']))
    torch.testing.assert_close(*found, rtol=0, atol=2e-3)


@pytest.fixture(scope='module')
def evaluated(tmp_path_factory):
    """A config with a list of seen classes and one of unseen ones, and a checkpoint."""
    folder = tmp_path_factory.mktemp('evaluated')
    cfg = evaluated_config(folder, neck=True)
    cfg.dump(folder / 'config.py')
    train(cfg, folder)
    return folder


@pytest.mark.parametrize('protocol', ['full', 'generalized', 'half', 'map'])
def test_evaluate(evaluated, tmp_path, protocol):
    found = []
    for name, device in (('ours', DEVICES[0]), ('cpu', ('--device', 'cpu'))):
        features = tmp_path / f'{name}.safetensors'
        words = ['--protocol', protocol, *device, '--json', tmp_path / name, '--features', features]
        if protocol == 'generalized':
            words += ['--ann-file', evaluated / 'videos' / 'unseen.txt', '--labels', ','.join(UNSEEN)]
        run('evaluate', evaluated / 'config.py', evaluated / 'trained1.pth', *words)
        found.append(json.loads((tmp_path / name).read_text())['results'])
        assert features.is_file()
        run('evaluate', evaluated / 'config.py', evaluated / 'trained1.pth', *words)  # of the file of features
    ours, want = ([row[state]['value'] for row in rows for state in ('untrained', 'trained')] for rows in found)
    assert ours == pytest.approx(want, abs=0.15)  # a video of eleven may change sides, between near-equal scores


def test_evaluate_calibrated(evaluated, tmp_path):
    words = ['--calibrate', evaluated / 'videos' / 'list.txt', *DEVICES[0], '--json', tmp_path / 'ours']
    run('evaluate', evaluated / 'config.py', evaluated / 'trained1.pth', *words)


@pytest.fixture(scope='module')
def tuned(tmp_path_factory):
    """A ResNet before and after fine-tuning."""
    folder = tmp_path_factory.mktemp('models')
    fine_tune(recognizer_config(folder, TINY_RESNET), folder / 'tuned.pth')
    write_dataset(folder / 'unseen', good=3)
    (folder / 'unseen.txt').write_text('grey\nblue\n')
    return folder


def test_interpolate(tuned, tmp_path, monkeypatch):
    monkeypatch.chdir(tuned)
    states = []
    for name, device in (('ours', DEVICES[0]), ('cpu', ('--device', 'cpu'))):
        out = tmp_path / f'{name}.pth'
        run('interpolate', 'pretrained', 'tuned.pth', '--alpha', 0.5, '-o', out, '--batch-norm', 'train', *device)
        states.append(torch.load(out, weights_only=True)['state_dict'])
    ours, want = states
    assert {value.device.type for value in ours.values()} == {'cpu'}
    for key, value in want.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-3, atol=1e-3, msg=lambda m: f'{key}: {m}')  # noqa: B023
    words = ['--sweep', '--alphas', '0,1', '--unseen', 'unseen/list.txt', '--unseen-labels', 'unseen.txt']
    run('interpolate', 'pretrained', 'tuned.pth', *words, *DEVICES[0], '--json', tmp_path / 'sweep.json')
    assert [point['alpha'] for point in json.loads((tmp_path / 'sweep.json').read_text())['points']] == [0, 1]


def test_doctor_names_the_gpu():
    checks = json.loads(CliRunner().invoke(app, ['doctor', '--json']).stdout)['checks']
    (gpu,) = [check for check in checks if check['name'] == 'GPU']
    assert gpu['status'] == ('ok' if ON_GPU else 'note')
    if ON_GPU:
        assert torch.cuda.get_device_name(0) in gpu['found']
