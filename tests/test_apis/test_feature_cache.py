"""The feature cache: against a loop over frames, against training and testing on videos, resumed, shared, refused."""

import copy
import os
import shutil

import cv2
import decord
import numpy as np
import pytest
import torch
from lda_runs import lda_config
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from tiny import TINY_TIMM
from tiny_runs import write_video

from textxfer_mm.apis import load_recognizer, predict_videos
from textxfer_mm.apis.evaluation import evaluate
from textxfer_mm.apis.feature_cache import (
    config_on_features,
    config_on_frozen_stages,
    whole_checkpoint,
    write_features,
)
from textxfer_mm.datasets.feature_dataset import FeatureDataset
from textxfer_mm.engine.data_checks import check_datasets
from textxfer_mm.engine.ranks import rank_and_size
from textxfer_mm.engine.runners import build_runner
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.feature_bank import load_banks
from textxfer_mm.evaluation.feature_shards import FeatureShards
from textxfer_mm.registry import DATASETS, MODELS

CLASSIFIER = dict(type='RandomClassifier', class_names=['dark', 'bright'], embed_dims=32)


@pytest.fixture
def cfg(tmp_path):
    """A frozen tower, a temporal transformer and a head, on eight videos."""
    made = lda_config(tmp_path)
    made.model.cls_head = dict(type='TextEmbeddingHead', in_channels=32, classifier=CLASSIFIER)
    made.model.backbone.frozen = True
    for split in ('train', 'val', 'test'):
        made[f'{split}_dataloader'].dataset.indices = None
    return made


def write(cfg, out, **options):
    return write_features(copy.deepcopy(cfg), out, **options)


def contents(folder):
    """The bytes of all shards by name."""
    return {file.name: file.read_bytes() for file in sorted(folder.glob('*.safetensors'))}


def test_against_a_loop_over_frames(cfg, tmp_path):
    (train, _) = write(cfg, tmp_path / 'out', shard_size=3)
    assert (train.record.shards, train.missing, train.skipped) == (3, 0, {})
    dataset = FeatureDataset(tmp_path / 'out' / 'train', test_mode=True)
    assert [dataset.get_data_info(n)['label'] for n in range(8)] == [0, 1] * 4
    tower = MODELS.build(cfg.model.backbone).eval()
    tower.init_weights()
    for number in range(8):
        sample = dataset[number]
        assert int(sample['data_samples'].gt_label) == number % 2
        video = tmp_path / 'videos' / f'good{number}.mp4'
        assert dataset.get_data_info(number)['filename'] == str(video)
        reader = decord.VideoReader(str(video), width=64, height=32)
        frames = [cv2.resize(reader[n].asnumpy(), (32, 32), interpolation=cv2.INTER_LINEAR) for n in (1, 4, 7)]
        pixels = torch.from_numpy(np.stack(frames)).float().permute(0, 3, 1, 2)
        with torch.no_grad():
            wanted = tower.visual((pixels - 128) / 64)  # (T, D)
        assert sample['inputs'].shape == (1, 32, 3, 1, 1)  # (V, D, T, H, W)
        torch.testing.assert_close(sample['inputs'][0, :, :, 0, 0].T, wanted, atol=1e-5, rtol=1e-4)


def frame_wise(cfg):
    """A stock recognizer of frames with a tower of timm, three frames a video."""
    made = copy.deepcopy(cfg)
    made.model = dict(
        type='Recognizer2D',
        backbone=dict(type='timm.test_efficientnet', pretrained=False),
        cls_head=dict(type='TSNHead', num_classes=2, in_channels=256, dropout_ratio=0.0, average_clips='prob'),
        data_preprocessor=dict(cfg.model.data_preprocessor, format_shape='NCHW'),
    )
    for split in ('train', 'val', 'test'):
        made[f'{split}_dataloader'].dataset.pipeline[-2].input_format = 'NCHW'
    return made


