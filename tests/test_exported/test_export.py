"""Exported models against their models: every family, every way to average views, and what is refused."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from exported_models import FAMILIES, NAMES, TINY_VIT, built, random_rows, run, video_config
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tiny import CLIP_NAME

from textxfer_mm.apis.chosen_model import load_chosen
from textxfer_mm.apis.exported_recognizer import ExportedRecognizer
from textxfer_mm.apis.exporting import export as exporting
from textxfer_mm.apis.exporting.export import export_model
from textxfer_mm.apis.recognizer import Recognizer
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.engine.classes import rows_of
from textxfer_mm.errors import UserError
from textxfer_mm.exported.description import DESCRIPTION, pack
from textxfer_mm.exported.model import ExportedModel
from textxfer_mm.exported.rows import NamedRows
from textxfer_mm.exported.texts import ExportedTextEncoder

pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')
pytest.importorskip('onnxscript', reason='the extra onnx is not installed')

ROOT = Path(__file__).parents[2]


def assert_predicts_as(model, file, videos):
    """The exported file recognises videos, an image and arrays as its model does."""
    wanted = Recognizer(model)(list(map(str, videos)))
    got = ExportedRecognizer(file, batch_size=2)(list(map(str, videos)))
    for ours, theirs in zip(got, wanted, strict=True):
        assert (ours.video, ours.class_names) == (theirs.video, theirs.class_names)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)


def test_a_clip_by_its_name_with_weights_of_a_file(videos, tmp_path, monkeypatch):
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, CLIP_NAME, TINY_VIT)
    torch.manual_seed(3)
    torch.save(open_clip.create_model(CLIP_NAME).state_dict(), tmp_path / 'tiny.pt')
    given = ('--pretrained', tmp_path / 'tiny.pt', '--labels', 'a cat,a dog')
    done = run('export', CLIP_NAME, tmp_path / 'm.onnx', *given)
    assert done.exit_code == 0, done.output
    model = load_chosen(clip=CLIP_NAME, pretrained=str(tmp_path / 'tiny.pt'), labels=['a cat', 'a dog'], device='cpu')
    assert_predicts_as(model, tmp_path / 'm.onnx', videos)
    refused = run('export', CLIP_NAME, tmp_path / 'n.onnx', '--pretrained', tmp_path / 'none.pt', '--labels', 'a,b')
    assert refused.exit_code == 2
    assert re.search(r'error: --pretrained .*none\.pt', refused.output)


@pytest.mark.parametrize('family', [name for name in FAMILIES if name != 'ViT, TAP'])
def test_families(family, videos, tmp_path):
    """The slow part is the exporter; other class rows, batches and views are asked of each file it wrote."""
    model = built(FAMILIES[family]())
    done = export_model(model, tmp_path / 'm.onnx')
    assert done.difference <= 1e-4
    assert_predicts_as(model, done.file, videos)
    exported = ExportedModel(done.file)
    rows = random_rows(7, 32)
    exported.compare_with(NamedRows(tuple('abcdefg'), rows, 'drawn'))
    rows_of(model).replace(
        ClassifierBundle.from_rows(torch.from_numpy(rows), class_names=tuple('abcdefg'), encoder_id='drawn')
    )
    pixels = np.stack([exported.inputs(video) for video in videos])  # (3, V, ...)
    wanted = [result.scores for result in Recognizer(model)(list(map(str, videos)))]
    for size in (1, 3):
        np.testing.assert_allclose(exported.scores(pixels[:size]), wanted[:size], atol=1e-4)


def test_what_the_file_says(exported):
    model, done = exported
    said, rows = ExportedModel(done.file).description, rows_of(model)
    assert said.class_names == tuple(NAMES)
    assert said.templates == ('a {}.', 'one {}')
    assert said.encoder_id == rows.encoder_id
    assert (said.scale, said.bias, said.activation, said.average_clips) == (100.0, 0.0, 'softmax', 'feature')
    assert (said.mean, said.std) == ((120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
    assert (said.size, said.num_frames, said.num_views, said.embed_dims) == ((32, 32), 4, 1, 32)
    np.testing.assert_allclose(ExportedModel(done.file).classes.rows, rows.weight.numpy(), atol=1e-6)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(done.file))
    assert [(each.name, each.shape) for each in session.get_inputs()] == [
        ('frames', ['N', 'V', 3, 4, 32, 32]),
        ('class_rows', ['K', 32]),
    ]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [('logits', ['N', 'K'])]


def test_pytorch_file(exported, videos, tmp_path):
    model, _ = exported
    done = export_model(model, tmp_path / 'm.pt2', text_encoder=tmp_path / 't.pt2')
    assert done.difference <= 1e-4
    assert_predicts_as(model, done.file, videos)
    assert_same_rows(model, tmp_path / 't.pt2')


def assert_same_rows(model, text_file):
    names = ['playing the violin', 'Café &amp; crème', "it's 3 o'clock!!"]
    wanted = rows_of(model).source.renamed(names).build().weight.numpy()
    np.testing.assert_allclose(ExportedTextEncoder(text_file).rows(names).rows, wanted, atol=1e-5)


def test_text_encoder(exported):
    model, done = exported
    assert_same_rows(model, done.text_file)
    encoder = ExportedTextEncoder(done.text_file)
    with pytest.raises(UserError, match='reads at most 77 tokens; longer prompts: a word word'):
        encoder.rows(['word ' * 80])
    tower = rows_of(model).source.encoder.tower()
    texts = ['  A  PHOTO of\ta cat ', '漢字 🎻', 'naïve &lt;b&gt; “quoted”', "we're 100% sure's"]
    ids = tower.tokenize(texts).numpy()
    np.testing.assert_array_equal(encoder.tokenize(texts)[:, : ids.shape[1]], ids)


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked}:
            raise ModuleNotFoundError('No module named ' + repr(name), name=name)
sys.meta_path.insert(0, Blocker())
sys.argv[0] = 'textxfer'
from textxfer_mm.cli.main import main
main()
"""


