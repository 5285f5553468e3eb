"""The shipped configs at tiny size: encoders of one layer, few frames, small files, no downloads."""

import csv
import functools
import tempfile
from pathlib import Path

import numpy as np
import open_clip
import torch
from mmengine.config import Config
from PIL import Image
from safetensors.torch import save_file
from tiny import TEXT_CFG
from tiny_language import write_bert
from tiny_runs import write_dataset

ROOT = Path(__file__).parents[1] / 'configs'
#: All that build models of this project; what lies under downstream is for other packages.
CONFIGS = sorted(
    str(p.relative_to(ROOT))
    for p in ROOT.rglob('*.py')
    if not {'_base_', 'downstream'} & set(p.relative_to(ROOT).parts)
)
#: Those under MMPretrain.
IMAGE = [c for c in CONFIGS if 'default_runtime_image.py' in (ROOT / c).read_text()]
#: Those of iCLIP on the pairs of the paper.
PAIRED = [c for c in CONFIGS if c.startswith('iclip/') and 'yfcc' in c]

#: What stands in for a CLIP of 512 dimensions: one layer, on the frames' true size.
TINY_CLIP = dict(
    embed_dim=512,
    quick_gelu=True,
    vision_cfg=dict(image_size=224, layers=1, width=32, head_width=16, patch_size=56),
    text_cfg=dict(TEXT_CFG, layers=1, width=32),
)

#: What stands in for an encoder of timm, 768 wide.
TINY_TIMM_CLIP = dict(embed_dim=768, vision_cfg=dict(timm_model_name='test_vit', timm_pool='token', timm_proj='linear'))

#: ``arch`` of other backbones by type.
TINY_ARCHS = {
    'MViT': dict(embed_dims=96, num_layers=4, num_heads=1, downscale_indices=[1, 2, 3]),
    'MultiTrainMViT': dict(embed_dims=96, num_layers=4, num_heads=1, downscale_indices=[1, 2, 3]),
    'mmpretrain.VisionTransformer': dict(embed_dims=768, num_layers=1, num_heads=12, feedforward_channels=32),
    'VisionTransformer': dict(embed_dims=768, num_layers=1, num_heads=12, feedforward_channels=32),
}
#: Widths of a Swin by ``arch``, of which one block a stage is left.
SWIN_WIDTHS = dict(tiny=96, base=128)

#: How many class names the lists have that are the user's to write.
LISTS = {
    'data/charades/class_names.txt': 157,
    'data/mit/class_names.txt': 305,
}

#: The classes that stand in for ImageNet-21K: a name that two share, and what tells them apart.
PAIRED_CLASSES = [
    ('crane', 'a large long-necked wading bird'),
    ('crane', 'lifts and moves heavy objects'),
    ('tench', 'a freshwater fish'),
    ('tabby', 'a cat with a grey coat'),
]

SMALLER = {256: 36, 224: 32, 356: 54, 312: 48}