@pytest.mark.parametrize('kind', ['3d', '2d'])
def test_logits_losses_and_gradients_are_those_of_videos(cfg, tmp_path, kind):
    given = cfg if kind == '3d' else frame_wise(cfg)
    torch.manual_seed(0)
    whole = MODELS.build(copy.deepcopy(given.model))
    if kind == '3d':
        whole.init_weights()
    out = tmp_path / 'out'
    write(given, out, checkpoint=_saved(whole, tmp_path / 'whole.pth'))
    part = MODELS.build(config_on_features(given, out).model)
    rest = {name: weight for name, weight in whole.state_dict().items() if not name.startswith('backbone.')}
    part.load_state_dict(rest)
    videos = DATASETS.build(given.val_dataloader.dataset)
    features = DATASETS.build(config_on_features(given, out).val_dataloader.dataset)
    for model in (whole, part):
        model.eval()
    batches = [pseudo_collate([source[n] for n in range(8)]) for source in (videos, features)]
    with torch.no_grad():
        scores = [
            torch.stack([one.pred_score for one in model.test_step(copy.deepcopy(batch))])
            for model, batch in zip((whole, part), batches, strict=True)
        ]
        logits = []
        for model, batch in zip((whole, part), batches, strict=True):
            data = model.data_preprocessor(copy.deepcopy(batch))
            feats, passed = model.extract_feat(data['inputs'])
            logits.append(model.cls_head(feats, **{k: v for k, v in passed.items() if k == 'num_segs'}))
    assert (logits[0] - logits[1]).abs().max() < 1e-5 * max(1.0, float(logits[0].abs().max()))
    assert (scores[0] - scores[1]).abs().max() < 1e-5
    gradients = []
    for model, batch in zip((whole, part), batches, strict=True):
        if kind == '3d':
            model.neck.train()
        data = model.data_preprocessor(copy.deepcopy(batch), training=True)
        losses = model(**data, mode='loss')
        losses['loss_cls'].backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None and 'backbone' not in n})
    assert gradients[0].keys() == gradients[1].keys()
    assert gradients[0]
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-3)