def others_than(requirements):
    """The top-level modules that neither these requirements bring nor what they require."""
    wanted, found = [Requirement(line).name for line in requirements], set()
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in found:
            continue
        found.add(name)
        try:
            needs = map(Requirement, importlib.metadata.requires(name) or ())
        except importlib.metadata.PackageNotFoundError:
            continue  # OpenCV has four distributions of one module
        wanted += [one.name for one in needs if one.marker is None or one.marker.evaluate(dict(extra=''))]
    modules = importlib.metadata.packages_distributions().items()
    return {module for module, names in modules if not {canonicalize_name(name) for name in names} & found} - {'cv2'}


@pytest.fixture(scope='module')
def alone():
    """How to run ``textxfer`` where nothing can be imported but what requirements/exported.txt brings."""
    lines = (ROOT / 'requirements' / 'exported.txt').read_text().splitlines()
    blocked = others_than([line for line in lines if not line.startswith('#')])
    assert {'torch', 'torchvision', 'mmaction', 'mmengine', 'mmcv', 'mmpretrain', 'open_clip', 'timm'} <= blocked
    command = [sys.executable, '-c', BLOCKED.format(blocked=blocked - {'textxfer_mm'})]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), *sys.path])}

    def run(*args):
        options = dict(env=environment, capture_output=True, text=True, timeout=120)
        return subprocess.run([*command, *map(str, args)], **options)

    return run


@pytest.mark.parametrize('command', ['timeline', 'predict', 'search', 'serve'])
def test_other_commands_say_what_is_missing(alone, command, videos):
    given = dict(timeline=[videos[0], '--labels', 'a'], predict=[videos[0], '--labels', 'a'], search=['a', videos[0]])
    ended = alone(command, *given.get(command, ()))
    assert ended.returncode == 2, ended.stderr
    assert re.fullmatch(r"error: The Python package '\w+' is not installed, .*\n", ended.stderr), ended.stderr


