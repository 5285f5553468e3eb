"""Files of Hugging Face, ViFi-CLIP and Lightning become recognizers that compute the same; misfits name a tensor."""

import argparse
import dataclasses
import json
import shlex

import open_clip
import pytest
import torch
from authors_text4vis import D, random_weights
from clip_layouts import hugging_face, vifi_clip, x_clip
from converted import WIDER_VIT, T, clip_model, compare_with_clip, recognizer, videos
from mmengine.config import Config
from safetensors.torch import save_file

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.convert.arch import recognize_arch
from textxfer_mm.convert.conversion import convert_checkpoint
from textxfer_mm.convert.summary import report
from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.engine.launch import add_config_options
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.vision.towers import build_vision_tower


def convert(path, source, **options):
    return convert_checkpoint(path, path.with_name('ours.pth'), source=source, **options)


def torch_file(folder, content):
    torch.save(content, folder / 'a.pt')
    return folder / 'a.pt'


# ------------------------------------------------------------------------------------------------------------ parity


@pytest.mark.parametrize('suffix', ['bin', 'pt', 'safetensors'])
def test_hugging_face_files(suffix, tmp_path):
    model = clip_model(WIDER_VIT)
    path = tmp_path / f'model.{suffix}'
    weights = hugging_face(model.state_dict())
    save_file(weights, path) if suffix == 'safetensors' else torch.save(weights, path)
    done = convert(path, 'huggingface')
    compare_with_clip(done, model)
    assert done.has_text


def test_vision_towers_of_hugging_face_have_no_scale(tmp_path):
    model = clip_model(WIDER_VIT)
    with torch.no_grad():
        model.logit_scale.fill_(torch.tensor(100.0).log())
    done = convert(torch_file(tmp_path, hugging_face(model.state_dict(), text=False)), 'huggingface')
    compare_with_clip(done, model)
    assert 'logit_scale: not in the file; ln(100) is written' in '\n'.join(report(done))
    whole = hugging_face(model.state_dict())
    del whole['logit_scale']
    with pytest.raises(UserError, match=r'1 missing: logit_scale\.$'):
        convert(torch_file(tmp_path, whole), 'huggingface')


@pytest.mark.parametrize('activation', ['quick_gelu', 'gelu'])
def test_models_of_transformers(activation, tmp_path):
    """The features are those of transformers' own forward; config.json tells what the weights do not."""
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(5)
    tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=2, hidden_act=activation)
    config = transformers.CLIPConfig(
        vision_config=dict(tower, num_attention_heads=4, image_size=32, patch_size=16),
        text_config=dict(tower, num_attention_heads=2, eos_token_id=49407),
        projection_dim=D,
    )
    theirs = transformers.CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    done = convert(tmp_path / 'model.safetensors', 'huggingface')
    ours = recognizer(done)
    frames = videos(ours).transpose(1, 2).flatten(0, 1)  # (N*T, 3, H, W)
    with torch.no_grad():
        hidden = theirs.vision_model(pixel_values=frames).pooler_output
        expected = theirs.visual_projection(hidden)
        found = ours.backbone(frames.unflatten(0, (-1, T)).transpose(1, 2)).squeeze((3, 4))  # (N, D, T)
    torch.testing.assert_close(found.transpose(1, 2).flatten(0, 1), expected, atol=1e-4, rtol=1e-4)
    assert 'heads of the vision tower' not in '\n'.join(report(done))
    assert 'activation:' not in '\n'.join(report(done))
    arch = dict(done.backbone['arch'], text_cfg=dict(width=64, layers=2, heads=2))
    text = CLIPTextEncoder(arch=arch, pretrained=str(tmp_path / 'model.safetensors')).encode(['a cat'])
    tokens = torch.tensor([[49406, 320, 2368, 49407]])
    with torch.no_grad():
        expected = theirs.text_projection(theirs.text_model(input_ids=tokens).pooler_output)
    torch.testing.assert_close(
        *(torch.nn.functional.normalize(rows, dim=-1) for rows in (text, expected)), atol=1e-5, rtol=1e-4
    )


