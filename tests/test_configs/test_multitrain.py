"""The configs of MultiTrain: what their names say, their recipe, and a real run of each at tiny size."""

import ast
import copy
import gc
import math
import re
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmengine.registry import HOOKS, PARAM_SCHEDULERS
from mmengine.runner import Runner
from tiny_configs import CONFIGS, ROOT, leaves, load, tiny_run

from textxfer_mm.models.backbones.multitrain_mvit import MultiTrainMViT

#: The stage of images; all others are of videos.
IMAGES = 'multitrain/multitrain_mvitv2-s_64xb64-90e_imagenet21k-p.py'
MULTITRAIN = [c for c in CONFIGS if c.startswith('multitrain/') and c != IMAGES]
JOINT = [c for c in MULTITRAIN if '-50e_' in c]
#: E.g. multitrain_mvitv2-b_16xb4-acc8-32x3-50e_kinetics400-mit-sthv2-rgb
NAME = re.compile(
    r'multitrain_mvitv2-(?P<arch>[bs])(?P<more>-312|-in21k-p)?(?P<kind>_single|_text)?_(?P<gpus>\d+)xb(?P<batch>\d+)'
    r'(-acc(?P<acc>\d+))?-(?P<frames>\d+)x(?P<interval>\d)-(?P<epochs>\d+)e_(?P<data>[a-z0-9-]+)-rgb'
)
CLASSES = dict(kinetics400=400, kinetics700=700, mit=305, sthv2=174, activitynet=200, mmit=313)

#: A joint run, one with several labels, one with texts, pre-training, and a dataset alone; the others are computed.
STEPPED = [
    'multitrain/multitrain_mvitv2-b_16xb4-acc8-32x3-50e_kinetics400-mit-sthv2-rgb.py',
    'multitrain/multitrain_mvitv2-b_16xb4-acc8-32x3-50e_kinetics700-mmit-activitynet-rgb.py',
    'multitrain/multitrain_mvitv2-b_text_16xb4-acc8-32x3-50e_kinetics400-mit-sthv2-rgb.py',
    'multitrain/multitrain_mvitv2-s_64xb8-16x4-200e_kinetics400-rgb.py',
    'multitrain/multitrain_mvitv2-b_single_16xb4-acc8-32x3-50e_sthv2-rgb.py',
]


@pytest.fixture(autouse=True, scope='module')
def _quick():
    gc.freeze()
    formatted = patch('mmengine.config.config.FormatCode', lambda code, **_: (code, True))
    with formatted, patch('mmengine.dataset.base_dataset.gc.collect', lambda: 0):
        yield
    gc.unfreeze()


@pytest.fixture
def run(tmp_path):
    """A runner of a config at tiny size: real videos, stages of one block, the heads as they are."""

    def build(name, **options):
        cfg = tiny_run(copy.deepcopy(load(name)), tmp_path, tmp_path / 'work')
        cfg.default_hooks.checkpoint.update(save_best=None, save_optimizer=False)
        cfg.merge_from_dict(options)
        return Runner.from_cfg(cfg)

    return build


def header_of(name):
    return ' '.join(ast.get_docstring(ast.parse((ROOT / name).read_text())).split())


def head_datasets(cfg):
    """The classes of a head, by dataset."""
    head = cfg.model.cls_head
    if 'datasets' not in head:
        return head.num_classes
    return {name: one.get('num_classes', CLASSES[name]) for name, one in head.datasets.items()}


@pytest.mark.parametrize('name', MULTITRAIN)
def test_name_says_what_is_in_it(name):
    cfg, said, header = load(name), NAME.fullmatch(Path(name).stem), header_of(name)
    gpus, batch, acc = int(said['gpus']), int(said['batch']), int(said['acc'] or 1)
    assert gpus * batch * acc == 512
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == acc
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch
    assert cfg.train_cfg.max_epochs == int(said['epochs']) == cfg.param_scheduler[-1].end
    assert f'GPUS={gpus} bash tools/slurm_train.sh PARTITION multitrain configs/{name} --amp' in header
    names = said['data'].split('-')
    for phase in ('train', 'val', 'test'):
        loader = cfg[f'{phase}_dataloader']
        assert [one.name for one in loader.dataset.datasets] == names
        for one in loader.dataset.datasets:
            sample = one.dataset.pipeline[1]
            assert sample.clip_len == int(said['frames'])
            if one.name != 'sthv2':
                assert (sample.frame_interval, sample.target_fps) == (int(said['interval']), 30)
        assert (phase == 'train') == ('batch_sampler' not in loader)
    assert cfg.test_pipeline == cfg.test_dataloader.dataset.datasets[0].dataset.pipeline
    classes = head_datasets(cfg)
    assert classes == ({n: CLASSES[n] for n in names} if isinstance(classes, dict) else CLASSES[said['data']])