def test_what_exported_models_require_is_enough(alone, exported, videos, tmp_path):
    """The command itself, where nothing else can be imported: its own classes, then others of the text encoder."""
    model, done = exported
    out = tmp_path / 'scores.json'
    command = ['predict', *map(str, videos), '--model', str(done.file), '--json', str(out)]
    other = ['--text-encoder', str(done.text_file), '--labels', 'swimming,diving']
    for more, labels in (([], None), (other, ['swimming', 'diving'])):
        out.unlink(missing_ok=True)
        ended = alone(*command, *more)
        assert ended.returncode == 0, ended.stderr
        if labels:
            rows_of(model).replace(rows_of(model).source.renamed(labels).build())
        wanted = Recognizer(model)(list(map(str, videos)))
        found = json.loads(out.read_text())
        for row, result in zip(found, wanted, strict=True):
            assert row['video'] == result.video
            np.testing.assert_allclose([row['scores'][name] for name in result.class_names], result.scores, atol=1e-4)
    rows_of(model).replace(rows_of(model).source.renamed(NAMES).build())


def test_some_of_its_own_classes(exported, videos):
    _, done = exported
    chosen = ExportedRecognizer(done.file, labels=['running', 'waving'])(str(videos[0]))
    whole = ExportedRecognizer(done.file)(str(videos[0]))
    scores = dict(zip(whole.class_names, whole.scores, strict=True))
    share = scores['running'] / (scores['running'] + scores['waving'])
    assert chosen.class_names == ('running', 'waving')
    np.testing.assert_allclose(chosen.scores[0], share, atol=1e-9)


def test_what_cannot_be_decoded_costs_itself(exported, videos, tmp_path):
    model, done = exported
    (tmp_path / 'broken.mp4').write_bytes(b'\0' * 500)
    array = np.zeros((5, 40, 50, 3), np.uint8)
    results = ExportedRecognizer(done.file)([str(tmp_path / 'broken.mp4'), str(videos[0]), array])
    assert results[0].reason == Recognizer(model)(str(tmp_path / 'broken.mp4')).reason
    assert [result.video for result in results[1:]] == [str(videos[0]), 'array 2']


@pytest.mark.parametrize(
    'array', [np.zeros((4, 9, 9), np.uint8), np.zeros((4, 9, 9, 3)), np.zeros((0, 9, 9, 3), np.uint8)]
)
def test_arrays_that_are_no_video_are_refused_as_by_the_model(exported, array):
    model, done = exported
    said = []
    for recognizer in (Recognizer(model), ExportedRecognizer(done.file)):
        with pytest.raises(UserError, match=r'array 1 has shape .* a video is RGB frames \(T, H, W, 3\)') as raised:
            recognizer([np.zeros((4, 32, 32, 3), np.uint8), array])
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_messages_of_predict(exported, videos, tmp_path):
    _, done = exported
    wide = ClassifierBundle.from_rows(torch.randn(2, 48), class_names=('a', 'b'), encoder_id='another encoder')
    wide.save(tmp_path / 'wide.safetensors')
    (tmp_path / 'no.onnx').write_bytes(b'no network')
    (tmp_path / 'no.pt2').write_bytes(b'no network')
    model = ('predict', videos[0], '--model', done.file)
    text = ('--text-encoder', done.text_file)
    for args, message in (
        ((*model, '--rows', tmp_path / 'wide.safetensors'), 'are 32 wide, those by another encoder 48. Use the text'),
        ((*model, '--labels', 'waving,swimming'), 'There are no class rows of swimming. Give --text-encoder'),
        ((*model, *text), '--text-encoder makes class rows of labels: say which'),
        ((*model, *text, '--rows', tmp_path / 'wide.safetensors'), 'Give --rows or --text-encoder, not both'),
        ((*model, '--template', 'a {}'), 'an exported model needs --text-encoder for it'),
        ((*model, '--config', 'x.py'), '--config has no effect on the exported model'),
        ((*model, '--dataset', 'k400'), '--dataset has no effect on the exported model'),
        ((*model, '--amp'), '--amp has no effect on the exported model'),
        ((*model, '--workers', 0), '--workers has no effect on the exported model'),
        ((*model, *text, '--labels', 'a.TXT'), '--labels a.TXT looks like a file: give it as --labels-file.'),
        ((*model, '--labels', 'a', '--labels-file', 'b.txt'), 'Give --labels or --labels-file, not both.'),
        ((*model, '--glosses', 'kinetics400'), '--glosses has no effect on the exported model'),
        ((*model, '--device', 'cuda:3'), 'device cuda:3 is none of this onnxruntime'),
        ((*model[:3], done.text_file), 'is an exported text encoder, not a model: give it as --text-encoder'),
        ((*model, '--labels', 'a,b', '--text-encoder', done.file), 'is an exported model, not a text encoder'),
        ((*model[:3], tmp_path / 'no.onnx'), 'is no network that onnxruntime can run'),
        ((*model[:3], tmp_path / 'no.pt2'), 'is no file of torch.export, or is damaged: File is not a zip file'),
        ((*model[:3], tmp_path / 'none.onnx'), 'none.onnx does not exist. Did you mean: no.onnx?'),
        (('predict', videos[0], '--labels', 'a,b', '--rows', 'x'), '--rows x is for an exported model'),
        (('timeline', videos[0], '--labels', 'a,b', '--model', done.file), 'is an exported model, by which `textxfer'),
        (('predict', videos[0], '--checkpoint', done.file), 'm.onnx is an exported model, by which `textxfer predict'),
        (('card', done.file), 'm.onnx is an exported model, by which `textxfer predict --model` alone'),
        (('serve', '--checkpoint', done.file), 'm.onnx is an exported model, by which `textxfer predict --model`'),
        (('export', done.file, 'x.onnx'), 'is exported already'),
        (('export', 'RN50', 'x.pt2', '--labels', 'a.csv'), '--labels a.csv looks like a file: give it as'),
        (('export', 'RN50', 'x.pt2', '--labels', 'a', '--labels-file', 'b'), 'Give --labels or --labels-file'),
    ):
        result = run(*args)
        assert result.exit_code == 2, (args, result.output)
        assert message in result.output
        assert len(result.output.strip().splitlines()) == 1, result.output