def _saved(model, path):
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def test_a_run_that_was_stopped_goes_on_and_processes_share_the_shards(cfg, tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    options = dict(copies=2, shard_size=3, splits=('train',), seed=4)
    write(cfg, one, **options)
    first, second = (write(cfg, two, **options, rank=rank, size=2)[0] for rank in (0, 1))
    assert (first.missing, second.missing) == (1, 0)
    assert contents(one / 'train') == contents(two / 'train')  # whoever made them, to the last bit
    lost = one / 'train' / '00001-of-00003.safetensors'
    kept = {file: file.stat().st_mtime_ns for file in (one / 'train').glob('*.safetensors') if file != lost}
    before = contents(one / 'train')
    lost.unlink()
    with pytest.raises(UserError, match=r'train is not whole: 1 of 3 shards are missing, 00001-of-00003\.safetensors'):
        FeatureDataset(one / 'train')
    calls = []
    write(cfg, one, **options, progress=lambda *call: calls.append(call))
    assert calls[-1] == ('train', 6, 6)  # two copies of the three videos that were lost
    assert contents(one / 'train') == before
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


def test_copies_are_drawn_by_the_training_pipeline_whatever_the_workers(cfg, tmp_path):
    cfg.train_dataloader.dataset.pipeline[4].flip_ratio = 0.5
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    write(cfg, tmp_path / 'a', copies=6, splits=('train',))
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()
    cfg.val_dataloader.update(num_workers=2, batch_size=3)
    write(cfg, tmp_path / 'b', copies=6, splits=('train',))
    a, b = (load_banks(tmp_path / name / 'train' / '00000-of-00001.safetensors')['features'] for name in 'ab')
    torch.testing.assert_close(a.features, b.features)
    assert a.features.shape == (8, 6, 1, 32, 3, 1, 1)
    different = (a.features[:, :1] - a.features).abs().flatten(2).amax(2) > 1e-4  # (8, 6): flipped otherwise than first
    assert 0 < different.sum() < 8 * 5
    assert len({tuple(row) for row in different.tolist()}) > 2  # not alike for all videos
    write(cfg, tmp_path / 'c', splits=('train',))
    plain = load_banks(tmp_path / 'c' / 'train' / '00000-of-00001.safetensors')['features'].features
    equal = (a.features - plain).abs().flatten(2).amax(2) < 1e-5
    assert equal.any(1).all()  # some copy was not flipped
    assert not equal.all()
    dataset = FeatureDataset(tmp_path / 'a' / 'train')
    np.random.seed(0)
    drawn = {float(dataset[0]['inputs'].sum()) for _ in range(40)}
    assert drawn == {float(copy.sum()) for copy in a.features[0]}
    dataset.test_mode = True
    assert torch.equal(dataset[0]['inputs'], a.features[0, 0])


def test_corrupt_videos_cost_themselves(cfg, tmp_path):
    made = lda_config(tmp_path / 'c', good=4, corrupt=['empty', 'text', 'truncated'])
    cfg.train_dataloader.dataset.update(made.train_dataloader.dataset)
    (written,) = write(cfg, tmp_path / 'out', splits=('train',), shard_size=2, copies=2)
    assert {name.rsplit('/', 1)[1]: reason for name, reason in written.skipped.items()} == {
        'empty0.mp4': 'empty file',
        'text1.mp4': written.skipped[str(tmp_path / 'c' / 'videos' / 'text1.mp4')],
        'truncated2.mp4': written.skipped[str(tmp_path / 'c' / 'videos' / 'truncated2.mp4')],
    }
    dataset = FeatureDataset(tmp_path / 'out' / 'train')  # two of its four shards are empty
    assert len(dataset) == 4
    assert [len(file.names) for file in FeatureShards(tmp_path / 'out' / 'train').files] == [2, 2, 0, 0]
    assert [int(dataset[n]['data_samples'].gt_label) for n in range(4)] == [0, 1, 0, 1]


def test_videos_that_changed_are_redone(cfg, tmp_path):
    options = dict(splits=('train',), shard_size=4, verify=True)
    write(cfg, tmp_path / 'out', **options)
    before = contents(tmp_path / 'out' / 'train')
    (written,) = write(cfg, tmp_path / 'out', **options)
    assert written.redone == ()
    write_video(tmp_path / 'videos' / 'good5.mp4', 1, seed=99)
    assert write(cfg, tmp_path / 'out', **{**options, 'verify': False})[0].redone == ()
    assert contents(tmp_path / 'out' / 'train') == before
    (written,) = write(cfg, tmp_path / 'out', **options)
    assert written.redone == (str(tmp_path / 'videos' / 'good5.mp4'),)
    after = contents(tmp_path / 'out' / 'train')
    assert [name for name in before if before[name] != after[name]] == ['00001-of-00002.safetensors']


def test_what_was_made_otherwise_is_refused(cfg, tmp_path):
    out = tmp_path / 'out'
    write(cfg, out, copies=1)
    other = copy.deepcopy(cfg)
    other.train_dataloader.dataset.pipeline[4].flip_ratio = 0.1
    with pytest.raises(
        UserError, match=r'out/train holds features of another pipeline \(config, no checkpoint\)\. Give'
    ):
        write(other, out, copies=1)
    with pytest.raises(UserError, match='another number of copies'):
        write(cfg, out, copies=2)
    torch.manual_seed(1)
    model = MODELS.build(dict(cfg.model, backbone=dict(cfg.model.backbone, pretrained=None)))
    model.init_weights()
    trained = _saved(model, tmp_path / 'other.pth')
    with pytest.raises(UserError, match='another weights'):
        write(cfg, out, copies=1, checkpoint=trained)
    shorter = copy.deepcopy(cfg)
    shorter.train_dataloader.dataset.indices = 4
    with pytest.raises(UserError, match='another list of videos'):
        write(shorter, out, copies=1)
    record = FeatureShards(out / 'train').record
    assert len(FeatureDataset(out / 'train', weights=record.weights[:8], pipeline_digest=record.pipeline)) == 8
    with pytest.raises(UserError, match=r'train holds features of other weights .* the config asks for abcdefgh'):
        FeatureDataset(out / 'train', weights='abcdefgh')
    with pytest.raises(UserError, match='features by another pipeline'):
        FeatureDataset(out / 'train', pipeline_digest='abcdefgh')
    with pytest.raises(UserError, match='give 8 letters of the digest'):
        FeatureDataset(out / 'train', weights='')
    with pytest.raises(UserError, match=r'out holds no features: .* Give one of its folders: train, val\.'):
        FeatureDataset(out)
    shutil.copy(out / 'val' / '00000-of-00001.safetensors', out / 'train')
    (out / 'train' / 'record.json').write_text('{"format_version": 1}')
    with pytest.raises(UserError, match=r'record\.json is no record of features, or it is damaged'):
        FeatureDataset(out / 'train')


def test_a_shard_from_elsewhere_is_refused(cfg, tmp_path):
    out = tmp_path / 'out'
    write(cfg, out, copies=1)
    shutil.copy(out / 'val' / '00000-of-00001.safetensors', out / 'train')
    with pytest.raises(UserError, match='is of another pipeline than the record beside it: remove the file'):
        FeatureDataset(out / 'train')
    trained = _saved(MODELS.build(cfg.model), tmp_path / 'trained.pth')
    with pytest.raises(UserError, match='holds features of `textxfer features`; give --features a file of its own'):
        evaluate(cfg, trained, features=out / 'val' / '00000-of-00001.safetensors')
    shard = out / 'val' / '00000-of-00001.safetensors'
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(UserError, match='is no file of features, or it is damaged'):
        FeatureDataset(out / 'val')


def test_a_config_that_does_not_fit_its_features(cfg, tmp_path):
    out = tmp_path / 'out'
    write(cfg, out)
    made = config_on_features(cfg, out)
    check_datasets(made, ('train', 'val'))
    wrong = copy.deepcopy(made)
    wrong.model.cls_head.classifier.class_names = ['dark']
    with pytest.raises(
        UserError, match=r'out/train of train_dataloader have labels up to 1, but the head has 1 classes'
    ):
        check_datasets(wrong, ('train', 'val'))
    wrong = copy.deepcopy(made)
    wrong.model.backbone.out_channels = 16
    with pytest.raises(UserError, match='are 32 wide, and the backbone says out_channels=16'):
        check_datasets(wrong, ('train',))
    wrong.model.backbone = cfg.model.backbone
    with pytest.raises(UserError, match=r"give dict\(type='IdentityBackbone', out_channels=32\)"):
        check_datasets(wrong, ('train',))
    other = copy.deepcopy(cfg)
    other.model.backbone.pretrained, other.randomness = None, dict(seed=7)
    write(other, tmp_path / 'other', splits=('val',))
    made.val_dataloader.dataset.features = str(tmp_path / 'other' / 'val')
    with pytest.raises(UserError, match='the config asks for'):
        check_datasets(made, ('train', 'val'))
    made.val_dataloader.dataset.weights = None
    with pytest.raises(UserError, match=r'were made by different weights \(\w{12} and \w{12}\): write both'):
        check_datasets(made, ('train', 'val'))
    backbone = MODELS.build(dict(type='IdentityBackbone', out_channels=32))
    with pytest.raises(
        UserError, match=r'takes features .*, not \(2, 3, 4, 32, 32\): its loaders read a FeatureDataset'
    ):
        backbone(torch.zeros(2, 3, 4, 32, 32))


def test_models_that_have_no_frame_features(cfg, tmp_path):
    images = copy.deepcopy(cfg)
    images.model = dict(type='mmpretrain.ImageClassifier', head=dict(type='mmpretrain.LinearClsHead'))
    with pytest.raises(UserError, match='ImageClassifier is a model of images'):
        write(images, tmp_path / 'out')
    several = copy.deepcopy(cfg)
    several.model.backbone = dict(type='ResNet', depth=18, out_indices=(2, 3), pretrained=None)
    several.model = dict(frame_wise(several).model, backbone=several.model.backbone)
    for split in ('train', 'val', 'test'):
        several[f'{split}_dataloader'].dataset.pipeline[-2].input_format = 'NCHW'
    with pytest.raises(UserError, match='ResNet gives 2 feature maps at once; one is kept'):
        write(several, tmp_path / 'out')


def test_trained_on_features_then_put_under_the_backbone(cfg, tmp_path):
    write(cfg, tmp_path / 'out', copies=2)
    made = config_on_features(cfg, tmp_path / 'out')
    made.work_dir = str(tmp_path / 'run')
    made.optim_wrapper.optimizer.lr = 0.1
    before = MODELS.build(made.model).state_dict()
    build_runner(Config.fromstring(made.pretty_text, '.py')).train()
    trained = tmp_path / 'run' / 'epoch_1.pth'
    state = torch.load(trained, weights_only=True)['state_dict']
    assert not any(name.startswith('backbone') for name in state)
    assert any(not torch.equal(before[name], weight) for name, weight in state.items() if name.startswith('neck'))
    file = whole_checkpoint(cfg, trained, tmp_path / 'whole.pth')
    cfg.test_pipeline = cfg.val_dataloader.dataset.pipeline
    model = load_recognizer(cfg, file, device='cpu')
    for name, weight in state.items():
        assert torch.equal(model.state_dict()[name], weight)
    on_features = MODELS.build(made.model).eval()
    on_features.load_state_dict(state)
    dataset = DATASETS.build(made.val_dataloader.dataset)
    scores = on_features.test_step(pseudo_collate([dataset[5]]))[0].pred_score
    (predicted,) = predict_videos(model, [tmp_path / 'videos' / 'good5.mp4'])
    assert predicted.scores == pytest.approx(scores.tolist(), abs=1e-5)
    cfg.model.backbone.pretrained, cfg.randomness = None, dict(seed=7)
    with pytest.raises(UserError, match='was trained on features of other weights'):
        whole_checkpoint(cfg, trained, tmp_path / 'none.pth')
    assert not (tmp_path / 'none.pth').exists()


def test_wrappers_that_select_and_several_labels(cfg, tmp_path):
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=3, dataset=inner)
    write(cfg, tmp_path / 'out')
    made = config_on_features(cfg, tmp_path / 'out').train_dataloader.dataset
    assert (made.type, made.dataset.type) == ('RepeatDataset', 'FeatureDataset')
    shots = DATASETS.build(dict(type='FewShotDataset', shots=2, repeat='none', dataset=made.dataset))
    assert sorted(int(shots[n]['data_samples'].gt_label) for n in range(len(shots))) == [0, 0, 1, 1]
    lines = [f'good{n}.mp4 {n % 2} 2' for n in range(8)]
    (tmp_path / 'videos' / 'several.txt').write_text('\n'.join(lines) + '\n')
    inner.update(ann_file=str(tmp_path / 'videos' / 'several.txt'), multi_class=True, num_classes=4)
    cfg.train_dataloader.dataset = inner
    write(cfg, tmp_path / 'several', splits=('train',), shard_size=3)
    dataset = FeatureDataset(tmp_path / 'several' / 'train')
    assert dataset[3]['data_samples'].gt_label.tolist() == [0, 1, 1, 0]
    assert dataset.num_labels == 4


