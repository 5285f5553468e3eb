"""A tiny model of every head and temporal module, each with batches, for what must be equal on every device."""

import copy

import torch
from multi_dataset_ranks import BATCH, sample_of
from multi_dataset_ranks import build as build_multi_dataset
from tiny import TINY_RESNET, TINY_VIT
from unified_model import JOINT, NAMES, build_unified, unified_sample

import textxfer_mm.register  # noqa: F401

from mmaction.registry import MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip
from mmpretrain.structures import DataSample  # isort: skip

LABELS = [0, 3, 3, 4]
CLASSIFIER = dict(
    type='TextClassifier', class_names=list(NAMES), encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT), use_cache=False
)
TTRANS = dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=2)
MVIT = dict(
    type='MultiTrainMViT',
    arch=dict(embed_dims=32, num_layers=4, num_heads=1, downscale_indices=[1, 2, 3]),
    spatial_size=32,
    temporal_size=4,
    drop_path_rate=0.0,
)
LINEAR = dict(type='MultiDatasetHead', hidden_channels=16, dropout=0.0, expander_channels=16)


def text_head(kind='TextEmbeddingHead', *, neck=None, backbone=None, **options):
    """What builds a recognizer with a head of one dataset."""

    def build():
        init_default_scope('mmaction')
        head = {'in_channels': 32, 'classifier': CLASSIFIER, 'init_scale': 20.0, **options}
        tower = backbone or dict(type='CLIPBackbone', arch=TINY_VIT)
        return MODELS.build(
            copy.deepcopy(dict(type='Recognizer3D', backbone=tower, neck=neck, cls_head=dict(head, type=kind)))
        )

    return build


def image_head(kind='TextEmbeddingClsHead', **options):
    """What builds an image classifier."""

    def build():
        init_default_scope('mmpretrain')
        head = dict(type=kind, in_channels=32, classifier=CLASSIFIER, init_scale=20.0, **options)
        tower = dict(type='CLIPImageBackbone', arch=TINY_VIT)
        return MODELS.build(copy.deepcopy(dict(type='mmpretrain.ImageClassifier', backbone=tower, head=head)))

    return build


def mvit():
    """MultiTrain's backbone under its head."""
    init_default_scope('mmaction')
    head = dict(LINEAR, in_channels=256, datasets=dict(a=dict(num_classes=6), b=dict(num_classes=3)))
    return MODELS.build(dict(type='Recognizer3D', backbone=MVIT, cls_head=head))


def clips(rows, step, frames=4):
    """Normalised clips, or images where there are no frames."""
    shape = (3, 32, 32) if frames is None else (1, 3, frames, 32, 32)
    return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(step))


def labelled(step):
    """Clips of one class each."""
    return clips(len(LABELS), step), [ActionDataSample().set_gt_label(label) for label in LABELS]


def of_several_classes(step):
    """Clips of several classes each."""
    targets = torch.rand(4, len(NAMES), generator=torch.Generator().manual_seed(step)).round()
    return clips(4, step), [ActionDataSample().set_gt_label(target) for target in targets]


def captioned(step):
    """Clips with a caption each."""
    texts = ('a red hat', 'a ball in the park', 'a dog', 'a red hat')
    return clips(4, step), [ActionDataSample(metainfo=dict(caption=text)).set_gt_label(0) for text in texts]


def mixed(step):
    """Clips of which some have a label and some a caption."""
    return clips(len(JOINT), step, 1), [unified_sample(**facts) for facts in JOINT]


def of_datasets(step):
    """Clips of several datasets, blended in the second step."""
    return clips(len(BATCH), step, 2), [sample_of(i, blend=step == 1) for i in range(len(BATCH))]


def of_two_datasets(step):
    """Clips of two datasets."""
    samples = [ActionDataSample(metainfo=dict(dataset_name=name)).set_gt_label(label) for name, label in TWO]
    return clips(len(TWO), step), samples


def images(step):
    """Images of one class each."""
    return clips(4, step, None), [DataSample().set_gt_label(label) for label in LABELS]


def mixed_images(step):
    """Images of which some have a label and some a caption."""
    samples = []
    for facts in JOINT:
        sample = DataSample(metainfo={key: facts[key] for key in facts if key == 'caption'})
        samples.append(sample.set_gt_label(facts['label']) if 'label' in facts else sample)
    return clips(len(JOINT), step, None), samples


