"""Checkpoints of others: the recognizer computes what the authors' model does, and whatever does not fit is told."""

import argparse
import dataclasses
import itertools
import json
import pickle
import resource
import shlex
from pathlib import Path

import open_clip
import pytest
import torch
from authors_text4vis import RN_SIZE, SIZE, D, logits, random_weights, video_features
from converted import TEXT, WIDER_RESNET, WIDER_VIT, T, clip_model, compare_with_clip, recognizer, scores, videos
from mmengine.config import Config
from safetensors.torch import save_file
from tiny import TINY_TIMM
from tiny_configs import ROOT

from textxfer_mm.convert.arch import recognize_arch
from textxfer_mm.convert.conversion import convert_checkpoint
from textxfer_mm.convert.reverse import reverse_checkpoint
from textxfer_mm.convert.summary import fitting_configs, report
from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.engine.launch import add_config_options
from textxfer_mm.errors import UserError
from textxfer_mm.vision.towers import build_vision_tower

#: The models of Table 2: how the random weights are made.
MODELS_OF_TABLE_2 = {
    'TAP': dict(),
    'T-Trans': dict(fusion=True),
    'TokenT1D': dict(control_point=True),
    'TokenT1D and T-Trans': dict(control_point=True, fusion=True),
    'RN TAP': dict(tower='resnet'),
    'RN T-Trans': dict(tower='resnet', fusion=True),
}


def save(path, weights, **others):
    torch.save(dict(model_state_dict=weights, **others), path)
    return path


@pytest.fixture
def src(tmp_path):
    """A T-Trans checkpoint of the authors."""
    return save(tmp_path / 'authors.pt', random_weights(fusion=True))


# ------------------------------------------------------------------------------------------------------------ parity


@pytest.mark.parametrize('kind', MODELS_OF_TABLE_2.values(), ids=MODELS_OF_TABLE_2)
def test_logits_are_those_of_the_authors_model(kind, tmp_path):
    weights = random_weights(**kind)
    done = convert_checkpoint(save(tmp_path / 'a.pt', weights), tmp_path / 'ours.pth', source='text4vis')
    assert (done.temporal == dict(type='TokenT1D')) == bool(kind.get('control_point'))
    assert (done.neck['type'] == 'TemporalTransformer') == bool(kind.get('fusion'))
    model = recognizer(done)
    video = videos(model)
    assert video.shape[-1] == (RN_SIZE if kind.get('tower') == 'resnet' else SIZE)
    expected = logits(weights, video, TEXT)
    assert expected.std() > 1  # there is something to compare
    torch.testing.assert_close(scores(model, video[:, None]), expected, atol=2e-5, rtol=1e-5)


def test_the_learned_scale_comes_along(src, tmp_path):
    """Testing takes 100, as the authors' code; ``test_scale=None`` takes exp(logit_scale) of the checkpoint."""
    done = convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    model = recognizer(done, test_scale=None)
    video, weights = videos(model), random_weights(fusion=True)
    expected = logits(weights, video, TEXT, scale=torch.tensor(4.5).exp())
    torch.testing.assert_close(scores(model, video[:, None]), expected, atol=2e-5, rtol=1e-5)


def test_views_are_averaged_before_they_are_normalised(src, tmp_path):
    done = convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    model, weights = recognizer(done, average_clips='feature'), random_weights(fusion=True)
    views = torch.stack([videos(model, seed=seed) for seed in range(3)], dim=1)  # (N, V, 3, T, H, W)
    features = torch.stack([video_features(weights, view) for view in views.unbind(1)]).mean(0)
    expected = (100 * torch.nn.functional.normalize(features, dim=-1) @ TEXT.t()).softmax(-1)
    torch.testing.assert_close(scores(model, views), expected, atol=1e-5, rtol=1e-4)


