"""Recognizers made of converted checkpoints, and the whole CLIP models that they are compared with."""

import open_clip
import torch
from authors_text4vis import FUSION_HEADS, D
from mmengine.registry import init_default_scope
from tiny import TINY_RESNET, TINY_VIT, FixedSource

from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully
from textxfer_mm.registry import MODELS

from mmaction.structures import ActionDataSample  # isort: skip  (after the registry: it repairs mmaction first)

N, T = 2, 5


def recognizer(done, *, average_clips='score', **head):
    """The recognizer of a conversion, filled with its checkpoint as testing does; the classifier is the config's."""
    init_default_scope('mmaction')
    torch.manual_seed(1)
    neck = dict(done.neck, num_heads=FUSION_HEADS) if done.neck['type'] == 'TemporalTransformer' else done.neck
    model = MODELS.build(
        dict(
            type='mmaction.Recognizer3D',
            backbone=done.backbone,
            neck=neck,
            cls_head=dict(
                type='TextEmbeddingHead',
                in_channels=D,
                classifier=FixedSource(embed_dims=D),
                average_clips=average_clips,
                **head,
            ),
        )
    )
    load_fully(model, load_checkpoint_file(done.dst)['state_dict'], done.dst)
    return model.eval()


def scores(model, views):
    """Scores (N, K) of views (N, V, 3, T, H, W)."""
    with torch.no_grad():
        samples = model(views, [ActionDataSample() for _ in views], mode='predict')
    return torch.stack([sample.pred_score for sample in samples])


def videos(model, *, seed=0):
    size = model.backbone.image_size
    size = size if isinstance(size, int) else size[0]
    return torch.randn(N, 3, T, size, size, generator=torch.Generator().manual_seed(seed))


TEXT = FixedSource(embed_dims=D).build().weight


def clip_model(config, seed=0):
    torch.manual_seed(seed)
    config = dict(config)
    custom = 'timm_model_name' in config['vision_cfg']
    return (open_clip.model.CustomTextCLIP if custom else open_clip.CLIP)(**config).eval()


#: D of authors_text4vis, and 64 channels a head, so that the architecture can be told from the weights.
WIDER_VIT = dict(TINY_VIT, embed_dim=D, vision_cfg=dict(image_size=32, layers=2, width=128, patch_size=16))
WIDER_RESNET = dict(TINY_RESNET, embed_dim=D, vision_cfg=dict(TINY_RESNET['vision_cfg'], image_size=64))


def compare_with_clip(done, model):
    ours = recognizer(done)
    video = videos(ours)
    with torch.no_grad():
        features = torch.stack([model.encode_image(frames) for frames in video.unbind(2)]).mean(0)
    expected = 100 * torch.nn.functional.normalize(features, dim=-1) @ TEXT.t()
    torch.testing.assert_close(scores(ours, video[:, None]), expected, atol=5e-5, rtol=1e-5)
    state = load_checkpoint_file(done.dst)['state_dict']
    assert not any('text' in name or 'token' in name for name in state if not name.startswith('backbone.visual.'))
    torch.testing.assert_close(state['cls_head.cosine.logit_scale'], model.logit_scale.detach())