def test_without_its_config_what_weights_do_not_tell_is_said(tmp_path):
    path = torch_file(tmp_path, hugging_face(clip_model(WIDER_VIT).state_dict()))
    lines = '\n'.join(report(convert(path, 'huggingface')))
    assert 'activation: quick GELU is assumed' in lines
    assert 'put the config.json of the model beside the file' in lines
    assert '\nheads of the vision tower: 2 of 64 channels are ASSUMED' in lines
    (tmp_path / 'config.json').write_text(json.dumps(dict(model_type='bert', hidden_act='relu')), encoding='utf-8')
    assert 'activation: quick GELU is assumed' in '\n'.join(report(convert(path, 'huggingface')))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', r'config\.json beside a\.pt cannot be read as JSON'),
        (dict(model_type='clip', vision_config=dict(hidden_act='relu')), r"hidden_act is 'relu'; only quick_gelu and"),
        (dict(model_type='clip_vision_model', num_attention_heads='two'), r"num_attention_heads is 'two'"),
        (dict(model_type='clip', vision_config=dict(num_attention_heads=0)), r'num_attention_heads is 0'),
        (
            dict(model_type='clip', vision_config=dict(num_attention_heads=3)),
            r'says 3 heads, which the width 128',
        ),
    ],
)
def test_broken_configs_of_hugging_face(content, message, tmp_path):
    path = torch_file(tmp_path, hugging_face(clip_model(WIDER_VIT).state_dict()))
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / 'config.json').write_text(text, encoding='utf-8')
    with pytest.raises(UserError, match=message):
        convert(path, 'huggingface')


def test_vifi_clip_files(tmp_path):
    """Frames are averaged, as in its own forward; its text tower lacks the tokens, which is said."""
    model = clip_model(WIDER_VIT)
    weights = {f'module.{name}': value for name, value in vifi_clip(model.state_dict()).items()}
    done = convert(torch_file(tmp_path, dict(model=weights, optimizer={'state': {}}, epoch=10)), 'vifi-clip')
    assert done.neck == dict(type='TemporalAveragePool')
    compare_with_clip(done, model)
    lines = '\n'.join(report(done))
    assert not done.has_text
    assert 'Give --class-names for the classifier of its own classes' in lines
    assert 'left out, the words of the text side, which belong to the classifier: prompt_learner.complete_' in lines


PROMPTS = ('a video of a person dancing.', 'fencing!', 'word ' * 75)  # the last one fills the context of 77


def vifi_file(folder, model, change=lambda weights: None):
    weights = vifi_clip(model.state_dict(), prompts=PROMPTS)
    change(weights)
    return torch_file(folder, dict(model={f'module.{name}': value for name, value in weights.items()}))


@pytest.mark.parametrize('half', [False, True])
def test_the_classifier_of_vifi_clip(half, tmp_path):
    """Its rows are those of the whole CLIP, tokens and all, on the same prompts; the command tests with them."""
    model = clip_model(dict(WIDER_VIT, text_cfg=dict(WIDER_VIT['text_cfg'], heads=1)))  # 64 channels each, as in CLIP
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if 'visual' not in name and half:
                parameter.copy_(parameter.half())
        expected = torch.nn.functional.normalize(model.encode_text(open_clip.SimpleTokenizer()(list(PROMPTS))), dim=-1)

    def to_half(weights):
        if half:
            weights |= {name: value.half() for name, value in weights.items() if name.startswith(('text', 'prompt'))}

    done = convert(vifi_file(tmp_path, model, to_half), 'vifi-clip', class_names=['dancing', 'fencing', 'words'])
    assert done.classifier == tmp_path / 'ours.classifier.safetensors'
    bundle = ClassifierBundle.load(done.classifier)
    assert bundle.class_names == ('dancing', 'fencing', 'words')
    torch.testing.assert_close(bundle.weight, expected, atol=1e-5, rtol=1e-5)
    lines = report(done)
    assert f"classifier=dict(_delete_=True, type='FileClassifier', path='{done.classifier}')" in '\n'.join(lines)


