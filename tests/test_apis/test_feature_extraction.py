"""Features of videos by the encoder of a config, against a loop over the videos."""

import cv2
import decord
import numpy as np
import pytest
import torch
from lda_runs import PIPELINE, lda_config
from tiny import FixedSource

from textxfer_mm.apis.feature_extraction import extract_features
from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS


@pytest.fixture
def cfg(tmp_path):
    return lda_config(tmp_path)


def naive(cfg, folder, numbers):
    """Frames of decord, normalised by hand, through the bare tower, averaged."""
    backbone = MODELS.build(cfg.model.backbone).eval()
    backbone.init_weights()
    rows = []
    for number in numbers:
        reader = decord.VideoReader(str(folder / 'videos' / f'good{number}.mp4'), width=64, height=32)
        total = torch.zeros(32)
        for number_of_frame in (1, 4, 7):  # the middle of each third of ten frames, as UniformSample takes them
            frame = cv2.resize(reader[number_of_frame].asnumpy(), (32, 32), interpolation=cv2.INTER_LINEAR)
            pixels = torch.from_numpy(frame).float().permute(2, 0, 1)
            with torch.no_grad():
                total += backbone.visual((pixels[None] - 128) / 64)[0]
        rows.append(total / 3)
    return torch.stack(rows)


def test_against_a_loop(cfg, tmp_path):
    labels = [number % 2 for number in range(8)]
    drawn = draw_per_class(labels, seed=3, count=2)
    made = extract_features(cfg, per_class=2, seed=3)
    assert made.labels.tolist() == [labels[number] for number in drawn]
    torch.testing.assert_close(made.features, naive(cfg, tmp_path, drawn), atol=1e-4, rtol=1e-4)
    assert made.metadata == dict(
        config='config',
        encoder='CLIPBackbone/clip.pt',
        checkpoint=None,
        stage='backbone',
        split='train',
        per_class=2,
        seed=3,
        left_out=[],
    )


def test_all_videos_and_other_splits(cfg, tmp_path):
    made = extract_features(cfg, per_class=None)
    assert made.labels.tolist() == [0, 1] * 4
    first = (tmp_path / 'videos' / 'list.txt').read_text().splitlines()[:3]
    (tmp_path / 'videos' / 'val.txt').write_text('\n'.join(first) + '\n')
    cfg.val_dataloader.dataset.ann_file = str(tmp_path / 'videos' / 'val.txt')
    part = extract_features(cfg, split='val', per_class=None)
    torch.testing.assert_close(part.features, made.features[:3])


def test_views_are_averaged(cfg):
    want = extract_features(cfg, per_class=None).features
    cfg.val_dataloader.dataset.pipeline = [
        *PIPELINE[:3],
        dict(type='Resize', scale=(64, 32), keep_ratio=False),
        dict(type='ThreeCrop', crop_size=32),
        *PIPELINE[4:],
    ]
    views = extract_features(cfg, per_class=None).features
    assert views.shape == want.shape
    cfg.val_dataloader.dataset.pipeline[4].type = 'CenterCrop'
    assert not torch.allclose(extract_features(cfg, per_class=None).features, views, atol=1e-3)


def test_the_head_trains_on_its_own_features(cfg, tmp_path):
    cfg.model.cls_head.classifier.features = str(tmp_path / 'new' / 'f.safetensors')
    made = extract_features(cfg, per_class=4)
    made.save(tmp_path / 'new' / 'f.safetensors')
    model = MODELS.build(cfg.model)
    model.init_weights()
    assert model.cls_head.class_rows.class_names == ('dark', 'bright')
    centred = made.features - made.features.mean(0)
    logits = model.cls_head.eval()(centred)
    assert (logits.argmax(1) == made.labels).all()
    assert extract_features(cfg, per_class=4).features.equal(made.features)  # again, over a file that exists


def test_a_damaged_file_can_be_made_again(cfg, tmp_path):
    (tmp_path / 'lda.safetensors').write_text('damaged')
    made = extract_features(cfg, per_class=1)
    made.save(tmp_path / 'lda.safetensors')
    torch.testing.assert_close(LabelledFeatures.load(tmp_path / 'lda.safetensors').features, made.features)


def test_a_checkpoint_with_its_neck(cfg, tmp_path):
    plain = extract_features(cfg, per_class=None)
    plain.save(tmp_path / 'lda.safetensors')
    model = MODELS.build(cfg.model).eval()
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'trained.pth')
    (tmp_path / 'clip.pt').unlink()
    made = extract_features(cfg, per_class=None, checkpoint=tmp_path / 'trained.pth')
    assert (made.metadata['checkpoint'], made.metadata['stage']) == ('trained.pth', 'neck')
    assert not torch.allclose(made.features, plain.features, atol=1e-3)
    backbone, neck = model.backbone, model.neck
    frames = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        want = neck(backbone(frames))[0].mean((2, 3, 4))
        got = model.cls_head.embed(model.extract_feat(frames[:, None], stage='neck')[0])
    torch.testing.assert_close(got, want)