def tiny_clip(name: str) -> dict:
    """A model config as small as it gets, with the width and the input size of an open_clip model and its kind."""
    config = open_clip.get_model_config(name)
    size = config['vision_cfg']['image_size']
    vision_cfg = dict(TINY_CLIP['vision_cfg'], image_size=size, patch_size=size // 4)
    if isinstance(config['vision_cfg']['layers'], list):
        vision_cfg = dict(image_size=size, layers=[1, 1, 1, 1], width=8)
    return dict(TINY_CLIP, embed_dim=config['embed_dim'], vision_cfg=vision_cfg)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    """Files that configs name, for the life of the process."""
    return tempfile.TemporaryDirectory()


@functools.cache
def tiny_bert() -> str:
    """The folder of a language model as wide as DistilBERT."""
    return str(write_bert(Path(_folder().name) / 'tiny-distilbert', context_length=64, width=768))


@functools.cache
def tiny_features() -> str:
    """Features of three videos a class of Kinetics-400, 512 wide."""
    file = Path(_folder().name) / 'features.safetensors'
    generator = torch.Generator().manual_seed(0)
    save_file(dict(features=torch.randn(1200, 512, generator=generator), labels=torch.arange(1200) % 400), file)
    return str(file)


@functools.cache
def load(name: str) -> Config:
    """A config, to be read only."""
    return Config.fromfile(ROOT / name)


#: What may differ between configs of one kind: sizes, names and weights.
NO_KIND = (
    *('arch', 'pretrained', 'image_size', 'in_channels', 'embed_dims', 'num_heads'),
    *('class_names', 'num_classes', 'templates', 'concepts'),
)


def without_sizes(node):
    """A part of a config without what may differ between configs of one kind."""
    if isinstance(node, dict):
        return {key: without_sizes(value) for key, value in node.items() if key not in NO_KIND}
    return node


def kind(cfg: Config, phase: str) -> str:
    """Backbone, neck, head and data of a config in one phase, ``'train'`` or ``'test'``."""
    arch, data = cfg.model.backbone.get('arch'), []
    tower = arch['vision_cfg'].get('timm_model_name') if isinstance(arch, dict) else 'RN' in str(arch)
    dataset = cfg[f'{phase}_dataloader'].dataset
    while 'dataset' in dataset or 'datasets' in dataset:
        data.append(dataset.type)
        dataset = dataset.datasets[0] if 'datasets' in dataset else dataset.dataset
    source = dataset.ann_file.split('/')[:1] if 'ann_file' in dataset else [dataset.type]
    data += [*source, *(step['type'] for step in dataset.pipeline)]
    if phase == 'train':
        data += sorted(cfg.optim_wrapper)
    return repr((tower, without_sizes(cfg.model), data))


def one_of_each_kind(names: list[str], phase: str) -> list[str]:
    """The first config of each kind: what the others are made of is run with it."""
    firsts: dict[str, str] = {}
    for name in names:
        firsts.setdefault(kind(load(name), phase), name)
    return list(firsts.values())


def shrink_node(node: dict) -> None:
    """Put something tiny where a part of a model would be large or downloaded."""
    kind = node.get('type')
    if kind in ('CLIPBackbone', 'CLIPImageBackbone', 'CLIPTextEncoder') and isinstance(node['arch'], str):
        node.update(arch=tiny_clip(node['arch']), pretrained=None)
    elif kind == 'CLIPBackbone' and node.get('pretrained') == 'timm':
        node.update(arch=TINY_TIMM_CLIP, pretrained=None, image_size=224)
    elif isinstance(node.get('pretrained'), str) and (
        '://' in node['pretrained'] or 'work_dirs/' in node['pretrained']
    ):
        node['pretrained'] = None
    if isinstance(node.get('init_cfg'), dict) and '://' in node['init_cfg'].get('checkpoint', ''):
        node['init_cfg'] = None
    if kind == 'TemporalTransformer':
        node['num_layers'] = 1
    if kind == 'LanguageModelEncoder' and node['model'] != 'packaged':
        node['model'] = tiny_bert()
    names = node.get('class_names')
    if isinstance(names, str) and names in LISTS:
        node['class_names'] = [f'class {label}' for label in range(LISTS[names])]
    if node.get('templates') == 'imagenet':  # 80 prompts for each of 1000 names
        node['templates'] = ['a photo of a {}.', 'a drawing of a {}.']
    if kind == 'LDAClassifier':
        node['features'] = tiny_features()
    if kind in ('ResNetTSM', 'SwinTransformer3D'):
        node['pretrained2d'] = False
    if kind in TINY_ARCHS:
        node['arch'] = TINY_ARCHS[kind]
    if kind in ('SwinTransformer', 'SwinTransformer3D'):
        heads = SWIN_WIDTHS[node['arch']] // 32
        node['arch'] = dict(embed_dims=heads * 32, depths=[1] * 4, num_heads=[heads, heads * 2, heads * 4, heads * 8])
    if kind == 'mmpretrain.VisionTransformer':
        node['img_size'] = SMALLER[node['img_size']]


def replace_clip(node):
    """Shrink all parts of a model, those within others too."""
    if isinstance(node, dict):
        shrink_node(node)
        for value in node.values():
            replace_clip(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            replace_clip(value)


def shrink_pixels(pipeline):
    """Let a stock pipeline make small frames, clips of eight of them, and two clips where it makes more."""
    for step in pipeline:
        for key in ('scale', 'crop_size', 'input_size'):
            value = step.get(key)
            if isinstance(value, (tuple, list)):
                step[key] = tuple(SMALLER.get(v, v) for v in value)
            elif value is not None:
                step[key] = SMALLER.get(value, value)
        shrink_pixels(step.get('transforms', ()))
        if step['type'] in ('SampleFrames', 'UniformSample') and step['clip_len'] > 1:
            step.update(clip_len=8, num_clips=min(step.get('num_clips', 1), 2))


def shrink_frames(pipeline):
    """Let one of our pipelines make three frames of true size, and two clips where it makes more."""
    for step in pipeline:
        if step['type'] in ('UniformSample', 'SegmentStartSample'):
            step.update(clip_len=3, num_clips=min(step.get('num_clips', 1), 2))


def shrink_scenes(dataset):
    """Let a dataset of rendered scenes make four of them, kept nowhere."""
    dataset.update({'length': 4} if 'length' in dataset else {'per_class': 1}, indices=4, cache_dir=None)


def shrink_selections(dataset):
    """Let datasets that keep some videos keep some of the two classes that tiny lists have."""
    while 'dataset' in dataset:
        if dataset.type == 'FewShotDataset':
            dataset.shots = 1
        if dataset.type == 'ClassSubsetDataset':
            dataset.update(classes=[0, 1], class_names=None)
        dataset = dataset.dataset


def leaves(dataset):
    """The innermost datasets of a loader, in their wrappers; several where it joins several."""
    if 'datasets' in dataset:
        return [one for part in dataset.datasets for one in leaves(part)]
    return leaves(dataset.dataset) if 'dataset' in dataset else [dataset]


def leaf(dataset):
    """The innermost dataset of a loader, or the first of several."""
    return leaves(dataset)[0]


def tiny_recognizer(cfg: Config) -> Config:
    """Shrink what inference needs: the model and the test pipeline (a copy of which the dataloader has)."""
    replace_clip(cfg.model)
    if cfg.model.backbone.type != 'CLIPBackbone':
        shrink_pixels(cfg.test_pipeline)
        for dataset in leaves(cfg.test_dataloader.dataset):
            shrink_pixels(dataset.pipeline)
    if cfg.model.backbone.type in ('MViT', 'MultiTrainMViT'):
        size = SMALLER[cfg.model.backbone.get('spatial_size', 224)]
        cfg.model.backbone.update(spatial_size=size, temporal_size=min(cfg.model.backbone.get('temporal_size', 16), 8))
    cfg.load_from = None
    return cfg


def write_images(folder: Path, files: int = 10, classes: int = 1000) -> Path:
    """A few images in the layout of ImageNet with lists (``meta/train.txt``, ``val.txt``), a line for each class."""
    generator = np.random.default_rng(0)
    (folder / 'meta').mkdir(parents=True, exist_ok=True)
    for split in ('train', 'val'):
        (folder / split).mkdir(exist_ok=True)
        for number in range(files):
            pixels = generator.integers(0, 255, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f'{number}.png')
        lines = [f'{label % files}.png {label}\n' for label in range(classes)]
        (folder / 'meta' / f'{split}.txt').write_text(''.join(lines))
    return folder


def tiny_image_run(cfg: Config, folder: Path, work_dir: Path | None) -> Config:
    """The same config of images on ten of them, or one for each class in training with few shots, without downloads."""
    replace_clip(cfg.model)
    cfg.load_from, cfg.work_dir = None, work_dir and str(work_dir)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=100)
    write_images(folder)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].update(batch_size=2, num_workers=0, persistent_workers=False)
        if 'length' in cfg[name].sampler:
            cfg[name].sampler.length = 4
        dataset = leaf(cfg[name].dataset)
        if 'data_root' not in dataset:  # scenes, which lie nowhere
            for scenes in leaves(cfg[name].dataset):
                shrink_scenes(scenes)
            continue
        dataset.data_root = str(folder)
        if cfg[name].dataset.type == 'FewShotDataset':
            cfg[name].batch_size, cfg[name].dataset.shots = 500, 1
        else:
            dataset.indices = 10
    return cfg


