"""Checkpoints of MultiTrain's released code become recognizers that compute what the authors' model computes."""

import sys
from pathlib import Path

import pytest
import torch
from authors_multitrain import (
    CLASSES,
    EXPANDED,
    FRAMES,
    GRID,
    HIDDEN,
    OUT,
    SIZE,
    WIDTH,
    clips,
    features,
    head_shapes,
    linear,
    mlp,
    random_weights,
    shapes,
)
from mmengine.registry import init_default_scope
from scripts import load_script

from textxfer_mm.convert.conversion import convert_checkpoint
from textxfer_mm.convert.multitrain import MultiTrainConversion, convert_multitrain
from textxfer_mm.convert.multitrain_summary import report
from textxfer_mm.convert.reverse import reverse_checkpoint
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS

from mmaction.structures import ActionDataSample  # isort: skip  (after the registry: it repairs mmaction first)


@pytest.fixture
def weights():
    return random_weights()


def save(path, weights, **beside):
    """A file as the authors' trainer writes it: the weights under ``model_state``, named by DDP."""
    state = {f'module.{name}': value for name, value in weights.items()}
    torch.save(dict(epoch=49, model_state=state, cfg='NUM_GPUS: 8', **beside), path)
    return path


def convert(tmp_path, weights, **options):
    return convert_multitrain(save(tmp_path / 'theirs.pyth', weights), tmp_path / 'ours.pth', **options)


def recognizer(done):
    init_default_scope('mmaction')
    model = MODELS.build(dict(type='mmaction.Recognizer3D', backbone=done.backbone, cls_head=done.head))
    load_fully(model, load_checkpoint_file(done.dst)['state_dict'], done.dst)
    return model.eval()


def samples(dataset):
    made = [ActionDataSample() for _ in range(2)]
    for sample in made:
        sample.set_metainfo(dict(dataset_name=dataset))
    return made


def test_scores_of_every_dataset_are_those_of_the_authors_model(tmp_path, weights):
    done = convert(tmp_path, weights)
    assert done.datasets == CLASSES
    model = recognizer(done)
    x = clips()
    with torch.no_grad():
        found = features(weights, x)
        torch.testing.assert_close(model.cls_head.pooled(model.backbone(x), 2).mean(1), found, atol=1e-5, rtol=0)
        for name in CLASSES:
            want = mlp(found, weights, f'head.projections.{name}')
            predicted = model(x[:, None], samples(name), mode='predict')
            got = torch.stack([sample.pred_score for sample in predicted])
            torch.testing.assert_close(got, want.softmax(-1), atol=1e-5, rtol=0)


def test_projections_and_expander_are_those_of_the_authors_model(tmp_path, weights):
    head = recognizer(convert(tmp_path, weights)).cls_head
    x = torch.randn(3, OUT)
    with torch.no_grad():
        logits = {name: mlp(x, weights, f'head.projections.{name}') for name in CLASSES}
        projected = head.training_only['projections'](logits)
        assert set(projected) == {(a, d) for a in CLASSES for d in CLASSES if a != d}
        for (a, d), got in projected.items():
            want = linear(logits[a], weights, f'head.cross_dataset_heads.{a}_{d}')
            torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
        want = mlp(x, weights, 'expander')
        torch.testing.assert_close(head.training_only['expander'](x), want, atol=1e-5, rtol=0)


def test_every_entry_is_written_once(tmp_path, weights):
    done = convert(tmp_path, weights)
    loaded = load_checkpoint_file(done.dst)
    assert done.entries == len(loaded['state_dict']) == len(weights)
    sums = sorted(value.double().sum().item() for value in loaded['state_dict'].values())
    assert sums == pytest.approx(sorted(value.double().sum().item() for value in weights.values()))
    assert loaded['meta']['source'] == 'multitrain'
    assert loaded['meta']['datasets'] == CLASSES


def test_a_published_file_has_no_projections_and_no_expander(tmp_path, weights):
    kept = {name: value for name, value in weights.items() if 'cross' not in name and 'expander' not in name}
    model = recognizer(convert(tmp_path, kept))
    assert not list(model.cls_head.training_only.parameters())


def test_half_precision_becomes_float32(tmp_path, weights):
    done = convert(tmp_path, {name: value.half() for name, value in weights.items()})
    assert {value.dtype for value in load_checkpoint_file(done.dst)['state_dict'].values()} == {torch.float32}


@pytest.mark.parametrize('pre', ['head.', '', 'head.multi.heads.'])
def test_containers_may_be_called_otherwise(tmp_path, weights, pre):
    for old in ('head.projections.', 'head.cross_dataset_heads.'):
        weights = {name.replace(old, pre): value for name, value in weights.items()}
    for old, new in (('expander.fc1', 'inf_expander.0'), ('expander.fc2', 'inf_expander.2')):
        weights = {name.replace(old, new): value for name, value in weights.items()}
    done = convert(tmp_path, weights)
    assert done.datasets == CLASSES
    recognizer(done)


