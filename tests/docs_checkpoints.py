"""Stand-ins for the checkpoints of others that the documentation converts: tiny, in their authors' layout."""

import open_clip
import torch
from clip_layouts import vifi_clip
from tiny_configs import TINY_CLIP

from textxfer_mm.layers.temporal_transformer import TemporalTransformerLayers
from textxfer_mm.text.class_names import load_class_names


def write_source_file(path, source):
    """Write a T-Trans checkpoint of Text4Vis or ActionCLIP (the tiny CLIP, and one layer over it), or ViFi-CLIP's."""
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
    assert source == 'text4vis', f'nothing here writes a {source} file'
    weights = {name: value for name, value in clip.items() if name.startswith('visual.') or name == 'logit_scale'}
    weights |= {f'fusion_model.{name}': value for name, value in fusion.items()}
    torch.save(dict(model_state_dict=weights), path)