def test_half_precision_becomes_float32(tmp_path):
    weights = {name: value.half() if value.ndim > 1 else value for name, value in random_weights(fusion=True).items()}
    done = convert_checkpoint(save(tmp_path / 'a.pt', weights), tmp_path / 'ours.pth', source='text4vis')
    model = recognizer(done)
    assert {value.dtype for value in load_checkpoint_file(done.dst)['state_dict'].values()} == {torch.float32}
    expected = logits({name: value.float() for name, value in weights.items()}, videos(model), TEXT)
    torch.testing.assert_close(scores(model, videos(model)[:, None]), expected, atol=2e-5, rtol=1e-5)


def wrapped(weights):
    return {f'module.{name}': value for name, value in weights.items()}


def apart(weights, prefix=''):
    """``fusion_model.*`` in an entry of its own."""
    fusion = {n.removeprefix('fusion_model.'): v for n, v in weights.items() if n.startswith('fusion_model.')}
    rest = {n: v for n, v in weights.items() if not n.startswith('fusion_model.')}
    fusion = {prefix + name: value for name, value in fusion.items()}
    return dict(model_state_dict=rest, fusion_model_state_dict=fusion)


@pytest.mark.parametrize(
    'form',
    [
        lambda weights: dict(model_state_dict=wrapped(weights), epoch=30),
        lambda weights: apart(weights),
        lambda weights: apart(weights, 'module.'),
        lambda weights: dict(state_dict=weights),
        lambda weights: weights,
        lambda weights: {f'_orig_mod.{name}': value for name, value in wrapped(weights).items()},
    ],
    ids=['module.', 'fusion apart', 'fusion apart, module.', 'state_dict', 'bare', 'compiled module.'],
)
def test_forms_of_a_file(form, src, tmp_path):
    torch.save(form(random_weights(fusion=True)), tmp_path / 'other.pt')
    convert_checkpoint(src, tmp_path / 'one.pth', source='text4vis')
    convert_checkpoint(tmp_path / 'other.pt', tmp_path / 'two.pth', source='text4vis')
    one, two = (load_checkpoint_file(tmp_path / name)['state_dict'] for name in ('one.pth', 'two.pth'))
    assert set(one) == set(two)
    assert all(torch.equal(one[name], two[name]) for name in one)


# -------------------------------------------------------------------------------------------------- whole CLIP models


@pytest.mark.parametrize('config', [WIDER_VIT, WIDER_RESNET], ids=['vit', 'resnet'])
def test_openai_archives(config, tmp_path):
    model = clip_model(config)
    example = torch.zeros(1, 3, *[config['vision_cfg']['image_size']] * 2)
    archive = torch.jit.trace(model, (example, torch.zeros(1, 77, dtype=torch.long)), check_trace=False)
    torch.jit.save(archive, tmp_path / 'RN50.pt')
    done = convert_checkpoint(tmp_path / 'RN50.pt', tmp_path / 'ours.pth', source='openai')
    assert done.neck == dict(type='TemporalAveragePool')
    compare_with_clip(done, model)
    text = '\n'.join(report(done))
    assert 'left out, the text tower, which belongs to the classifier: ' in text


def test_openai_state_dicts_with_their_scalars(tmp_path):
    model = clip_model(WIDER_VIT)
    scalars = {name: torch.tensor(77) for name in ('input_resolution', 'context_length', 'vocab_size')}
    torch.save({**model.half().state_dict(), **scalars}, tmp_path / 'a.pt')
    done = convert_checkpoint(tmp_path / 'a.pt', tmp_path / 'ours.pth', source='openai')
    compare_with_clip(done, model.float())


def test_open_clip_files(tmp_path):
    model = clip_model(dict(WIDER_VIT, quick_gelu=False))
    save_file(model.state_dict(), tmp_path / 'a.safetensors')
    done = convert_checkpoint(tmp_path / 'a.safetensors', tmp_path / 'ours.pth', source='open_clip')
    compare_with_clip(done, model)
    assert 'activation: GELU is assumed, weights do not tell' in '\n'.join(report(done))