TWO = [('a', 0), ('b', 2), ('a', 5), ('b', 1)]
VIT, RESNET = dict(type='CLIPBackbone', arch=TINY_VIT), dict(type='CLIPBackbone', arch=TINY_RESNET)
#: name -> what builds the model, and what gives the batch of a step
MODELS_AND_BATCHES = {
    'frozen text': (text_head(neck=dict(type='TemporalAveragePool')), labelled),
    'T-Trans': (text_head(neck=TTRANS), labelled),
    'T-Trans of other frames': (text_head(neck=dict(TTRANS, num_frames=3)), labelled),
    'TokenT1D': (text_head(backbone=dict(VIT, temporal=dict(type='TokenT1D'))), labelled),
    'T1D': (text_head(backbone=dict(RESNET, temporal=dict(type='T1D'), norm_eval=True)), labelled),
    'activation checkpoints': (text_head(backbone=dict(VIT, with_cp=True)), labelled),
    'unfrozen': (text_head(frozen=False), labelled),
    'templates': (text_head(train_templates=['{}', 'a video of {}.']), labelled),
    'MLP projection': (text_head(projection='mlp', label_smooth_eps=0.1, max_scale=20.0), labelled),
    'Eq. 3': (text_head(normalize=False, init_scale=None), labelled),
    'several classes': (text_head(multi_class=True, init_scale=None), of_several_classes),
    'prompt': (text_head('LearnablePromptHead', text_batch_size=2), labelled),
    'prompt a class': (text_head('LearnablePromptHead', class_specific=True, init_words='a video of a'), labelled),
    'matching online': (text_head('VideoTextMatchingHead', text='online'), labelled),
    'matching offline': (text_head('VideoTextMatchingHead', text='offline', gather=False), labelled),
    'captions': (text_head('CaptionMatchingHead', text_batch_size=2), captioned),
    'datasets': (lambda: build_multi_dataset('mlp'), of_datasets),
    'datasets in text': (lambda: build_multi_dataset('text'), of_datasets),
    'union of datasets': (lambda: build_multi_dataset('union'), of_datasets),
    'similar names of datasets': (lambda: build_multi_dataset('union', synonyms=0.9), of_datasets),
    'MultiTrainMViT': (mvit, of_two_datasets),
    'iCLIP': (build_unified, mixed),
    'iCLIP in chunks': (lambda: build_unified(text_batch_size=2), mixed),
    'iCLIP sampled': (lambda: build_unified(objective=dict(num_negatives=1)), mixed),
    'iCLIP with kept rows': (lambda: build_unified(objective=dict(refresh_interval=2, num_negatives=1)), mixed),
    'iCLIP with other captions': (lambda: build_unified(objective=dict(equal_captions='negatives')), mixed),
    'UniCL': (lambda: build_unified(objective=dict(form='unicl')), mixed),
    'images': (image_head(), images),
    'iCLIP of images': (image_head('UnifiedContrastiveClsHead', text_batch_size=2), mixed_images),
}


def build(name, device='cpu'):
    """A model, seeded, on a device; draws are the CPU's on all."""
    torch.manual_seed(0)
    model = MODELS_AND_BATCHES[name][0]()
    model.init_weights()
    return model.to(device).train()


def batch_of(name, step, device='cpu'):
    """The batch of a step on a device."""
    inputs, samples = MODELS_AND_BATCHES[name][1](step)
    return inputs.to(device), [sample.to(device) for sample in samples]


def take_steps(model, name, steps=3, *, device='cpu', precision=None):
    """Some steps of SGD: what each logs, the gradients of the first, and the scores behind the last."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    logged, grads = [], {}
    for step in range(steps):
        optimizer.zero_grad()
        with torch.autocast(torch.device(device).type, precision, enabled=precision is not None):
            found = model(*batch_of(name, step, device), mode='loss')
        sum(value for key, value in found.items() if 'loss' in key).backward()
        logged.append({key: value.detach() for key, value in found.items()})
        if step == 0:
            grads = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
    with torch.no_grad():
        samples = model.eval()(*batch_of(name, 0, device), mode='predict')
    return logged, grads, [sample.pred_score for sample in samples]
