"""A tiny CLIP as an image classifier of MMPretrain."""

from mmengine.config import Config
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from tiny import TINY_VIT

NAMES = ['waving', 'clapping', 'running']
ARCH = {**TINY_VIT, 'preprocess_cfg': dict(mean=OPENAI_DATASET_MEAN, std=OPENAI_DATASET_STD)}


def image_config(**head):
    text = dict(type='CLIPTextEncoder', arch=ARCH)
    classifier = dict(type='TextClassifier', class_names=NAMES, templates='a photo of a {}.', encoder=text)
    pixels = {key: [255 * v for v in ARCH['preprocess_cfg'][key]] for key in ('mean', 'std')}
    return Config(
        dict(
            default_scope='mmpretrain',
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='CLIPImageBackbone', arch=ARCH),
                head=head or dict(type='TextEmbeddingClsHead', in_channels=32, classifier=classifier),
                data_preprocessor=dict(type='ClsDataPreprocessor', to_rgb=True, **pixels),
            ),
            test_pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='ResizeEdge', scale=32, edge='short', backend='pillow', interpolation='bicubic'),
                dict(type='CenterCrop', crop_size=32),
                dict(type='PackInputs'),
            ],
        )
    )