def test_timm_towers_need_their_name(tmp_path):
    config = dict(TINY_TIMM, embed_dim=D)
    model = clip_model(config)
    torch.save(dict(state_dict=wrapped(model.state_dict())), tmp_path / 'a.pt')
    with pytest.raises(UserError, match=r'architecture of .*a\.pt cannot be told from its names .* give --arch'):
        convert_checkpoint(tmp_path / 'a.pt', tmp_path / 'ours.pth', source='open_clip')
    (tmp_path / 'arch.json').write_text(json.dumps(config))
    done = convert_checkpoint(
        tmp_path / 'a.pt', tmp_path / 'ours.pth', source='open_clip', arch=str(tmp_path / 'arch.json')
    )
    compare_with_clip(done, model)


def actionclip(config=WIDER_VIT):
    """ActionCLIP saves a whole CLIP, and its temporal module from a DataParallel."""
    fusion = {n: v for n, v in random_weights(fusion=True).items() if n.startswith('fusion_model.')}
    return apart({**clip_model(config).state_dict(), **fusion}, 'module.')


def test_actionclip_files(tmp_path):
    raw = actionclip()
    torch.save(dict(raw, epoch=50), tmp_path / 'a.pt')
    done = convert_checkpoint(tmp_path / 'a.pt', tmp_path / 'ours.pth', source='actionclip')
    assert done.neck == dict(type='TemporalTransformer', in_channels=D, num_heads=1)  # its text tower is 64 wide
    state = load_checkpoint_file(done.dst)['state_dict']
    for name, value in raw['fusion_model_state_dict'].items():
        assert torch.equal(state[name.replace('module.', 'neck.layers.')], value)
    assert torch.equal(state['backbone.visual.proj'], raw['model_state_dict']['visual.proj'])
    assert done.has_text


# --------------------------------------------------------------------------------------------------- what is recognised

OPENAI = ('RN50', 'RN101', 'RN50x4', 'RN50x16', 'RN50x64', 'ViT-B-32', 'ViT-B-16', 'ViT-L-14', 'ViT-L-14-336')


@pytest.mark.parametrize('name', OPENAI)
def test_openai_architectures_are_recognised(name, tmp_path):
    with torch.device('meta'):
        _, _, tower = build_vision_tower(name)
    state = tower.state_dict()
    known = recognize_arch(state, quick_gelu=True, text_width=None, path=tmp_path)
    assert (known.arch, known.image_size, known.quick_gelu) == (f'{name}-quickgelu', None, True)
    assert known.text_heads == open_clip.get_model_config(name)['text_cfg']['heads']
    plain = recognize_arch(state, quick_gelu=None, text_width=None, path=tmp_path)
    assert (plain.arch, plain.quick_gelu) == (name, False)
    assert f'{name}-quickgelu' in plain.others


def test_another_input_size_is_recognised(tmp_path):
    with torch.device('meta'):
        _, _, tower = build_vision_tower('ViT-B-16', 384)
    known = recognize_arch(tower.state_dict(), quick_gelu=True, text_width=None, path=tmp_path)
    assert (known.arch, known.image_size) == ('ViT-B-16-quickgelu', 384)


def test_some_blocks_with_token_t1d(tmp_path):
    weights = random_weights(control_point=True)
    del weights['visual.transformer.resblocks.0.control_point.conv.weight']
    done = convert_checkpoint(save(tmp_path / 'a.pt', weights), tmp_path / 'ours.pth', source='text4vis')
    assert done.temporal == dict(type='TokenT1D', layers=[1])
    recognizer(done)


def test_frames_are_known_where_the_optimizer_was_saved(tmp_path):
    weights = {
        name: value.requires_grad_(value.is_floating_point()) for name, value in random_weights(fusion=True).items()
    }
    optimizer = torch.optim.AdamW([value for value in weights.values() if value.requires_grad], weight_decay=0.2)
    logits(weights, torch.randn(1, 3, T, SIZE, SIZE), TEXT).square().sum().backward()
    optimizer.step()
    weights = {name: value.detach() for name, value in weights.items()}
    path = save(tmp_path / 'a.pt', weights, optimizer_state_dict=optimizer.state_dict())
    done = convert_checkpoint(path, tmp_path / 'ours.pth', source='text4vis')
    assert done.num_frames == T
    assert f'frames: {T} (the rows' in '\n'.join(report(done))
    done = convert_checkpoint(save(tmp_path / 'b.pt', weights), tmp_path / 'ours.pth', source='text4vis')
    assert done.num_frames is None
    assert 'frames: cannot be told from the weights' in '\n'.join(report(done))