@pytest.mark.parametrize('name', MULTITRAIN)
def test_the_backbone_is_that_of_the_name(name):
    cfg, said = load(name), NAME.fullmatch(Path(name).stem)
    with torch.device('meta'):
        model = MultiTrainMViT(**{key: value for key, value in cfg.model.backbone.items() if key != 'type'})
    side = (312 if said['more'] == '-312' else 224) // 4
    assert len(model.blocks) == dict(b=24, s=16)[said['arch']]
    assert (model.pos_s.shape[1], model.pos_t.shape[1]) == (side**2, int(said['frames']) // 2)
    assert model.out_channels == cfg.model.cls_head.in_channels
    joint = said['epochs'] == '50'
    assert model.blocks[-1].drop_path.drop_prob == pytest.approx(0.1 if joint else 0.3)
    for loader, last in ((cfg.train_dataloader, 'Resize'), (cfg.test_dataloader, 'crop')):
        for dataset in leaves(loader.dataset):
            steps = dataset.pipeline[-1].get('transforms', dataset.pipeline)
            sizes = [
                step.get('crop_size', step.get('scale')) for step in steps if last in step.type.lower() + step.type
            ]
            sizes = [size for size in sizes if size]
            assert sizes[-1] in (4 * side, (4 * side, 4 * side)), (dataset.ann_file, sizes)


@pytest.mark.parametrize('name', JOINT)
def test_runs_start_from_a_config_that_is_shipped(name):
    cfg = load(name)
    source, epoch = re.fullmatch(r'work_dirs/(.+)/epoch_(\d+)\.pth', cfg.load_from).groups()
    start = load(f'multitrain/{source}.py')
    assert start.train_cfg.max_epochs == int(epoch)
    assert start.model.backbone.arch == cfg.model.backbone.arch
    assert start.model.backbone.temporal_size == cfg.model.backbone.temporal_size


def test_the_runs_of_the_paper_differ_in_what_the_supplementary_says():
    released = load('multitrain/multitrain_mvitv2-b_16xb4-acc8-32x3-50e_kinetics400-mit-sthv2-rgb.py')
    paper = load('multitrain/multitrain_mvitv2-b_128xb4-32x3-50e_kinetics400-mit-sthv2-activitynet-rgb.py')
    assert (released.model.cls_head.get('expander_channels', 4096), paper.model.cls_head.expander_channels) == (
        4096,
        2048,
    )
    views = {'CenterCrop': 1, 'ThreeCrop': 3, 'FullResThreeCrop': 3}
    found = {}
    for cfg, key in ((released, 'released'), (paper, 'paper')):
        for one in cfg.test_dataloader.dataset.datasets:
            steps = one.dataset.pipeline
            crops = next(views[step.type] for step in steps if step.type in views)
            found[key, one.name] = (steps[1].get('num_clips', 1), crops)
    assert [found['released', n] for n in ('kinetics400', 'mit', 'sthv2')] == [(5, 1), (2, 3), (1, 3)]
    assert {found['paper', n] for n in ('kinetics400', 'mit', 'sthv2', 'activitynet')} == {(3, 3)}


def test_the_run_with_several_labels_has_the_released_weights():
    cfg = load('multitrain/multitrain_mvitv2-b_16xb4-acc8-32x3-50e_kinetics700-mmit-activitynet-rgb.py')
    datasets = cfg.model.cls_head.datasets
    assert [(one.get('loss', 'ce'), one.get('weight', 1)) for one in datasets.values()] == [
        ('ce', 1),
        ('bce', 10),
        ('ce', 1),
    ]


def test_something_something_is_never_flipped_and_alone_not_erased():
    for name in MULTITRAIN:
        cfg = load(name)
        for one in cfg.train_dataloader.dataset.datasets:
            kinds = {step.type for step in one.dataset.pipeline[-1].transforms}
            assert ('Flip' in kinds) == (one.name != 'sthv2'), name
            alone = '_single' in name and one.name == 'sthv2'
            assert ('TimmRandAugment' in kinds, 'RandomErasing' in kinds) == ((not alone,) * 2), name


@pytest.mark.parametrize('name', MULTITRAIN)
def test_the_best_checkpoint_is_the_one_of_the_largest_number(name):
    hook = HOOKS.build(load(name).default_hooks.checkpoint)
    assert hook.rules == ['greater']


@pytest.mark.parametrize('name', STEPPED)
def test_trains_and_tests_one_epoch(name, run, tmp_path):
    """On two videos a dataset: every parameter is trained, at the rate and decay of the recipe."""
    runner = run(name)
    cfg, said = load(name), NAME.fullmatch(Path(name).stem)
    before = {key: p.detach().clone() for key, p in runner.model.named_parameters()}
    rate = 1.6e-3 if said['epochs'] == '200' else 2e-4
    runner.train()
    optimizer = runner.optim_wrapper.optimizer
    groups = {id(p): group for group in optimizer.param_groups for p in group['params']}
    for key, parameter in runner.model.named_parameters():
        assert parameter in optimizer.state, f'{key} got no gradient'
        group = groups[id(parameter)]
        assert group['initial_lr'] == rate, key
        assert group['weight_decay'] == (0.0 if parameter.ndim <= 1 else 0.05), key
    assert any(not torch.equal(p, before[key]) for key, p in runner.model.named_parameters() if 'backbone' in key)
    metrics = runner.test()
    best = cfg.default_hooks.checkpoint.save_best
    assert 0 <= metrics[best] <= 1
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()


@pytest.mark.parametrize('name', [c for c in MULTITRAIN if c not in STEPPED])
def test_builds_and_computes(name, run):
    """What a step would use, without the step: data of all phases, losses of a batch of copies, and scores."""
    runner = run(name)
    model = runner.model
    model.init_weights()
    runner.build_optim_wrapper(runner.optim_wrapper)
    batch = next(iter(runner.train_loop.dataloader))
    assert len(batch['inputs']) == 4
    with torch.no_grad():
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        assert all(torch.isfinite(value) for key, value in losses.items() if 'loss' in key)
        model.eval()
        for loop in (runner.val_loop, runner.test_loop):
            batch = next(iter(loop.dataloader))
            (sample, _) = model.test_step(batch)
            assert sample.pred_score.shape == (CLASSES[sample.dataset_name],)
            assert sample.pred_score.sum().item() == pytest.approx(1, abs=1e-3)


def test_images_as_clips_are_where_the_videos_start(run, tmp_path):
    """The stage of images takes a step and is tested; that of videos repeats its time, and has a new head."""
    name = 'multitrain/multitrain_mvitv2-s-in21k-p_64xb8-16x4-75e_kinetics400-rgb.py'
    images, videos = load(IMAGES), load(name)
    assert videos.load_from == f'work_dirs/{Path(IMAGES).stem}/epoch_{images.train_cfg.max_epochs}.pth'
    assert 64 * images.train_dataloader.batch_size == images.auto_scale_lr.base_batch_size == 4096
    assert {**images.model.backbone, 'temporal_size': 16} == videos.model.backbone
    assert images.param_scheduler[-1].end == images.train_cfg.max_epochs
    first = run(IMAGES, work_dir=str(tmp_path / 'images'))
    first.train()
    assert set(first.test()) == {'acc/top1', 'acc/top5', 'acc/mean1'}
    told = first.model.backbone
    second = run(name, load_from=str(tmp_path / 'images' / 'epoch_1.pth'))
    second.load_or_resume()
    ours = second.model.backbone
    assert (told.pos_t.shape[1], ours.pos_t.shape[1]) == (1, 4)
    torch.testing.assert_close(ours.pos_t, told.pos_t.expand_as(ours.pos_t))
    theirs = {key: value for key, value in told.state_dict().items() if key != 'pos_t'}
    for key, value in theirs.items():
        assert torch.equal(ours.state_dict()[key], value), key


def test_rates_follow_the_papers_schedule():
    """Warm-up from 2e-6 over 10 epochs to 2e-4, then a cosine down to 2e-6."""
    cfg = copy.deepcopy(load(JOINT[0]))
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=1.0, norm_type=2)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(one, convert_to_iter_based=False), default_args=dict(optimizer=optimizer))
        for one in cfg.param_scheduler
    ]
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]['lr'])
        for scheduler in schedulers:
            scheduler.step()
    assert rates[0] == pytest.approx(2e-6)
    assert rates[:10] == pytest.approx([2e-6 + 198e-6 * epoch / 9 for epoch in range(10)])
    cosine = [2e-6 + 99e-6 * (1 + math.cos(math.pi * epoch / 40)) for epoch in range(40)]
    assert rates[10:] == pytest.approx(cosine, rel=1e-3)