def test_other_onnx_files_and_newer_ones(exported, tmp_path):
    import onnx

    _, done = exported
    network = onnx.load(done.file)
    (entry,) = (each for each in network.metadata_props if each.key == DESCRIPTION)
    entry.value = entry.value.replace('"format_version": 1', '"format_version": 99')
    onnx.save(network, tmp_path / 'newer.onnx')
    entry.value = '{"kind": 3'
    onnx.save(network, tmp_path / 'damaged.onnx')
    network.metadata_props.remove(entry)
    onnx.save(network, tmp_path / 'other.onnx')
    for name, message in (
        ('newer', 'was exported in format 99'),
        ('damaged', 'is damaged: what it says of itself cannot be read'),
        ('other', 'was not written by textxfer export'),
    ):
        with pytest.raises(UserError, match=message):
            ExportedModel(tmp_path / f'{name}.onnx')


def test_code_in_a_pytorch_file_is_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (Path(tmp_path / 'ran').touch, ())

    class Net(torch.nn.Module):
        def forward(self, x):
            return x + 1

    import zipfile

    torch.export.save(torch.export.export(Net(), (torch.ones(2),)), tmp_path / 'good.pt2')
    payload = tmp_path / 'payload.pt'
    torch.save(Hostile(), payload)
    with zipfile.ZipFile(tmp_path / 'good.pt2') as good, zipfile.ZipFile(tmp_path / 'bad.pt2', 'w') as bad:
        for name in good.namelist():
            bad.writestr(name, payload.read_bytes() if name.endswith('.pt') else good.read(name))
    with pytest.raises(UserError, match='holds a pickle of more than tensors, which could run code'):
        ExportedModel(tmp_path / 'bad.pt2')
    assert not (tmp_path / 'ran').exists()


class Inverse(torch.nn.Module):
    """A neck with an operator that ONNX does not have."""

    def forward(self, x, data_samples=None):
        rows = x.flatten(1)
        return torch.linalg.eigvals(rows[:, :4, None] @ rows[:, None, :4]).real.sum() + x, {}


class Worded(torch.nn.Module):
    """A neck that does what depends on the values of its input."""

    def forward(self, x, data_samples=None):
        return (x if x.sum() > 0 else -x), {}