def as_if(done, **changes):
    """A conversion with another architecture or temporal module, to look up its configs."""
    return dataclasses.replace(done, **changes)


@pytest.mark.parametrize(
    ('name', 'neck', 'temporal', 'frames', 'expected'),
    [
        ('ViT-B-16', 512, None, None, 'text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py'),
        ('ViT-B-16', 512, None, 16, 'text4vis_vit-b-16_ttrans_8xb16-u16-30e_kinetics400-rgb.py'),
        ('ViT-B-16', None, None, None, 'text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py'),
        ('ViT-B-16', None, dict(type='TokenT1D'), None, 'text4vis_vit-b-16_token-t1d_8xb32-u8-30e_kinetics400-rgb.py'),
        ('ViT-B-32', 512, None, 8, 'text4vis_vit-b-32_ttrans_8xb32-u8-30e_kinetics400-rgb.py'),
        ('RN50', 1024, None, 8, 'text4vis_rn50_ttrans_8xb32-u8-30e_kinetics400-rgb.py'),
        ('RN50x64', None, None, None, None),
    ],
)
def test_the_fitting_config_is_named(name, neck, temporal, frames, expected, src, tmp_path):
    done = convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    with torch.device('meta'):
        _, _, tower = build_vision_tower(name)
    arch = recognize_arch(tower.state_dict(), quick_gelu=True, text_width=None, path=src)
    heads = dict(num_heads=8) if name == 'RN50' else {}
    neck = dict(type='TemporalTransformer', in_channels=neck, **heads) if neck else dict(type='TemporalAveragePool')
    done = as_if(done, arch=arch, neck=neck, temporal=temporal, num_frames=frames)
    configs = fitting_configs(done)
    lines = '\n'.join(report(done))
    if expected is None:
        assert configs == []
        assert 'No shipped config has this architecture' in lines
        assert f"backbone=dict(_delete_=True, type='CLIPBackbone', arch='{name}-quickgelu')" in lines
        assert 'neck=dict(_delete_=True, type=' in lines
        return
    assert configs[0].name == expected
    assert f'{expected} {done.dst}' in lines
    assert not any('distilbert' in path.name or 'lda' in path.name or 'learnable' in path.name for path in configs)


TOKENS = dict(type='TokenT1D', layers=[3, 5])
TRANSFORMER = dict(type='TemporalTransformer', in_channels=512)


@pytest.mark.parametrize(
    ('name', 'neck', 'temporal', 'expected'),
    [
        ('ViT-B-16', dict(type='TemporalAveragePool'), TOKENS, 'text4vis_vit-b-16_tap_8x'),
        ('ViT-B-16', dict(TRANSFORMER, max_frames=16), None, 'text4vis_vit-b-16_t'),
        ('ViT-B-16', dict(TRANSFORMER), dict(type='TokenT1D'), 'text4vis_vit-b-16_t'),
        ('ViT-L-14', dict(type='TemporalAveragePool'), None, 'text4vis_vit-l-14_ttrans_32xb8-u8-'),
    ],
)
def test_options_make_the_model_of_the_nearest_config(name, neck, temporal, expected, src, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT.parent)
    done = convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    with torch.device('meta'):
        _, _, tower = build_vision_tower(name)
    arch = recognize_arch(tower.state_dict(), quick_gelu=True, text_width=None, path=src)
    done = as_if(done, arch=arch, neck=neck, temporal=temporal)
    assert fitting_configs(done) == []
    *_, line, command = report(done)
    assert line.startswith('No shipped config has this model; the options')
    config, checkpoint, *options = shlex.split(command.removeprefix('test: python tools/test.py '))
    assert Path(config).name.startswith(expected)
    assert checkpoint == str(done.dst)
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(parser.parse_args(options).cfg_options)
    assert (cfg.model.backbone.arch, cfg.model.neck) == (arch.arch, neck)
    assert cfg.model.backbone.get('temporal') == temporal