def test_training_behind_frozen_stages_is_that_on_videos(cfg, tmp_path):
    temporal = dict(type='T1D', stages=[3, 4], init='shift')
    cfg.model.backbone = dict(type='CLIPBackbone', arch=TINY_TIMM, frozen_stages=2, temporal=temporal)
    cfg.model.neck = dict(type='TemporalAveragePool')
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline  # nothing is drawn at random
    torch.manual_seed(3)
    start = MODELS.build(copy.deepcopy(cfg.model))
    before = {name: weight.clone() for name, weight in start.state_dict().items()}
    cfg.load_from = str(_saved(start, tmp_path / 'start.pth'))
    write(cfg, tmp_path / 'out', stage='frozen', splits=('train',), shard_size=3)
    cached = config_on_frozen_stages(cfg, tmp_path / 'out' / 'train')
    check_datasets(cached, ('train', 'val'))
    states, scores = [], []
    for name, made in dict(videos=cfg, cached=cached).items():
        made = copy.deepcopy(made)
        made.work_dir, made.default_hooks.checkpoint = str(tmp_path / name), None
        made.train_dataloader.batch_size, made.train_cfg.val_interval = 4, 1
        runner = build_runner(Config.fromstring(made.pretty_text, '.py'))
        states.append(runner.train().state_dict())
        scores.append(runner.message_hub.get_scalar('val/acc/top1').current())
    moved = [name for name in before if not torch.equal(before[name], states[0][name])]
    assert any(name.startswith('backbone.temporal') for name in moved)
    assert any('running_mean' in name for name in moved)  # of what is trained
    assert not any(name.startswith(('backbone.visual.trunk.conv_stem', 'backbone.visual.trunk.bn1')) for name in moved)
    for name, weight in states[0].items():
        torch.testing.assert_close(states[1][name], weight, atol=1e-5, rtol=1e-4)
    assert scores[0] == scores[1]
    cached.model.backbone.frozen_stages = 1
    with pytest.raises(UserError, match='are those of frozen_stages=2, and the backbone says frozen_stages=1'):
        check_datasets(cached, ('train',))
    cached.model.data_preprocessor.type = 'ActionDataPreprocessor'
    with pytest.raises(UserError, match=r"gets data_preprocessor=dict\(type='FeaturesOrPixels'"):
        check_datasets(cached, ('train',))
    with pytest.raises(UserError, match='holds the output of frozen stages alone'):
        config_on_features(cfg, tmp_path / 'out')
    with pytest.raises(UserError, match='holds features of another weights'):
        write(cfg, tmp_path / 'out', splits=('train',), shard_size=3)