@pytest.mark.parametrize(
    ('change', 'names', 'message'),
    [
        (lambda w: None, ['a', 'b'], r'was trained on 3 classes, and --class-names gives 2'),
        (lambda w: w.pop('prompt_learner.complete_text_embeddings'), 'abc', r'holds no prompt_learner\.complete_text_'),
        (lambda w: w.pop('text_encoder.text_projection'), 'abc', r'holds no text_projection'),
        (lambda w: w.pop('text_encoder.ln_final.bias'), 'abc', r'its text tower: ln_final\.bias is missing'),
    ],
)
def test_classifiers_that_cannot_be_made(change, names, message, tmp_path):
    path = vifi_file(tmp_path, clip_model(WIDER_VIT), change)
    with pytest.raises(UserError, match=message):
        convert(path, 'vifi-clip', class_names=list(names))
    assert [file.name for file in tmp_path.iterdir()] == ['a.pt']


def test_only_vifi_clip_takes_class_names(tmp_path):
    path = torch_file(tmp_path, clip_model(WIDER_VIT).state_dict())
    with pytest.raises(UserError, match=r'--class-names says nothing with --source openai'):
        convert(path, 'openai', class_names=['a', 'b'])


def test_the_command_tests_with_the_classifier(tmp_path):
    """Its options put the file in the place of the text encoder of the shipped config."""
    done = convert(vifi_file(tmp_path, clip_model(WIDER_VIT)), 'vifi-clip', class_names=['a', 'b', 'c'])
    with torch.device('meta'):
        _, _, tower = build_vision_tower('ViT-B-16')
    arch = recognize_arch(tower.state_dict(), quick_gelu=True, text_width=512, path=tmp_path)
    command = report(dataclasses.replace(done, arch=arch))[-1]
    config, _, *options = shlex.split(command.removeprefix('test: python tools/test.py '))
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(parser.parse_args(options).cfg_options)
    assert cfg.model.cls_head.classifier == dict(type='FileClassifier', path=str(done.classifier))
    assert MODELS.build(cfg.model.cls_head.classifier).class_names == ('a', 'b', 'c')


def test_lightning_files(tmp_path):
    model = clip_model(WIDER_VIT)
    state = {f'model.{name}': value for name, value in model.state_dict().items()}
    state |= {'val_acc.total': torch.tensor(3), 'loss.weight': torch.zeros(2)}
    content = dict(state_dict=state, optimizer_states=[{}], hyper_parameters=dict(lr=1.0), epoch=2)
    done = convert(torch_file(tmp_path, content), 'openai')
    compare_with_clip(done, model)
    assert 'left out, what is not under model.*: val_acc.total, ... (2 in all)' in report(done)


def test_parts_beside_the_prefix_are_taken(tmp_path):
    """T-Trans and the scale of a Lightning module, beside the CLIP in it."""
    weights = random_weights(fusion=True)
    named = {name if name == 'logit_scale' else f'model.{name}': value for name, value in weights.items()}
    named = {name.replace('model.fusion_model.', 'net.fusion_model.'): value for name, value in named.items()}
    convert_checkpoint(torch_file(tmp_path, dict(state_dict=named)), tmp_path / 'one.pth', source='text4vis')
    torch.save(dict(model_state_dict=weights), tmp_path / 'b.pt')
    convert_checkpoint(tmp_path / 'b.pt', tmp_path / 'two.pth', source='text4vis')
    one, two = (load_checkpoint_file(tmp_path / name)['state_dict'] for name in ('one.pth', 'two.pth'))
    assert set(one) == set(two)
    assert all(torch.equal(one[name], two[name]) for name in one)


# ----------------------------------------------------------------------------------------------- refused, by name


@pytest.mark.parametrize('source', ['openai', 'text4vis', 'vifi-clip', 'huggingface'])
def test_x_clip_is_refused_whatever_the_source(source, tmp_path):
    path = torch_file(tmp_path, dict(model=x_clip(clip_model(WIDER_VIT).state_dict())))
    with pytest.raises(UserError, match=r'a\.pt is a checkpoint of X-CLIP'):
        convert(path, source)


