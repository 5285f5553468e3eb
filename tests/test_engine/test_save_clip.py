"""``SaveCLIPHook`` and what it writes: open_clip, our towers and the recognizer agree on features and logits."""

import copy
import json

import open_clip
import pytest
import torch
import torch.nn.functional as F
from captioned import MEAN, STD, CaptionedNoise, build_model, caption_model
from mmengine.runner import Runner
from safetensors.torch import load_file
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT, FixedSource

from textxfer_mm.engine.clip_export import export_clip, exported_arch, open_clip_state
from textxfer_mm.errors import UserError
from textxfer_mm.models import CLIPBackbone
from textxfer_mm.registry import MODELS
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.clip_folders import read_clip_folder

TEXTS = ['a red hat', 'somebody kicking a ball', 'lifting a box']
ARCHS = {
    'resnet': TINY_RESNET,
    'vit': TINY_VIT,
    'timm': TINY_TIMM,
    'text apart': {**TINY_VIT, 'custom_text': True},
    'oblong': {**TINY_VIT, 'vision_cfg': {**TINY_VIT['vision_cfg'], 'image_size': [32, 48]}},
}


def train(work_dir, *, epochs=1, resume=False, model=None, hooks=(), **hook):
    """A run of pre-training with the hook; return the runner."""
    loader = dict(batch_size=4, num_workers=0, dataset=CaptionedNoise(), collate_fn=dict(type='pseudo_collate'))
    loaders = [dict(loader, sampler=dict(type='DefaultSampler', shuffle=shuffle)) for shuffle in (True, False)]
    runner = Runner(
        model=model or caption_model(init_scale=5.0),
        work_dir=str(work_dir),
        train_dataloader=loaders[0],
        val_dataloader=loaders[1],
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1),
        val_cfg=dict(),
        val_evaluator=dict(type='AccMetric'),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, save_best='acc/top1')),
        custom_hooks=[dict(type='SaveCLIPHook', **hook), *hooks],
        default_scope='mmaction',
        randomness=dict(seed=1),
        resume=resume,
        experiment_name=f'{work_dir.name}{epochs}',
    )
    runner.train()
    return runner


def trained_model(arch):
    """A recognizer whose weights are none that anything starts from."""
    model = build_model(arch=arch)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def reference(folder):
    return open_clip.create_model_from_pretrained(f'local-dir:{folder}')[0].eval()


@pytest.mark.parametrize('kind', ARCHS)
def test_open_clip_and_our_towers_compute_the_same(kind, tmp_path):
    model = trained_model(ARCHS[kind])
    export_clip(model, model.state_dict(), tmp_path)
    found, other = read_clip_folder(tmp_path), reference(tmp_path)
    size = model.backbone.image_size
    frames = torch.randn(4, 3, *((size, size) if isinstance(size, int) else size))
    backbone = CLIPBackbone(arch=found.arch, pretrained=found.weights).eval()
    encoder = CLIPTextEncoder(found.arch, found.weights)
    with torch.no_grad():
        images = other.encode_image(frames)
        texts = other.encode_text(open_clip.get_tokenizer(f'local-dir:{tmp_path}')(TEXTS))
        logits = other.logit_scale.exp() * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).t()
        ours = model.cls_head.class_rows.encode(TEXTS)
        for features in (model.backbone(frames), backbone(frames)):
            torch.testing.assert_close(features[..., 0, 0], images, atol=1e-5, rtol=1e-5)
        for vectors in (ours, encoder.encode(TEXTS)):
            torch.testing.assert_close(vectors, texts, atol=1e-5, rtol=1e-5)
        theirs = model.cls_head.cosine(model.backbone(frames)[..., 0, 0], ours, True)
    torch.testing.assert_close(theirs, logits, atol=1e-4, rtol=1e-5)
    assert other.logit_scale.exp().item() == pytest.approx(model.cls_head.cosine.logit_scale.exp().item())


def test_a_run_leaves_the_towers_of_its_last_checkpoint(tmp_path):
    runner = train(tmp_path, epochs=2)
    folder = tmp_path / 'open_clip'
    assert sorted(path.name for path in folder.iterdir()) == ['open_clip_config.json', 'open_clip_model.safetensors']
    state = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['state_dict']
    weights, arch = load_file(folder / 'open_clip_model.safetensors'), read_clip_folder(folder).arch
    wanted = open_clip_state(state, arch)
    assert weights.keys() == wanted.keys()
    assert all(torch.equal(weights[name], wanted[name]) for name in weights)
    assert weights['visual.conv1.weight'].dtype == torch.float32
    preprocess = json.loads((folder / 'open_clip_config.json').read_text())['preprocess_cfg']
    assert preprocess['mean'] == pytest.approx([value / 255 for value in MEAN])
    assert preprocess['std'] == pytest.approx([value / 255 for value in STD])
    # Frames in 0 to 255 through the recognizer, and in 0 to 1 through open_clip's own preprocessing.
    pixels = torch.randint(0, 256, (2, 1, 3, 1, 32, 32), dtype=torch.uint8)
    model = runner.model.eval()
    other, transform = open_clip.create_model_from_pretrained(f'local-dir:{folder}')
    with torch.no_grad():
        ours = model.backbone(model.data_preprocessor(dict(inputs=list(pixels), data_samples=None))['inputs'][:, 0])[
            ..., 0, 0, 0
        ]
        theirs = other.eval().encode_image(transform.transforms[-1](pixels[:, 0, :, 0] / 255))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_resumed_run_goes_on_and_renews_the_folder(tmp_path):
    train(tmp_path, epochs=1)
    first = load_file(tmp_path / 'open_clip' / 'open_clip_model.safetensors')
    train(tmp_path, epochs=2, resume=True)
    second = load_file(tmp_path / 'open_clip' / 'open_clip_model.safetensors')
    assert not torch.equal(first['text_projection'], second['text_projection'])
    train(tmp_path / 'straight', epochs=2)
    straight = load_file(tmp_path / 'straight' / 'open_clip' / 'open_clip_model.safetensors')
    for name, value in second.items():
        torch.testing.assert_close(value, straight[name], msg=name)