@pytest.mark.parametrize(
    ('neck', 'message'),
    [(Inverse(), r'cannot be exported to .onnx: its operator aten[.]linalg_eig'), (Worded(), 'cannot be exported: ')],
)
def test_operators_that_cannot_be_exported(neck, message, tmp_path):
    model = built(video_config(TINY_VIT))
    model.neck = neck
    with pytest.raises(UserError, match=message) as raised:
        export_model(model, tmp_path / 'm.onnx')
    assert '\n' not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_what_does_not_hold(exported, monkeypatch, tmp_path):
    """Where the logits of the file are others than the model's."""
    model, _ = exported
    monkeypatch.setattr(exporting.ExportedModel, 'logits', lambda self, frames: np.zeros((len(frames), 3)) + 7)
    with pytest.raises(UserError, match='The exported model differs from the model by'):
        export_model(model, tmp_path / 'm.pt2')
    assert not list(tmp_path.iterdir())


def test_models_that_cannot_be_exported(exported, tmp_path):
    model, done = exported
    out = tmp_path / 'm.pt2'
    refused = {
        r'OUT .*m.zip: exported models end in .onnx or .pt2': (model, tmp_path / 'm.zip', {}),
        'is there already. Give another name, or --overwrite': (model, done.file, {}),
        'cannot be the model and its text encoder at once': (model, out, dict(text_encoder=out)),
        'belong to a model that is still to be built': (model, out, dict(labels=['a', 'b'])),
        'has not the class rows of several datasets': (model, out, dict(dataset='k400')),
        "average_clips=None keeps the views of a video apart": (
            built(video_config(TINY_VIT, head=dict(average_clips=None))), out, {}),
        'which is no text encoder with a tower: leave --text-encoder out': (
            built(video_config(TINY_VIT, head=dict(classifier=dict(
                type='RandomClassifier', class_names=NAMES, embed_dims=32)))),
            out, dict(text_encoder=tmp_path / 't.pt2')),
    }  # fmt: skip
    for message, (which, file, options) in refused.items():
        with pytest.raises(UserError, match=message):
            export_model(which, file, **options)
    assert not list(tmp_path.iterdir())


def test_heads_without_class_rows(tmp_path):
    cfg = video_config(TINY_VIT)
    cfg.model.cls_head = dict(type='I3DHead', num_classes=3, in_channels=32, average_clips='prob')
    with pytest.raises(UserError, match='I3DHead has no class rows that could be given to it'):
        export_model(built(cfg), tmp_path / 'm.pt2')
    cfg.model.pop('cls_head')
    with pytest.raises(UserError, match='Recognizer3D has no class rows that could be given to it'):
        export_model(built(cfg), tmp_path / 'm.pt2')


def test_several_datasets(tmp_path, videos):
    text = dict(type='CLIPTextEncoder', arch=TINY_VIT)
    cfg = video_config(TINY_VIT)
    cfg.model.cls_head = dict(
        type='MultiDatasetTextHead',
        in_channels=32,
        classifier=dict(type='TextClassifier', encoder=text),
        datasets=dict(one=dict(class_names=['a cat', 'a dog']), two=dict(class_names=['red', 'green', 'blue'])),
        informative_weight=0.0,
    )
    model = built(cfg)
    with pytest.raises(UserError, match='say by those of which the exported model classifies, --dataset one, two'):
        export_model(model, tmp_path / 'm.pt2')
    with pytest.raises(UserError, match="no class rows of 'three'"):
        export_model(model, tmp_path / 'm.pt2', dataset='three')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=model.cfg.pretty_text)), tmp_path / 'e.pth')
    unnamed = run('export', tmp_path / 'e.pth', tmp_path / 'm.pt2')
    assert (unnamed.exit_code, '--dataset one, two' in unnamed.output) == (2, True)
    made = run('export', tmp_path / 'e.pth', tmp_path / 'one.pt2', '--dataset', 'one')
    assert (made.exit_code, 'its own classes: a cat, a dog' in made.output) == (0, True), made.output
    told = run('predict', videos[0], '--model', tmp_path / 'one.pt2', '--dataset', 'two')
    assert 'its classes were chosen when it was exported' in told.output
    model.cls_head.train()
    done = export_model(model, tmp_path / 'm.pt2', dataset='two')
    assert done.description.class_names == ('red', 'green', 'blue')
    assert (model.cls_head.predict_as, model.cls_head.class_rows.chosen) == (None, None), 'the model is as it was'
    assert (model.cls_head.training, model.backbone.training) == (True, False)
    model.eval().cls_head.predict_as = model.cls_head.class_rows.chosen = 'two'
    assert_predicts_as(model, done.file, videos)