def test_vision_models_without_projection_are_refused(tmp_path):
    weights = hugging_face(clip_model(WIDER_VIT).state_dict(), text=False)
    del weights['visual_projection.weight']
    with pytest.raises(UserError, match=r'is a CLIPVisionModel of Hugging Face: without visual_projection\.weight'):
        convert(torch_file(tmp_path, weights), 'huggingface')
    bare = {name.removeprefix('vision_model.'): value for name, value in weights.items() if name != 'logit_scale'}
    with pytest.raises(UserError, match=r'is a CLIPVisionModel of Hugging Face: without visual_projection\.weight'):
        convert(torch_file(tmp_path, bare), 'huggingface')  # as transformers 5 saves it


@pytest.mark.parametrize(('names', 'true'), [(hugging_face, 'huggingface'), (vifi_clip, 'vifi-clip')])
def test_the_right_source_is_named(names, true, tmp_path):
    path = torch_file(tmp_path, names(clip_model(WIDER_VIT).state_dict()))
    with pytest.raises(UserError, match=rf'is no openai checkpoint: it looks like .* Give --source {true}\.'):
        convert(path, 'openai')


# ------------------------------------------------------------------------------------- the tensor that disagrees


def wrong(name, shape):
    return lambda weights: weights.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ('change', 'found'),
    [
        (wrong('visual.proj', (192, 64)), r'visual\.proj is \(192, 64\), not \(192, 128\)'),
        (wrong('visual.proj', (96, 128)), r'visual\.proj is \(96, 128\), not \(192, 128\)'),
        (wrong('visual.conv1.weight', (96, 3, 16, 16)), r'visual\.conv1\.weight is \(96, 3, 16, 16\), not \(192, '),
        (wrong('visual.positional_embedding', (5, 100)), r'visual\.positional_embedding is \(5, 100\), not \(5, 192\)'),
        (wrong('visual.class_embedding', (64,)), r'visual\.class_embedding is \(64,\), not \(192,\)'),
        (
            wrong('visual.transformer.resblocks.0.mlp.c_fc.weight', (100, 192)),
            r'visual\.transformer\.resblocks\.0\.mlp\.c_fc\.weight is \(100, 192\), not \(768, 192\)',
        ),
        (
            wrong('fusion_model.frame_position_embeddings.weight', (77, 64)),
            r'fusion_model\.frame_position_embeddings\.weight is \(77, 64\), not \(77, 128\)',
        ),
    ],
)
def test_the_tensor_that_disagrees_with_the_rest_is_named_alone(change, found, tmp_path):
    weights = random_weights(fusion=True)
    change(weights)
    with pytest.raises(UserError, match=rf'does not fit the architecture; 1 of another shape: {found}[^;]*\.$'):
        convert(torch_file(tmp_path, weights), 'text4vis')


@pytest.mark.parametrize('name', ['attnpool.c_proj.weight', 'layer1.0.conv2.weight', 'attnpool.positional_embedding'])
def test_the_tensor_of_a_resnet_that_disagrees(name, tmp_path):
    weights = random_weights(tower='resnet', fusion=True)
    value = weights[f'visual.{name}']
    weights[f'visual.{name}'] = torch.zeros(value.shape[0], value.shape[1] + 32, *value.shape[2:])
    with pytest.raises(UserError, match=rf'does not fit the architecture; 1 of another shape: visual\.{name} is \S'):
        convert(torch_file(tmp_path, weights), 'text4vis')


def test_a_wrong_tensor_of_hugging_face_has_its_own_name(tmp_path):
    weights = hugging_face(clip_model(WIDER_VIT).state_dict())
    weights['vision_model.post_layernorm.bias'] = torch.zeros(5)
    with pytest.raises(UserError, match=r'visual\.ln_post\.bias \(vision_model\.post_layernorm\.bias\) is \(5,\), not'):
        convert(torch_file(tmp_path, weights), 'huggingface')