def test_load_from_is_where_training_starts(cfg, tmp_path):
    cfg.model.pop('neck')
    plain = extract_features(cfg, per_class=None)
    model = MODELS.build(cfg.model)
    model.backbone.init_weights()
    with torch.no_grad():
        model.backbone.visual.proj.mul_(2)
    torch.save(
        dict(state_dict={f'backbone.{k}': v for k, v in model.backbone.state_dict().items()}), tmp_path / 'k.pth'
    )
    cfg.load_from = str(tmp_path / 'k.pth')
    cfg.model.neck = dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=2)
    made = extract_features(cfg, per_class=None)
    torch.testing.assert_close(made.features, 2 * plain.features)
    assert (made.metadata['checkpoint'], made.metadata['stage']) == ('k.pth', 'backbone')


def test_projections(cfg, tmp_path):
    cfg.model.cls_head.update(projection='linear', embed_dims=8)
    with pytest.raises(UserError, match='projection that is not trained yet'):
        extract_features(cfg, per_class=1)
    torch.save({'neck.projection.weight': torch.zeros(1)}, tmp_path / 'part.pth')
    cfg.load_from = str(tmp_path / 'part.pth')
    with pytest.raises(
        UserError, match='projection that is not trained yet'
    ):  # that of a neck, or of MViT's patches, is another
        extract_features(cfg, per_class=1)
    cfg.load_from = None
    cfg.model.cls_head.classifier.embed_dims = 8
    model = MODELS.build(cfg.model)
    model.backbone.init_weights()
    model.cls_head.class_rows.replace(FixedSource(('dark', 'bright'), 8).build())
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'trained.pth')
    made = extract_features(cfg, per_class=1, checkpoint=tmp_path / 'trained.pth')
    assert made.features.shape == (2, 8)


def test_a_stock_recognizer_and_wrapped_datasets(tmp_path):
    cfg = lda_config(tmp_path, neck=False)
    stock = dict(type='Recognizer2D', backbone=dict(type='ResNet', depth=18, norm_eval=True), cls_head=None)
    cfg.model = dict(stock, data_preprocessor=dict(cfg.model.data_preprocessor, format_shape='NCHW'))
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.pipeline[-2].input_format = 'NCHW'
    once = extract_features(cfg, per_class=None)
    assert once.features.shape == (8, 512)
    assert once.metadata['encoder'] == 'ResNet/18'
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=3, dataset=inner), inner]
    )
    twice = extract_features(cfg, per_class=None)
    torch.testing.assert_close(twice.features, once.features.repeat(2, 1))


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('tolerant', [True, False])
def test_corrupt_videos_are_left_out_and_named(tmp_path, monkeypatch, workers, tolerant):
    lines = []
    monkeypatch.setattr('textxfer_mm.apis.encoding.print_log', lambda line, **_: lines.append(line))
    cfg = lda_config(tmp_path, good=4, corrupt=['empty', 'text', 'truncated'])
    cfg.val_dataloader.num_workers = workers
    if not tolerant:
        for step in cfg.val_dataloader.dataset.pipeline:
            if step.type.startswith('Tolerant'):
                step.type = step.type.removeprefix('Tolerant')
                step.pop('test_mode')
    made = extract_features(cfg, per_class=None)
    assert made.labels.tolist() == [0, 1, 0, 1]
    assert [name.rsplit('/', 1)[1] for name in made.metadata['left_out']] == [
        'empty0.mp4',
        'text1.mp4',
        'truncated2.mp4',
    ]
    assert '3 of 7 videos could not be decoded and are left out' in lines[-1]
    assert 'empty0.mp4: empty file' in lines[-1]


def test_a_class_that_is_lost(tmp_path):
    cfg = lda_config(tmp_path, good=4, corrupt=['empty'])
    text = (tmp_path / 'videos' / 'list.txt').read_text()
    (tmp_path / 'videos' / 'list.txt').write_text(text.replace('empty0.mp4 0', 'empty0.mp4 2'))
    message = r'None of the drawn videos of label 2 could be decoded; in all 1 of 5 failed, such as .*empty0.mp4: empty'
    with pytest.raises(UserError, match=message):
        extract_features(cfg, per_class=None)


def test_mistakes(cfg):
    with pytest.raises(UserError, match='5 videos a class were asked for, but label 0 has 4'):
        extract_features(cfg, per_class=5)
    with pytest.raises(UserError, match=r'no training_dataloader to take videos from\. Did you mean: train'):
        extract_features(cfg, split='training')
    cfg.val_dataloader = cfg.test_dataloader = None
    with pytest.raises(UserError, match='needs a val_dataloader or the variable `test_pipeline`'):
        extract_features(cfg)
    cfg.test_pipeline = PIPELINE
    assert len(extract_features(cfg, per_class=1).labels) == 2


def test_the_random_state_is_left_alone(cfg):
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    extract_features(cfg, per_class=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()