def test_missing_onnxruntime(exported, monkeypatch, tmp_path):
    model, done = exported
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(UserError, match=r'run by onnxruntime.*pip install "textxfer_mm\[onnx\]"'):
        ExportedModel(done.file)
    with pytest.raises(UserError, match=r'needs onnxruntime: pip install "textxfer_mm\[onnx\]"'):
        export_model(model, tmp_path / 'm.onnx')


def test_command(tmp_path, exported):
    model, _ = exported
    from mmengine.runner.checkpoint import save_checkpoint

    file = tmp_path / 'epoch_1.pth'
    save_checkpoint(dict(state_dict=model.state_dict(), meta=dict(cfg=model.cfg.pretty_text)), str(file))
    result = run('export', file, tmp_path / 'm.pt2', '--text-encoder', tmp_path / 't.pt2')
    assert result.exit_code == 0, result.output
    assert 'frames (N, V, C, T, H, W) = (N, 1, 3, 4, 32, 32), uint8; class rows (K, 32); logits (N, K)' in result.output
    assert 'logits differ by' in result.output
    again = run('export', file, tmp_path / 'm.pt2')
    assert again.exit_code == 2
    assert 'is there already' in again.output
    assert pack(ExportedModel(tmp_path / 'm.pt2').description)[DESCRIPTION]


def test_frames_of_2d_recognizers(videos, tmp_path):
    """Each frame is an image of its own, their number is fixed, and clips are averaged as the head says."""
    cfg = video_config(TINY_VIT)
    cfg.model.type, cfg.model.neck = 'Recognizer2D', None
    cfg.model.backbone = dict(type='timm.test_efficientnet', pretrained=False)
    cfg.model.cls_head.update(in_channels=256, projection='linear', num_segments=2, average_clips='prob')
    cfg.model.data_preprocessor.format_shape = 'NCHW'
    cfg.test_pipeline[1] = dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=4, test_mode=True)
    cfg.test_pipeline[-2].input_format = 'NCHW'
    model = built(cfg)
    done = export_model(model, tmp_path / 'm.pt2')
    assert done.shape == (4, 3, 32, 32)
    assert_predicts_as(model, done.file, videos)


def test_trained_towers_and_learned_prompts(videos, tmp_path):
    """The text tower that was trained is exported as it is; learned prompts are no text."""
    cfg = video_config(TINY_VIT, head=dict(type='VideoTextMatchingHead', text='online'))
    model = built(cfg)
    done = export_model(model, tmp_path / 'm.pt2', text_encoder=tmp_path / 't.pt2')
    assert done.description.rows_are_trained
    assert_predicts_as(model, done.file, videos)
    tower = rows_of(model).tower.eval()
    with torch.no_grad():
        wanted = tower(tower.tokenize(['swimming'])).numpy()
    np.testing.assert_allclose(ExportedTextEncoder(done.text_file).encode(['swimming']), wanted, atol=1e-5)
    said = run('predict', videos[0], '--model', done.file, '--text-encoder', done.text_file, '--labels', 'a cat,a dog')
    assert 'The class rows of this model were trained with it' in said.output
    learned = built(video_config(TINY_VIT, head=dict(type='LearnablePromptHead')))
    with pytest.raises(UserError, match='The prompts of this model are learned vectors, not text'):
        export_model(learned, tmp_path / 'p.pt2', text_encoder=tmp_path / 'pt.pt2')
    assert not list(tmp_path.glob('*p*.pt2')), 'the model is not left without the text encoder it was to have'
    assert_predicts_as(learned, export_model(learned, tmp_path / 'p.pt2').file, videos)


@pytest.mark.parametrize('name', ['clip.mp4', 'folder'])
def test_what_is_no_model(tmp_path, name):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'clip.mp4').write_bytes(b'')
    result = run('export', tmp_path / name, tmp_path / 'm.onnx')
    assert result.exit_code == 2
    assert f'{name} is no model: give a checkpoint' in ' '.join(result.output.split())