@pytest.mark.parametrize(
    ('launcher', 'variables', 'expected'),
    [
        ('none', {}, (0, 1)),
        ('none', dict(SLURM_PROCID=3, SLURM_NTASKS=8), (0, 1)),  # a shell within an allocation
        ('none', dict(TORCHELASTIC_RUN_ID='x', RANK=3, WORLD_SIZE=8), (3, 8)),
        ('pytorch', dict(RANK=3, WORLD_SIZE=8), (3, 8)),
        ('slurm', dict(SLURM_PROCID=3, SLURM_NTASKS=8), (3, 8)),
        ('mpi', dict(OMPI_COMM_WORLD_RANK=1, OMPI_COMM_WORLD_SIZE=2), (1, 2)),
        ('slurm', dict(SLURM_ARRAY_TASK_ID=5, SLURM_ARRAY_TASK_MIN=1, SLURM_ARRAY_TASK_COUNT=5), (4, 5)),
        (
            'slurm',
            dict(SLURM_ARRAY_TASK_ID=14, SLURM_ARRAY_TASK_MIN=10, SLURM_ARRAY_TASK_STEP=2, SLURM_ARRAY_TASK_COUNT=3)
            | dict(SLURM_STEP_ID=0, SLURM_PROCID=1, SLURM_NTASKS=4),
            (9, 12),
        ),
    ],
)
def test_ranks(monkeypatch, launcher, variables, expected):
    for name in [name for name in os.environ if name.startswith(('SLURM', 'OMPI', 'TORCHELASTIC'))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    assert rank_and_size(launcher) == expected


def test_ranks_that_nobody_gave(monkeypatch):
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    with pytest.raises(UserError, match=r'--launcher slurm: this process was not started by it \(SLURM_PROCID and'):
        rank_and_size('slurm')
    with pytest.raises(UserError, match="--launcher is none, pytorch, slurm, mpi, got 'torchrun'"):
        rank_and_size('torchrun')