def test_the_command_names_the_text_tower_of_the_source(tmp_path):
    torch.save(actionclip(), tmp_path / 'a.pt')
    done = convert_checkpoint(tmp_path / 'a.pt', tmp_path / 'ours.pth', source='actionclip')
    with torch.device('meta'):
        _, _, tower = build_vision_tower('ViT-B-16')
    arch = recognize_arch(tower.state_dict(), quick_gelu=True, text_width=None, path=done.src)
    lines = report(as_if(done, arch=arch, neck=dict(type='TemporalTransformer', in_channels=512)))
    assert lines[-1].endswith(f'--cfg-options model.cls_head.classifier.encoder.pretrained={done.src}')


# ------------------------------------------------------------------------------------------------- what does not fit


def changed(weights, change):
    change(weights)
    return weights


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: w.pop('visual.ln_post.bias'), r'does not fit the architecture; 1 missing: visual\.ln_post\.bias\.'),
        (lambda w: w.pop('logit_scale'), r'1 missing: logit_scale\.'),
        (lambda w: w.pop('visual.proj'), r'does not fit the architecture; 1 missing: visual\.proj\.'),
        (
            lambda w: w.update({'visual.positional_embedding': torch.zeros(()), 'visual.proj': torch.zeros(192)}),
            r'does not tell its architecture: visual\.positional_embedding is \(\)\. With',
        ),
        (
            lambda w: w.update({'visual.conv1.weight': torch.zeros(0, 3, 16, 16)}),
            r'1 of another shape: visual\.conv1\.weight is \(0, 3, 16, 16\), not \(192, 3, 16, 16\)\.$',
        ),
        (
            lambda w: w.update({'visual.transformer.resblocks.999999999.ln_1.weight': torch.zeros(192)}),
            r'does not fit the architecture; 1 unexpected: \S*\.999999999\.ln_1\.weight\.$',
        ),
        (
            lambda w: w.update({'fusion_model.frame_position_embeddings.weight': torch.zeros(())}),
            r'fusion_model\.frame_position_embeddings\.weight is \(\), not \(77, 128\)',
        ),
        (
            lambda w: [w.pop('fusion_model.frame_position_embeddings.weight'), w.update(more=torch.zeros(1))],
            r'1 missing: fusion_model\.frame_position_embeddings\.weight; 1 unexpected: more\.',
        ),
        (
            lambda w: w.update({f'visual.time_{i}': torch.zeros(1) for i in range(25)}),
            r'25 unexpected: visual\.time_0, .*visual\.time_4, \.\.\. \(25 in all\)',
        ),
        (
            lambda w: w.update({'visual.ln_pre.weight': torch.zeros(3)}),
            r'1 of another shape: visual\.ln_pre\.weight is \(3,\), not \(192,\)',
        ),
        (lambda w: w.update(logit_scale=torch.zeros(2)), r'logit_scale is \(2,\), not one number'),
        (
            lambda w: w.update({'fusion_model.lstm_visual.weight_ih_l0': torch.zeros(1)}),
            r'unexpected: fusion_model\.lstm_visual\.weight_ih_l0\. Of its sim_header, Transf \(T-Trans\) and none',
        ),
        (
            lambda w: w.update({'visual.transformer.resblocks.0.control_point.conv.weight': torch.zeros(192, 1, 5)}),
            r'control_point\.conv\.weight is \(192, 1, 5\), not \(192, 1, 3\)',
        ),
        (
            lambda w: w.update({'visual.transformer.resblocks.2.control_point.conv.weight': torch.zeros(192, 1, 3)}),
            r'unexpected: visual\.transformer\.resblocks\.2\.control_point\.conv\.weight',
        ),
        (
            lambda w: w.update({'visual.transformer.resblocks.0.control_point.conv.bias': torch.zeros(192)}),
            r'unexpected: visual\.transformer\.resblocks\.0\.control_point\.conv\.bias',
        ),
    ],
)
def test_misfits_are_listed_and_fatal(change, message, tmp_path):
    path = save(tmp_path / 'a.pt', changed(random_weights(fusion=True), change))
    with pytest.raises(UserError, match=message):
        convert_checkpoint(path, tmp_path / 'ours.pth', source='text4vis')
    assert [file.name for file in tmp_path.iterdir()] == ['a.pt']