@pytest.mark.parametrize('names', [('something_v2', 'a.b', 'k'), ('a_b', 'c', 'd_e')])
def test_datasets_are_renamed(tmp_path, weights, names):
    """Also to names with dots; and files of others may have a _ in their names."""
    done = convert(tmp_path, weights, renamed=dict(zip(CLASSES, names, strict=True)))
    assert done.datasets == dict(zip(names, CLASSES.values(), strict=True))
    recognizer(done)
    if '.' not in ''.join(names):
        theirs = head_shapes(dict(zip(names, CLASSES.values(), strict=True)))
        backbone = {name: value for name, value in weights.items() if name in shapes(heads=False)}
        again = convert(tmp_path, backbone | {name: torch.zeros(shape) for name, shape in theirs.items()})
        assert again.datasets == done.datasets
        recognizer(again)


def test_an_unknown_dataset_is_not_renamed(tmp_path, weights):
    with pytest.raises(UserError, match=r"no dataset 'kinetic' to rename\. Did you mean: kinetics"):
        convert(tmp_path, weights, renamed=dict(kinetic='k400'))
    assert not (tmp_path / 'ours.pth').exists()


def test_a_linear_head_is_one_for_i3d_head(tmp_path):
    weights = random_weights(heads=False)
    weights |= {'head.projection.weight': torch.randn(6, OUT), 'head.projection.bias': torch.randn(6)}
    done = convert(tmp_path, weights)
    assert done.head == dict(type='mmaction.I3DHead', in_channels=OUT, num_classes=6, average_clips='prob')
    model, x = recognizer(done), clips()
    with torch.no_grad():
        want = linear(features(weights, x), weights, 'head.projection').softmax(-1)
        predicted = model(x[:, None], [ActionDataSample() for _ in range(2)], mode='predict')
    torch.testing.assert_close(torch.stack([sample.pred_score for sample in predicted]), want, atol=1e-5, rtol=0)


def test_a_backbone_alone(tmp_path):
    done = convert(tmp_path, random_weights(heads=False))
    assert done.head is None
    assert any('head: none in the file' in line for line in report(done))


BROKEN = {
    'missing': (lambda w: w.pop('blocks.3.attn.norm_k.bias'), r'1 missing: backbone\.blocks\.3\.attn\.norm_k\.bias'),
    'missing head': (lambda w: w.pop('head.projections.mit.fc2.weight'), r'1 missing: cls_head\.heads\.mit\.fc2'),
    'missing pair': (
        lambda w: w.pop('head.cross_dataset_heads.mit_ssv2.weight'),
        r'1 missing: cls_head\.training_only\.projections\.maps\.mit\.ssv2\.weight \(ours\)',
    ),
    'unexpected': (lambda w: w.update({'mtl_sigma': torch.ones(3)}), r'1 unexpected: mtl_sigma'),
    'unexpected block': (
        lambda w: w.update({'blocks.0.attn.rel_pos_h': torch.ones(3)}),
        r'1 unexpected: blocks\.0\.attn\.rel_pos_h\. .* neither relative positions nor a class token',
    ),
    'class token': (
        lambda w: w.update({'cls_token': torch.ones(1, 1, WIDTH)}),
        r'1 unexpected: cls_token\. .*SlowFast',
    ),
    'unknown pair': (
        lambda w: w.update({'head.cross_dataset_heads.mit_anet.weight': torch.ones(3, 4)}),
        r'1 unexpected: head\.cross_dataset_heads\.mit_anet\.weight',
    ),
    'shape': (
        lambda w: w.update({'head.cross_dataset_heads.mit_ssv2.weight': torch.ones(4, 3)}),
        r'1 of another shape: head\.cross_dataset_heads\.mit_ssv2\.weight is \(4, 3\), not \(3, 4\)',
    ),
    'integers': (
        lambda w: w.update({'norm.bias': torch.ones(OUT).int()}),
        r'1 not of plain floating-point numbers: norm\.bias is torch\.int32',
    ),
    'not finite': (lambda w: w['pos_embed_spatial'].fill_(torch.nan), r'not finite \(pos_embed_spatial\)'),
    'no square': (
        lambda w: w.update(pos_embed_spatial=torch.ones(1, 60, WIDTH)),
        r'does not tell an MViTv2 of MultiTrain',
    ),
    'no patches': (lambda w: w.pop('patch_embed.proj.weight'), r'does not tell an MViTv2 of MultiTrain'),
}


