"""Every config: its header, and for those of videos its name, its variables, and a real run at tiny size.

One config of each kind takes a training and a testing step; the others are built, and computed without a step.
"""

import ast
import copy
import gc
import re
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_configs import CONFIGS, IMAGE, ROOT, leaf, load, one_of_each_kind, tiny_run

from textxfer_mm.classifiers.sources import if_known
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.vision import input_cfg, preprocessor_cfg

VIDEO = [c for c in CONFIGS if c not in IMAGE]  # the others are in test_image_configs.py
TEXT4VIS = [c for c in CONFIGS if c.startswith('text4vis')]
#: Whose run is not tested elsewhere.
RUN = [c for c in VIDEO if not c.startswith(('multitrain', 'quickstart'))]
STEPPED = one_of_each_kind(RUN, 'train')
#: Whose classifier is known by its class names.
UNNAMED = ('vision-only', 'multitrain', 'iclip_swin')
NAMED = [c for c in VIDEO if not any(word in c for word in UNNAMED)]
#: By the first of these words that is in the name.
CLASSES = {
    'seen300': 300,
    'kinetics400': 400,
    'ucf101': 101,
    'hmdb51': 51,
    'activitynet': 200,
    'iclip_clip-rn-w16': 144,
    'rendered-scenes': 60,
}
#: Configs whose test has one view.
ONE_VIEW = [c for c in TEXT4VIS if 'activitynet' in c or '-5e_' in c]
#: E.g. text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb
NAME = re.compile(
    r'text4vis_(?P<arch>[^_]+)_(?P<what>.+)_(?P<gpus>\d+)xb(?P<batch>\d+)(-acc(?P<acc>\d+))?'
    r'-u(?P<frames>\d+)-(?P<epochs>\d+)e_(?P<data>[a-z0-9]+)(-split(?P<split>\d))?-rgb'
)
ARCHS = {
    'rn50': 'RN50-quickgelu',
    'vit-b-32': 'ViT-B-32-quickgelu',
    'vit-b-16': 'ViT-B-16-quickgelu',
    'vit-l-14': 'ViT-L-14-quickgelu',
    'vit-l-14-336': 'ViT-L-14-336-quickgelu',
}
#: What takes frames all over a video.
SAMPLED = ('UniformSample', 'SegmentStartSample')
#: What works over time, by the first word behind the encoder: inside it, behind it.
TEMPORAL = {
    'tap': (None, 'TemporalAveragePool'),
    't1d': ('T1D', 'TemporalAveragePool'),
    'token-t1d': ('TokenT1D', 'TemporalAveragePool'),
    'ttrans': (None, 'TemporalTransformer'),
}


@pytest.fixture(autouse=True, scope='module')
def _quick():
    """Most of the time of so small a run is spent on laying out its config for the log, and on collecting garbage."""
    gc.freeze()
    formatted = patch('mmengine.config.config.FormatCode', lambda code, **_: (code, True))
    with formatted, patch('mmengine.dataset.base_dataset.gc.collect', lambda: 0):
        yield
    gc.unfreeze()


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('classifiers')


@pytest.fixture
def build(tmp_path, cache, monkeypatch):
    """A runner of a config at tiny size."""
    monkeypatch.setenv('TEXTXFER_CACHE', str(cache))

    def build(name, folder='.', **options):
        cfg = tiny_run(copy.deepcopy(load(name)), tmp_path / folder, tmp_path / folder / 'work')
        cfg.default_hooks.checkpoint.update(save_best=None, save_optimizer=False)  # a third of the time
        cfg.merge_from_dict(options)
        return Runner.from_cfg(cfg)

    return build


def header_of(name):
    return ast.get_docstring(ast.parse((ROOT / name).read_text()))


def test_there_are_configs():
    assert {Path(c).parts[0] for c in CONFIGS} >= {
        *('iclip', 'image', 'mixing', 'multitrain', 'quickstart', 'rendered_scenes', 'text4vis')
    }