def test_a_projection_that_disagrees_with_the_text_tower(tmp_path):
    """One tensor against one: the width that a model of open_clip has is taken for the right one."""
    with torch.device('meta'):
        _, _, tower = build_vision_tower('ViT-B-32')
    weights = {name: torch.zeros(value.shape).half() for name, value in tower.state_dict().items()}
    for text, proj in ((500, 512), (512, 500)):
        weights['proj'] = torch.zeros(768, proj)
        known = recognize_arch(
            weights,
            quick_gelu=True,
            text_width=512,
            path=tmp_path,
            beside={'text_projection': torch.zeros(512, text)},
        )
        assert known.arch == 'ViT-B-32-quickgelu'


def test_a_tie_that_no_model_decides_is_refused(tmp_path):
    weights = clip_model(WIDER_VIT).state_dict()
    weights['visual.proj'] = torch.zeros(128, 100)
    with pytest.raises(UserError, match=r'visual\.proj is \(128, 100\), but text_projection is \(64, 128\)\.'):
        convert(torch_file(tmp_path, weights), 'openai')


def test_the_nearest_model_is_named(tmp_path):
    with torch.device('meta'):
        _, _, tower = build_vision_tower('ViT-B-16')
    weights = {name: torch.zeros(value.shape).half() for name, value in tower.state_dict().items()}
    weights['proj'] = torch.zeros(768, 500)
    known = recognize_arch(weights, quick_gelu=True, text_width=None, path=tmp_path)
    assert known.arch['embed_dim'] == 500
    assert known.nearest == 'ViT-B-16, with embed_dim=512'


@pytest.mark.parametrize('name', ['ViT-g-14', 'ViT-bigG-14', 'ViT-S-32-alt'])
def test_models_of_other_proportions_are_recognised(name, tmp_path):
    """Heads of other widths than 64, and blocks of another hidden width."""
    with torch.device('meta'):
        _, _, tower = build_vision_tower(name)
    known = recognize_arch(tower.state_dict(), quick_gelu=None, text_width=None, path=tmp_path)
    assert known.arch == name
    assert known.assumed_heads is None


def test_a_missing_block_is_told_as_missing(tmp_path):
    weights = random_weights()
    weights |= {name.replace('resblocks.1', 'resblocks.2'): value for name, value in weights.items()}
    weights = {name: value for name, value in weights.items() if 'resblocks.1.' not in name}
    with pytest.raises(UserError, match=r'architecture; 12 missing: visual\.transformer\.resblocks\.1\.ln_1\.weight, '):
        convert(torch_file(tmp_path, weights), 'text4vis')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda v: v.int(), r'1 not of plain floating-point numbers: visual\.ln_pre\.weight is int32\.$'),
        (lambda v: v.bool(), r'visual\.ln_pre\.weight is bool'),
        (lambda v: v.to(torch.complex64), r'visual\.ln_pre\.weight is complex64'),
        (lambda v: v.to_sparse(), r'visual\.ln_pre\.weight is sparse'),
        (lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8), r'visual\.ln_pre\.weight is qint8'),
        (lambda v: v.to('meta'), r'visual\.ln_pre\.weight is without data'),
        (
            lambda v: v * torch.nan,
            r'not finite, in visual\.ln_pre\.weight: its training diverged',
        ),
        (lambda v: v.double() + 1e300, r'holds values that are not finite, in visual\.ln_pre\.weight'),
        (lambda v: None, r'visual\.ln_pre\.weight is a NoneType, not a tensor'),
        (lambda v: v.tolist(), r'visual\.ln_pre\.weight is a list, not a tensor'),
        (lambda v: 'weights', r'visual\.ln_pre\.weight is a str, not a tensor'),
    ],
)
@pytest.mark.filterwarnings('ignore')
def test_values_that_are_no_weights(change, message, tmp_path):
    weights = random_weights()
    weights['visual.ln_pre.weight'] = change(weights['visual.ln_pre.weight'])
    with pytest.raises(UserError, match=message):
        convert(torch_file(tmp_path, dict(model_state_dict=weights)), 'text4vis')
    assert not (tmp_path / 'ours.pth').exists()