@pytest.mark.parametrize('case', BROKEN)
def test_what_does_not_fit_is_told_and_nothing_written(tmp_path, weights, case):
    breaking, message = BROKEN[case]
    breaking(weights)
    with pytest.raises(UserError, match=message):
        convert(tmp_path, weights)
    assert not (tmp_path / 'ours.pth').exists()


def test_other_sources_name_this_one_and_this_one_refuses_others(tmp_path, weights):
    src = save(tmp_path / 'theirs.pyth', weights)
    with pytest.raises(UserError, match=r'looks like .* Give --source multitrain'):
        convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    with pytest.raises(UserError, match='convert_multitrain'):
        convert_checkpoint(src, tmp_path / 'ours.pth', source='multitrain')
    torch.save({'visual.proj': torch.ones(2, 2)}, tmp_path / 'clip.pt')
    with pytest.raises(UserError, match=r'does not tell .* found visual\.proj'):
        convert_multitrain(tmp_path / 'clip.pt', tmp_path / 'ours.pth')
    with pytest.raises(UserError, match='SRC and DST are one file'):
        convert_multitrain(src, src)
    with pytest.raises(UserError, match='that of multitrain is read, not written'):
        reverse_checkpoint(src, tmp_path / 'back.pyth', source='multitrain')


def test_the_command_says_what_it_found_and_assumes(tmp_path, weights, monkeypatch, capsys):
    src = save(tmp_path / 'theirs.pyth', weights)
    tool = load_script('tools/model_converters/convert_checkpoint.py')
    arguments = ['--source', 'multitrain', str(src), str(tmp_path / 'ours.pth'), '--rename', 'kinetics=k400']
    monkeypatch.setattr(sys, 'argv', ['convert_checkpoint.py', *arguments])
    tool.main()
    said = capsys.readouterr().out
    assert f'{FRAMES} frames of {SIZE} pixels' in said
    assert 'blocks that pool the queries: 1, 2, 4' in said
    assert 'head: k400 6, mit 4, ssv2 3 classes; projections of 6 pairs, an expander' in said
    assert 'classes of k400: 6 in an order that the file does not say' in said
    assert f'all {len(weights)} entries of the file were written.' in said
    assert 'No shipped config has this model.' in said


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--source', 'openai', '--rename', 'a=b'], '--rename needs --source multitrain'),
        (['--source', 'multitrain', '--rename', 'a'], 'pairs like kinetics=k400'),
        (['--source', 'multitrain', '--arch', 'base'], 'whose weights tell it'),
    ],
)
def test_options_that_say_nothing_are_refused(arguments, message, monkeypatch, capsys):
    tool = load_script('tools/model_converters/convert_checkpoint.py')
    monkeypatch.setattr(sys, 'argv', ['convert_checkpoint.py', 'a.pth', 'b.pth', *arguments])
    with pytest.raises(SystemExit):
        tool.parse_args()
    assert message in capsys.readouterr().err


def test_sizes_are_told(tmp_path, weights):
    done = convert(tmp_path, weights)
    assert done.backbone == dict(
        type='MultiTrainMViT',
        arch=dict(embed_dims=WIDTH, num_layers=5, num_heads=1, downscale_indices=[1, 2, 4]),
        temporal_size=2 * GRID[0],
        spatial_size=SIZE,
    )
    assert (done.head['hidden_channels'], done.head['expander_channels']) == (HIDDEN, EXPANDED)


def conversion(datasets, **backbone):
    """The conversion of a file of the released size, of which nothing is written."""
    head = dict(type='MultiDatasetHead', datasets={name: dict(num_classes=k) for name, k in datasets.items()})
    backbone = dict(type='MultiTrainMViT', arch='base', temporal_size=32, **backbone)
    return MultiTrainConversion(Path('theirs.pyth'), Path('ours.pth'), backbone, head, (2, 5, 21), 1)


def test_the_shipped_config_is_named_and_the_order_of_its_classes():
    said = report(conversion(dict(kinetics400=400, mit=305, sthv2=174)))
    config = 'configs/multitrain/multitrain_mvitv2-b_16xb4-acc8-32x3-50e_kinetics400-mit-sthv2-rgb.py'
    assert said[-1] == f'test: python tools/test.py {config} ours.pth'
    assert "classes of kinetics400: ASSUMED to be in the order of the list 'kinetics400'" in '\n'.join(said)


def test_names_of_datasets_that_no_config_has_are_told():
    said = report(conversion(dict(kinetics=400, mit=305, ssv2=174)))
    assert said[-1].endswith('convert again with --rename kinetics=kinetics400 ssv2=sthv2')
    larger = report(conversion(dict(kinetics400=400, mit=305, sthv2=174, activitynet=200), spatial_size=312))
    assert 'b-312_256xb2' in larger[-1]
    assert 'No shipped config has this model' in report(conversion(dict(a=7)))[-3]