@pytest.mark.parametrize('name', CONFIGS)
def test_header_is_a_reproduction_record(name):
    header = header_of(name)
    assert 'Command:' in header
    assert Path(name).name in header or name.startswith('quickstart')
    assert 'Our status:' in header or 'Measured' in header
    assert not re.findall('@[A-Z_]+@', header)
    for word in header.split():
        if word.startswith(('configs/', 'tools/')):
            assert (ROOT.parent / word).is_file(), f'{name} names {word}'


def depth(file):
    """How many configs lie above one another under a config; a stock config of another package counts as one."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '_base_':
            bases = ast.literal_eval(node.value)
            bases = [bases] if isinstance(bases, str) else bases
            return max(1 if '::' in base else 1 + depth(file.parent / base) for base in bases)
    return 0


@pytest.mark.parametrize('name', CONFIGS)
def test_depth(name):
    assert depth(ROOT / name) <= 2


@pytest.mark.parametrize('name', VIDEO)
def test_variables(name):
    cfg = load(name)
    dataset = leaf(cfg.test_dataloader.dataset)
    assert dataset.pipeline[-1]['type'] == 'PackActionInputs'
    assert 'ann_file' not in dataset or cfg.test_pipeline[-1]['type'] == 'PackActionInputs'


def test_depth_follows_the_bases(tmp_path):
    for name, base in dict(a=None, b='a.py', c=['stock::x.py', 'b.py'], d=['c.py']).items():
        (tmp_path / f'{name}.py').write_text(f'_base_ = {base!r}' if base else 'x = 1')
    assert [depth(tmp_path / f'{name}.py') for name in 'abcd'] == [0, 1, 2, 3]


@pytest.mark.parametrize('name', TEXT4VIS)
def test_name_says_what_is_in_it(name):
    cfg, said = load(name), NAME.fullmatch(Path(name).stem)
    gpus, batch, acc = int(said['gpus']), int(said['batch']), int(said['acc'] or 1)
    assert gpus * batch * acc in (128, 256)
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == acc
    assert cfg.train_cfg.max_epochs == int(said['epochs']) == cfg.param_scheduler[-1].end
    command = f'bash tools/dist_train.sh configs/{name} {gpus} --amp'
    if gpus > 8:
        command = f'GPUS={gpus} bash tools/slurm_train.sh PARTITION text4vis configs/{name} --amp'
    assert command in ' '.join(header_of(name).split())
    for phase, clips in (('train', 1), ('val', 1), ('test', 1 if name in ONE_VIEW else 4)):
        dataset = leaf(cfg[f'{phase}_dataloader'].dataset)
        sample = next(step for step in dataset.pipeline if step['type'] in SAMPLED)
        assert (sample.clip_len, sample.get('num_clips', 1)) == (int(said['frames']), clips)
        assert dataset.pipeline == cfg[f'{phase}_pipeline']
        ann_file, split = dataset.ann_file, said['split']
        assert ann_file == cfg['ann_file_train' if phase == 'train' else 'ann_file_val']
        assert ann_file.startswith(f'data/{said["data"]}/')
        assert ('train' if phase == 'train' else 'val') in ann_file
        assert split is None or f'split_{split}_videos.txt' in ann_file
    if said['arch'] in ARCHS:
        assert cfg.model.backbone.arch == ARCHS[said['arch']]
        encoder = cfg.model.cls_head.get('classifier', {}).get('encoder', {})
        assert encoder.get('arch', cfg.model.backbone.arch) == cfg.model.backbone.arch
    assert f'{said["frames"]} frames' in header_of(name)
    temporal = cfg.model.backbone.get('temporal', {}).get('type')
    assert (temporal, cfg.model.neck.type) == TEMPORAL[said['what'].split('_')[0]]


@pytest.mark.parametrize('name', [c for c in TEXT4VIS if 'released-evaluation' not in c])  # it has tests of its own
def test_frames_have_the_size_of_the_encoder(name):
    cfg = load(name)
    size = input_cfg(cfg.model.backbone.arch, cfg.model.backbone.pretrained)['size']
    steps = {
        phase: {step['type']: step for step in leaf(cfg[f'{phase}_dataloader'].dataset).pipeline}
        for phase in ('train', 'val', 'test')
    }
    assert steps['train']['Resize']['scale'] == size
    assert steps['val']['CenterCrop']['crop_size'] == size[0]
    if name in ONE_VIEW:
        assert steps['test'] == steps['val']
    else:
        assert steps['test']['ThreeCrop']['crop_size'] == size[0]
        assert steps['test']['Resize']['scale'] == (-1, size[0])


@pytest.mark.parametrize('name', STEPPED)
def test_trains_and_tests_one_step(name, build, tmp_path):
    runner = build(name)
    before = {key: p.detach().clone() for key, p in runner.model.named_parameters() if p.requires_grad}
    runner.train()
    if NAME.fullmatch(Path(name).stem):
        check_rates(runner)
        optimizer = runner.optim_wrapper.optimizer
        for key, parameter in runner.model.named_parameters():  # all that is trained got a gradient
            assert (parameter in optimizer.state) == parameter.requires_grad, key
    metrics = runner.test()
    assert 0 <= metrics['acc/top1'] <= 1
    assert 0 <= metrics['acc/mean1'] <= 1
    check_classes(runner, name)
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()
    now = dict(runner.model.named_parameters())
    assert any(not torch.equal(now[key], value) for key, value in before.items() if 'backbone' in key)


@pytest.mark.parametrize('name', [c for c in RUN if c not in STEPPED])
def test_builds_and_computes(name, build):
    """What a step would use, without the step: model, optimizer, data of all phases, loss and scores."""
    runner = build(name)
    model = runner.model
    model.init_weights()
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    if NAME.fullmatch(Path(name).stem):
        check_rates(runner)
    check_classes(runner, name)
    with torch.no_grad():
        batch = next(iter(runner.train_loop.dataloader))
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        assert torch.isfinite(losses['loss_cls'])
        model.eval()
        for loop in (runner.val_loop, runner.test_loop):
            (sample, _) = model.test_step(next(iter(loop.dataloader)))
            assert sample.pred_score.shape == (model.cls_head.num_classes,)
            assert sample.pred_score.sum().item() == pytest.approx(1, abs=1e-3)


def check_rates(runner):
    """The rate is a tenth for pre-trained towers and the scale, full elsewhere."""
    groups = {id(p): group for group in runner.optim_wrapper.optimizer.param_groups for p in group['params']}
    for key, parameter in runner.model.named_parameters():
        slow = key.startswith(('backbone.visual.', 'cls_head.class_rows.tower.')) or key.endswith('logit_scale')
        group = groups[id(parameter)]
        rate = group.get('initial_lr', group['lr'])  # what a scheduler starts from
        assert (rate, group['weight_decay']) == (pytest.approx(5e-6 if slow else 5e-5), 0.2), key


def check_classes(runner, name):
    classes = next(count for data, count in CLASSES.items() if data in Path(name).stem)
    assert runner.model.cls_head.num_classes == classes


@pytest.mark.parametrize(
    'name', [c for c in VIDEO if not c.startswith(('iclip', 'mixing', 'multitrain', 'rendered_scenes'))]
)
def test_frames_are_normalised_as_the_weights_want(name):
    cfg = load(name)
    backbone, pixels = cfg.model.backbone, cfg.model.data_preprocessor
    assert backbone.type == 'CLIPBackbone'
    want = preprocessor_cfg(backbone.arch, backbone.pretrained)
    assert pixels.mean == pytest.approx(want['mean'], abs=1e-4)
    assert pixels.std == pytest.approx(want['std'], abs=1e-4)


@pytest.mark.parametrize('name', NAMED)
def test_classifier_is_known_without_weights(name):
    head = load(name).model.cls_head
    init_default_scope('mmaction')
    source = build_classifier_source(head.classifier)
    assert len(source.class_names) > 1
    assert head.get('embed_dims') or if_known(source, 'embed_dims') in (128, 384, 512, 768, 1024)
    assert 'projection' in head or if_known(source, 'embed_dims') == head.in_channels


def test_a_kinetics_checkpoint_becomes_one_of_ucf101(build, tmp_path):
    """The fine-tuning configs: encoder and neck are the checkpoint's, the classifier is that of the new names."""
    name = 'text4vis/text4vis_vit-l-14_ttrans_32xb8-u8-30e_kinetics400-rgb.py'
    source = build(name, 'k400')
    source.train()
    tuned = 'text4vis/text4vis_vit-l-14_ttrans_8xb16-u8-30e_ucf101-split1-rgb.py'
    assert load(tuned).load_from == f'work_dirs/{Path(name).stem}/epoch_30.pth'
    checkpoint = str(tmp_path / 'k400' / 'work' / 'epoch_1.pth')
    runner = build(tuned, 'ucf', **{'load_from': checkpoint, 'optim_wrapper.optimizer.lr': 0.0})
    runner.train()
    rows = runner.model.cls_head.class_rows
    assert rows.weight.shape == (101, 768)
    assert rows.class_names[0] == 'ApplyEyeMakeup'
    trained = dict(source.model.named_parameters())
    for key, parameter in runner.model.named_parameters():
        torch.testing.assert_close(parameter, trained[key], atol=0, rtol=0)