def test_with_a_moving_average_it_is_that_of_the_checkpoint(tmp_path):
    train(tmp_path, epochs=2, hooks=[dict(type='EMAHook', momentum=0.5)])
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    weights = load_file(tmp_path / 'open_clip' / 'open_clip_model.safetensors')
    name = 'cls_head.class_rows.tower.model.text_projection'
    assert torch.equal(weights['text_projection'], saved['state_dict'][name])
    assert not torch.equal(weights['text_projection'], saved['ema_state_dict'][f'module.{name}'])


def test_half_precision(tmp_path):
    train(tmp_path, dtype='float16')
    folder = tmp_path / 'open_clip'
    weights = load_file(folder / 'open_clip_model.safetensors')
    assert {value.dtype for value in weights.values()} == {torch.float16, torch.int64}
    state = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['state_dict']
    whole = open_clip_state(state, read_clip_folder(folder).arch)
    for name, value in weights.items():
        torch.testing.assert_close(value.float(), whole[name].float(), atol=1e-4, rtol=1e-3)
    assert torch.isfinite(reference(folder).encode_image(torch.randn(1, 3, 32, 32))).all()


def test_frames_that_are_not_normalised(tmp_path):
    model = build_model()
    model.data_preprocessor = MODELS.build(dict(type='ActionDataPreprocessor', format_shape='NCTHW'))
    preprocess = exported_arch(model)['preprocess_cfg']
    assert preprocess['mean'] == [0.0] * 3
    assert preprocess['std'] == [1 / 255] * 3


def test_how_frames_are_resized_is_that_of_the_arch():
    arch = {**TINY_RESNET, 'preprocess_cfg': dict(mean=[0.0] * 3, std=[1.0] * 3, interpolation='bilinear')}
    preprocess = exported_arch(build_model(arch=arch))['preprocess_cfg']
    assert preprocess['interpolation'] == 'bilinear'
    assert preprocess['resize_mode'] == 'shortest'
    assert preprocess['mean'] == pytest.approx([value / 255 for value in MEAN])  # what it is trained with


def other_arch(cfg):
    cfg['backbone']['arch'] = {**TINY_RESNET, 'vision_cfg': {**TINY_RESNET['vision_cfg'], 'width': 16}}


def other_activation(cfg):
    cfg['backbone']['arch'] = {**TINY_RESNET, 'quick_gelu': False}


def other_backbone(cfg):
    cfg['backbone'] = dict(type='mmaction.ResNet3d', depth=18, pretrained=None)


def temporal_modules(cfg):
    cfg['backbone']['temporal'] = dict(type='T1D')


def neck(cfg):
    cfg['neck'] = dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=1)


def frozen_rows(cfg):
    cfg['cls_head'] = dict(type='TextEmbeddingHead', in_channels=32, classifier=FixedSource(embed_dims=32))


def projection(cfg):
    cfg['cls_head']['projection'] = 'linear'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            other_arch,
            r'The two towers are of different models.*vision_cfg is .*16.* in the arch of the backbone and .*8',
        ),
        (other_activation, 'quick_gelu is False in the arch of the backbone and True'),
        (other_backbone, 'its backbone is ResNet3d, not CLIPBackbone'),
        (temporal_modules, 'its backbone has temporal modules'),
        (neck, 'its neck TemporalTransformer has weights'),
        (frozen_rows, 'its head TextEmbeddingHead trains no text tower of open_clip, as CaptionMatchingHead does'),
        (projection, r'its head has a projection \(LinearProjection\)'),
    ],
)
def test_a_model_that_is_no_clip_is_refused_before_training(change, message, tmp_path):
    cfg = copy.deepcopy(caption_model())
    change(cfg)
    with pytest.raises(UserError, match=message):
        train(tmp_path, model=cfg)
    assert not (tmp_path / 'open_clip').exists()
    assert not list(tmp_path.glob('*.pth'))


def test_a_neck_without_weights_is_let_pass():
    model = build_model()
    model.neck = MODELS.build(dict(type='TemporalAveragePool'))
    assert exported_arch(model)['embed_dim'] == 32


def test_an_unknown_dtype(tmp_path):
    with pytest.raises(UserError, match=r"Unknown dtype 'float61' of CLIP weights\. Did you mean: float16"):
        train(tmp_path, dtype='float61')


def test_weights_without_a_tower():
    state = {name: value for name, value in build_model().state_dict().items() if '.tower.' not in name}
    with pytest.raises(UserError, match=r'no whole CLIP: they lack cls_head\.class_rows\.tower\.model\.'):
        open_clip_state(state, TINY_RESNET)
