"""The shipped configs at tiny size: a CLIP of one layer, small frames, no downloads."""

from pathlib import Path

from mmengine.config import Config
from tiny import TEXT_CFG
from tiny_runs import write_dataset

ROOT = Path(__file__).parents[1] / 'configs'
CONFIGS = sorted(str(p.relative_to(ROOT)) for p in ROOT.rglob('*.py') if '_base_' not in p.parts)

#: What stands in for a CLIP of any name: one layer, on the frames' true size.
TINY_CLIP = dict(
    embed_dim=512,
    quick_gelu=True,
    vision_cfg=dict(image_size=224, layers=1, width=32, head_width=16, patch_size=56),
    text_cfg=dict(TEXT_CFG, layers=1, width=32),
)

SMALLER = {256: 72, 224: 64}


def replace_clip(node):
    """Put the tiny CLIP where an open_clip model is named; drop other downloads."""
    if isinstance(node, dict):
        if node.get('type') in ('CLIPBackbone', 'CLIPTextEncoder') and isinstance(node['arch'], str):
            node.update(arch=TINY_CLIP, pretrained=None)
        elif isinstance(node.get('pretrained'), str) and '://' in node['pretrained']:
            node['pretrained'] = None
        if node.get('type') == 'TemporalTransformer':
            node['num_layers'] = 1
        if node.get('type') in ('ResNetTSM', 'SwinTransformer3D'):
            node['pretrained2d'] = False
        if node.get('type') == 'SwinTransformer3D':
            node['arch'] = dict(embed_dims=96, depths=[1, 1, 1, 1], num_heads=[3, 6, 12, 24])
        for value in node.values():
            replace_clip(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            replace_clip(value)


def shrink_pixels(pipeline):
    """Let a stock pipeline make small frames, and two clips where it makes more."""
    for step in pipeline:
        for key in ('scale', 'crop_size', 'input_size'):
            value = step.get(key)
            if isinstance(value, (tuple, list)):
                step[key] = tuple(SMALLER.get(v, v) for v in value)
            elif value is not None:
                step[key] = SMALLER.get(value, value)
        if step['type'] == 'SampleFrames' and step['clip_len'] > 1:
            step['num_clips'] = min(step.get('num_clips', 1), 2)


def tiny_recognizer(cfg: Config) -> Config:
    """Shrink what inference needs: the model and the test pipeline (a copy of which the dataloader has)."""
    replace_clip(cfg.model)
    if cfg.model.backbone.type != 'CLIPBackbone':
        shrink_pixels(cfg.test_pipeline)
        shrink_pixels(cfg.test_dataloader.dataset.pipeline)
    if cfg.model.backbone.type == 'MViT':
        cfg.model.backbone.update(spatial_size=64, temporal_size=16)
    cfg.load_from = None
    return cfg


def tiny_run(cfg: Config, folder: Path, work_dir: Path | None) -> Config:
    """The same config on a few tiny videos, one epoch, without downloads."""
    tiny_recognizer(cfg)
    cfg.work_dir = work_dir and str(work_dir)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=100)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.ann_file = str(write_dataset(folder / name, good=2))
        loader.dataset.data_prefix = dict(video=str(folder / name))
        if cfg.model.backbone.type != 'CLIPBackbone':
            shrink_pixels(loader.dataset.pipeline)
    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper':
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'  # as tools/train.py does without a GPU
    return cfg