def test_features_are_read_where_the_command_in_the_header_writes_them():
    name = 'text4vis/text4vis_vit-b-16_ttrans_lda_8xb32-u8-30e_kinetics400-rgb.py'
    classifier = load(name).model.cls_head.classifier
    assert f' {classifier.features} --per-class 60, then bash' in ' '.join(header_of(name).split())


@pytest.mark.parametrize('kind', ['', 'vision-only_'])
def test_configs_of_label_fractions_differ_in_the_fraction_alone(kind):
    name = f'text4vis/text4vis_vit-b-16_tap_{kind}{{}}-percent_8xb32-u8-30e_kinetics400-rgb.py'
    configs = {percent: copy.deepcopy(load(name.format(percent)).to_dict()) for percent in (10, 25, 50)}
    fractions = {percent: cfg['train_dataloader']['dataset'].pop('fraction') for percent, cfg in configs.items()}
    assert fractions == {10: 0.1, 25: 0.25, 50: 0.5}
    assert configs[10] == configs[25] == configs[50]


def test_other_fractions_on_the_command_line():
    cfg = Config.fromfile(ROOT / 'text4vis/text4vis_vit-b-16_tap_10-percent_8xb32-u8-30e_kinetics400-rgb.py')
    assert cfg.train_dataloader.dataset.fraction == 0.1
    cfg.merge_from_dict({'train_dataloader.dataset.fraction': 0.25})
    assert cfg.train_dataloader.dataset.type == 'LabelFractionDataset'
    assert cfg.train_dataloader.dataset.fraction == 0.25
    whole = Config.fromfile(ROOT / 'text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py')
    assert cfg.train_dataloader.dataset.dataset == whole.train_dataloader.dataset


def test_the_switched_augmentation_is_where_the_logs_have_it():
    base = ROOT / '_base_' / 'datasets'
    plain = Config.fromfile(base / 'kinetics400_video_8frames.py')
    switched = Config.fromfile(base / 'kinetics400_video_8frames_randaug.py')
    steps = list(switched.train_pipeline)
    assert steps[3] == dict(type='TorchVisionWrapper', op='RandAugment', num_ops=2, magnitude=9)
    assert steps[2]['type'] == 'TolerantDecordDecode'
    assert steps[8] == dict(type='TorchVisionWrapper', op='RandomGrayscale', p=0.2)
    assert steps[7]['type'] == 'Flip'
    assert [s for s in steps if s['type'] != 'TorchVisionWrapper'] == list(plain.train_pipeline)
    assert switched.train_dataloader.dataset.pipeline == switched.train_pipeline
    assert switched.test_dataloader == plain.test_dataloader