def test_the_temporal_shift_of_the_released_code_is_told(tmp_path):
    weights = random_weights(tower='resnet')
    for name in [name for name in weights if name.endswith('.conv1.weight') and '.layer' in name]:
        weights[name.replace('conv1.', 'conv1.net.')] = weights.pop(name)
    path = save(tmp_path / 'a.pt', weights)
    with pytest.raises(
        UserError, match=r'the temporal shift \(tm\) .*layer1\.0\.conv1\.net\.weight.* no counterpart here'
    ):
        convert_checkpoint(path, tmp_path / 'ours.pth', source='text4vis')


def test_a_wrong_architecture_is_refused(src, tmp_path):
    with pytest.raises(
        UserError,
        match=r'does not fit ViT-B-16-quickgelu; \d+ of another shape: .* \d+ missing: .* Without --arch ViT',
    ):
        convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis', arch='ViT-B/16')
    with pytest.raises(UserError, match=r"Unknown CLIP architecture 'ViT-B/61'"):
        convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis', arch='ViT-B/61')
    with pytest.raises(UserError, match=r'--arch nowhere\.json cannot be read as JSON'):
        convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis', arch='nowhere.json')


def files_of_each_source(folder):
    """Files that each source writes, and no other does."""
    vit = clip_model(WIDER_VIT)
    save(folder / 'text4vis', random_weights())
    archive = torch.jit.trace(vit, (torch.zeros(1, 3, 32, 32), torch.zeros(1, 77, dtype=torch.long)), check_trace=False)
    torch.jit.save(archive, folder / 'openai')
    torch.save(clip_model(TINY_TIMM).state_dict(), folder / 'open_clip')
    torch.save(actionclip(), folder / 'actionclip')


def test_the_wrong_source_is_told_and_the_right_one_named(tmp_path):
    files_of_each_source(tmp_path)
    for given, true in itertools.permutations(('text4vis', 'openai', 'open_clip', 'actionclip'), 2):
        with pytest.raises(UserError, match=rf'is no {given} checkpoint: it looks like .* Give --source {true}\.'):
            convert_checkpoint(tmp_path / true, tmp_path / 'ours.pth', source=given)
    torch.save(clip_model(WIDER_VIT).state_dict(), tmp_path / 'whole')
    with pytest.raises(UserError, match=r'Give --source openai or --source open_clip'):
        convert_checkpoint(tmp_path / 'whole', tmp_path / 'ours.pth', source='text4vis')
    with pytest.raises(UserError, match=r"Unknown source 'text4viz' .* Did you mean: text4vis"):
        convert_checkpoint(tmp_path / 'whole', tmp_path / 'ours.pth', source='text4viz')


def test_what_holds_no_clip_is_told(src, tmp_path):
    convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    for content, message in (
        (None, 'is a checkpoint of a recognizer already; --reverse'),
        ({'vision_model.x': torch.zeros(1)}, 'has the names of Hugging Face transformers, but is no CLIPModel'),
        ({'a.b': torch.zeros(1)}, r'holds no vision tower of CLIP \(visual\.\*\); found a\.b'),
        ([1], 'holds a list, not a state dict'),
    ):
        path = tmp_path / 'ours.pth'
        if content is not None:
            path = tmp_path / 'other.pt'
            torch.save(content, path)
        with pytest.raises(UserError, match=message):
            convert_checkpoint(path, tmp_path / 'new.pth', source='text4vis')


