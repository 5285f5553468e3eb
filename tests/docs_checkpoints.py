"""Stand-ins for the checkpoints of others that the documentation converts: tiny, in their authors' layout."""

import open_clip
import torch
from authors_multitrain import random_weights
from captioned import caption_model
from clip_layouts import vifi_clip
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_configs import TINY_CLIP

from textxfer_mm.engine.clip_export import export_clip
from textxfer_mm.layers.temporal_transformer import TemporalTransformerLayers
from textxfer_mm.registry import MODELS
from textxfer_mm.text.class_names import load_class_names


def write_caption_run(folder):
    """Write a checkpoint of a run of pre-training on captions, and its towers as a folder of open_clip."""
    cfg = Config(dict(default_scope='mmaction', model=caption_model(TINY_CLIP)))
    init_default_scope('mmaction')
    model = MODELS.build(cfg.model)
    model.init_weights()
    folder.mkdir(parents=True)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), folder / 'epoch_1.pth')
    export_clip(model, model.state_dict(), folder / 'tower')


def write_source_file(path, source):
    """Write a checkpoint of ViFi-CLIP or MultiTrain, or with T-Trans one of Text4Vis or ActionCLIP (the tiny CLIP)."""
    torch.manual_seed(0)
    clip = open_clip.CLIP(**TINY_CLIP).state_dict()
    fusion = TemporalTransformerLayers(TINY_CLIP['embed_dim'], num_layers=1).state_dict()
    if source == 'actionclip':
        fusion = {f'module.{name}': value for name, value in fusion.items()}
        torch.save(dict(model_state_dict=clip, fusion_model_state_dict=fusion), path)
        return
    if source == 'vifi-clip':
        torch.save(dict(model=vifi_clip(clip, prompts=load_class_names('kinetics400'))), path)
        return
    if source == 'multitrain':
        torch.save(dict(model_state=random_weights()), path)
        return
    assert source == 'text4vis', f'nothing here writes a {source} file'
    weights = {name: value for name, value in clip.items() if name.startswith('visual.') or name == 'logit_scale'}
    weights |= {f'fusion_model.{name}': value for name, value in fusion.items()}
    torch.save(dict(model_state_dict=weights), path)