def write_pairs(folder: Path) -> None:
    """Ten images in the layout of each dataset of iCLIP, and the lists that are the user's to write."""
    write_images(folder / 'imagenet')
    write_images(folder / 'imagenet21k', classes=20)
    lines = [f'{number % 10}.png {number % 4}\n' for number in range(20)]
    (folder / 'imagenet21k' / 'meta' / 'train.txt').write_text(''.join(lines))
    write_images(folder / 'yfcc14m' / 'images')
    for name, header, rows in (
        ('yfcc14m/captions.csv', ('path', 'caption'), [(f'train/{n}.png', f'about {n}') for n in range(10)]),
        ('imagenet21k/glosses.csv', ('label', 'name', 'gloss'), [(n, *row) for n, row in enumerate(PAIRED_CLASSES)]),
    ):
        with (folder / name).open('w', newline='') as file:
            csv.writer(file).writerows([header, *rows])
    (folder / 'imagenet21k' / 'names.txt').write_text('crane\ncrane (machine)\ntench\ntabby\n')


def tiny_paired_run(cfg: Config, work_dir: Path) -> Config:
    """The same config of iCLIP on batches of four, where :func:`write_pairs` has written ``data``."""
    replace_clip(cfg.model)
    cfg.work_dir = str(work_dir)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=100)
    cfg.custom_hooks = []
    for phase in ('train', 'val', 'test'):
        loader = cfg.get(f'{phase}_dataloader')
        if loader:
            loader.update(num_workers=0, persistent_workers=False, batch_size=4)
            for dataset in leaves(loader.dataset):
                if 'Scene' in dataset.type:
                    shrink_scenes(dataset)
    cfg.train_dataloader.sampler.length = 4
    for name in ('val_evaluator', 'test_evaluator'):
        if cfg.get(name):
            cfg[name].topk = 1  # of four classes
    return cfg


def tiny_run(cfg: Config, folder: Path, work_dir: Path | None) -> Config:
    """The same config on a few tiny videos or scenes, one epoch, without downloads."""
    tiny_recognizer(cfg)
    cfg.work_dir = work_dir and str(work_dir)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=100)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        shrink_selections(loader.dataset)
        if 'length' in loader.sampler:
            loader.sampler.length = 4
        videos = functools.cache(lambda name=name: write_dataset(folder / name, good=2))
        for dataset in leaves(loader.dataset):
            if 'ImageNet' in dataset.type:
                dataset.update(data_root=str(write_images(folder / 'images')), indices=2)
            elif 'ann_file' in dataset:
                dataset.ann_file = str(videos())
                dataset.data_prefix = dict(video=str(folder / name))
            else:
                shrink_scenes(dataset)
            shrink = shrink_frames if cfg.model.backbone.type == 'CLIPBackbone' else shrink_pixels
            shrink(dataset.pipeline)
    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper' and not torch.cuda.is_available():
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'  # as tools/train.py does
    return cfg