class Hostile:
    """Runs a command where it is unpickled."""

    def __reduce__(self):
        import os

        return os.system, ('false',)


def test_hostile_pickles_are_refused(tmp_path):
    torch.save(dict(model_state_dict=Hostile()), tmp_path / 'a.pt')
    (tmp_path / 'b.pt').write_bytes(pickle.dumps(Hostile()))
    (tmp_path / 'c.pt').write_bytes(b'PK' * 30)
    for name, message in (
        ('a.pt', r'is refused: it asks for \w+\.system'),
        ('b.pt', 'is refused'),
        ('c.pt', 'no checkpoint of PyTorch'),
    ):
        with pytest.raises(UserError, match=message):
            convert_checkpoint(tmp_path / name, tmp_path / 'ours.pth', source='text4vis')
        with pytest.raises(UserError, match=r'refused|not a checkpoint'):
            reverse_checkpoint(tmp_path / name, tmp_path / 'ours.pth')
    with pytest.raises(UserError, match=r'nowhere\.pt is not a file'):
        convert_checkpoint(tmp_path / 'nowhere.pt', tmp_path / 'ours.pth', source='text4vis')


def test_a_file_that_may_not_be_read_is_told(src, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('pathlib.Path.open', refuse)
    with pytest.raises(UserError, match=r'authors\.pt cannot be read: Permission denied\.'):
        convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')


def test_a_full_disk_is_told_and_leaves_nothing(src, tmp_path):
    convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    before = (tmp_path / 'ours.pth').read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # the most bytes that a file can grow to
    try:
        with pytest.raises(
            UserError, match=r'^\S+ours\.pth could not be written: .* The file of that name is as it was'
        ):
            convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
        with pytest.raises(UserError, match=r'^\S+back\.pt could not be written: .* Nothing was left of it\.$'):
            reverse_checkpoint(tmp_path / 'ours.pth', tmp_path / 'back.pt')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / 'ours.pth').read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ['authors.pt', 'ours.pth']


def test_the_source_is_never_overwritten(src, tmp_path):
    before = src.read_bytes()
    (tmp_path / 'link.pth').symlink_to(src)
    for dst in (src, tmp_path / 'link.pth'):
        with pytest.raises(UserError, match='SRC and DST are one file'):
            convert_checkpoint(src, dst, source='text4vis')
        with pytest.raises(UserError, match='SRC and DST are one file'):
            reverse_checkpoint(src, dst)
    with pytest.raises(UserError, match=r'DST .* is a folder'):
        convert_checkpoint(src, tmp_path, source='text4vis')
    assert src.read_bytes() == before


def test_an_older_file_is_replaced_in_one_piece(src, tmp_path):
    dst = tmp_path / 'new' / 'ours.pth'
    convert_checkpoint(src, dst, source='text4vis')
    kept = dst.read_bytes()
    torch.save(dict(model_state_dict=random_weights(fusion=True, seed=1)), src)
    convert_checkpoint(src, dst, source='text4vis')
    assert dst.read_bytes() != kept
    kept = dst.read_bytes()
    torch.save(dict(model_state_dict=changed(random_weights(), lambda w: w.pop('logit_scale'))), src)
    with pytest.raises(UserError, match='1 missing'):
        convert_checkpoint(src, dst, source='text4vis')
    assert dst.read_bytes() == kept
    assert [file.name for file in dst.parent.iterdir()] == ['ours.pth']


# ------------------------------------------------------------------------------------------------------- and back


@pytest.mark.parametrize('kind', MODELS_OF_TABLE_2.values(), ids=MODELS_OF_TABLE_2)
@pytest.mark.parametrize('form', ['float32', 'module.', 'half', 'other name'])
def test_there_and_back_is_the_same_bit_by_bit(kind, form, tmp_path):
    weights = random_weights(**kind)
    if form == 'module.':
        weights = wrapped(weights)
    if form == 'half':
        weights = {name: value.half() if value.ndim > 1 else value for name, value in weights.items()}
    if form == 'other name':
        weights = {name.replace('.conv.weight', '.t1d.weight'): value for name, value in weights.items()}
    convert_checkpoint(save(tmp_path / 'a.pt', weights), tmp_path / 'ours.pth', source='text4vis')
    assert reverse_checkpoint(tmp_path / 'ours.pth', tmp_path / 'back.pt') == []
    back = torch.load(tmp_path / 'back.pt', weights_only=True)['model_state_dict']
    assert set(back) == set(weights)
    for name, value in weights.items():
        assert back[name].dtype == value.dtype, name
        assert torch.equal(back[name], value), name