@pytest.mark.parametrize('content', [{}, {'model': {}}, {'a': {'b': {}}}, {'state_dict': {'x': 3}}, {'epoch': 4}])
def test_files_without_tensors(content, tmp_path):
    with pytest.raises(UserError, match=r'holds no vision tower of CLIP \(visual\.\*\); found no tensors'):
        convert(torch_file(tmp_path, content), 'openai')


@pytest.mark.parametrize('keys', [['model', 'state_dict'], ['checkpoint', 'best', 'weights'], ['state_dict', 'model']])
def test_nested_files(keys, tmp_path):
    content = random_weights()
    for key in reversed(keys):
        content = {key: content, 'epoch': 3}
    assert convert(torch_file(tmp_path, content), 'text4vis').neck == dict(type='TemporalAveragePool')


@pytest.mark.parametrize('kept', [0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize('suffix', ['pt', 'safetensors'])
def test_truncated_files_end_in_one_line(suffix, kept, tmp_path):
    path = tmp_path / f'a.{suffix}'
    weights = random_weights()
    save_file(weights, path) if suffix == 'safetensors' else torch.save(weights, path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match=r'a\.\w+ .*(damaged or no checkpoint|not a readable safetensors)') as refused:
        convert(path, 'text4vis')
    assert '\n' not in str(refused.value)


def test_errors_fit_on_a_screen(tmp_path):
    """However much does not fit, 24 lines of 80 columns are enough."""
    weights = {name: torch.zeros([2 * size for size in value.shape]) for name, value in random_weights().items()}
    weights |= {f'visual.{"x" * 40}.{number}': torch.zeros(1) for number in range(500)}
    path = torch_file(tmp_path, weights | {f'more.{number}': torch.zeros(1) for number in range(500)})
    with pytest.raises(UserError) as refused:
        convert(path, 'text4vis', arch='ViT-L-14')
    assert len(str(refused.value)) < 24 * 80


# ------------------------------------------------------------------------------------------------ heads that are told


def test_heads_that_nothing_tells_have_a_line_and_a_comment(tmp_path):
    done = convert(torch_file(tmp_path, random_weights(fusion=True)), 'text4vis')
    lines = report(done)
    assert any(line.startswith('heads of T-Trans: 2 are ASSUMED, the width // 64') for line in lines)
    comment = lines.index('    # num_heads=2 is assumed: the width // 64; weights do not tell it')
    assert lines[comment + 1].strip().startswith('neck=dict(_delete_=True, ')
    assert 'num_heads=2' in lines[comment + 1]


@pytest.mark.parametrize('width', [80, 200, 320])
def test_widths_that_64_does_not_divide_build(width, tmp_path):
    config = dict(WIDER_VIT, vision_cfg=dict(image_size=32, layers=1, width=width, head_width=width, patch_size=16))
    done = convert(torch_file(tmp_path, clip_model(config).state_dict()), 'openai')
    recognizer(done)
    assert width % done.arch.assumed_heads == 0


def test_hidden_widths_that_no_ratio_gives_exactly(tmp_path):
    """open_clip rounds the product of width and ratio down: 67 * (116 / 67) is just below 116."""
    width, hidden = next((w, m) for w in range(65, 200) for m in range(w, 2 * w) if int(w * (m / w)) != m)
    cfg = dict(image_size=32, layers=1, width=width, head_width=width, patch_size=16)
    state = clip_model(dict(WIDER_VIT, vision_cfg=cfg)).state_dict()
    block = 'visual.transformer.resblocks.0.mlp.'
    shapes = {'c_fc.weight': (hidden, width), 'c_fc.bias': (hidden,), 'c_proj.weight': (width, hidden)}
    state |= {block + name: torch.randn(shape) for name, shape in shapes.items()}
    recognizer(convert(torch_file(tmp_path, state), 'openai'))