def test_a_recognizer_of_ours_in_the_authors_layout(src, tmp_path):
    """What was trained here comes out with the names and the results of the authors' model, and comes back the same."""
    done = convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    model = recognizer(done)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    scores(model, videos(model)[:, None])  # builds the classifier
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=3), optimizer={}), tmp_path / 'epoch_3.pth')
    (line,) = reverse_checkpoint(tmp_path / 'epoch_3.pth', tmp_path / 'authors.pt')
    assert line.startswith('cls_head.class_rows.*: ')
    assert 'TRAINED' not in line
    weights = torch.load(tmp_path / 'authors.pt', weights_only=True)['model_state_dict']
    video = videos(model)
    torch.testing.assert_close(scores(model, video[:, None]), logits(weights, video, TEXT), atol=2e-5, rtol=1e-5)
    convert_checkpoint(tmp_path / 'authors.pt', tmp_path / 'again.pth', source='text4vis')
    again = load_checkpoint_file(tmp_path / 'again.pth')['state_dict']
    state = model.state_dict()
    left_out = {f'cls_head.class_rows.{name}' for name in ('weight', 'filled', '_extra_state')}
    assert set(again) == set(state) - left_out
    assert all(torch.equal(again[name], state[name]) for name in again)


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_trained_rows_are_said_to_be_lost(src, tmp_path, prefix):
    done = convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    model = recognizer(done, frozen=False)
    model.cls_head.class_rows.fill()
    state = {prefix + name: value for name, value in model.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'trained.pth')
    (line,) = reverse_checkpoint(tmp_path / 'trained.pth', tmp_path / 'a.pt')
    assert 'Its rows were TRAINED here, and are lost' in line


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda s: s.update({'backbone.temporal.stage3_block0.weight': torch.zeros(8, 1, 3)}),
            r"1 entries have no place in the authors' layout: backbone\.temporal\.stage3_block0\.weight",
        ),
        (lambda s: s.update({'cls_head.projection.weight': torch.zeros(1)}), r'no place .*: cls_head\.projection'),
        (lambda s: s.pop('cls_head.cosine.logit_scale'), r'it lacks cls_head\.cosine\.logit_scale'),
        (
            lambda s: [s.pop(name) for name in list(s) if name.startswith('backbone.')],
            r'no checkpoint of a recognizer with CLIPBackbone: it lacks backbone\.visual\.\*',
        ),
    ],
)
def test_what_the_authors_have_no_place_for(change, message, src, tmp_path):
    convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    loaded = load_checkpoint_file(tmp_path / 'ours.pth')
    change(loaded['state_dict'])
    torch.save(loaded, tmp_path / 'ours.pth')
    with pytest.raises(UserError, match=message):
        reverse_checkpoint(tmp_path / 'ours.pth', tmp_path / 'a.pt')
    assert not (tmp_path / 'a.pt').exists()


def test_a_file_of_the_authors_is_not_reversed(src, tmp_path):
    with pytest.raises(UserError, match=r'authors\.pt holds model_state_dict, .*without --reverse.*ours of it'):
        reverse_checkpoint(src, tmp_path / 'a.pt')


def test_only_text4vis_is_written(src, tmp_path):
    convert_checkpoint(src, tmp_path / 'ours.pth', source='text4vis')
    with pytest.raises(UserError, match=r'--reverse writes the layout of text4vis only: a checkpoint of actionclip'):
        reverse_checkpoint(tmp_path / 'ours.pth', tmp_path / 'a.pt', source='actionclip')
