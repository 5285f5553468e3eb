"""Swin-T of MMPretrain and the text transformer of CLIP ViT-B/32 (12 layers, 512 wide), both from random weights.

Widths, projection (512, without bias), scale at the start and drop path are those of UniCL's code, whose recipe iCLIP's
supplementary follows. Its own class texts are unknown: `a photo of a {}.` and the gloss behind it are ours. 21,841
class texts are encoded by 1,024 at a time, each process its share of the classes (exact). Captions of more than 77
tokens, which is what the text transformer reads, are shortened.

The names and glosses of ImageNet-21K are not shipped; configs/iclip/README.md has the commands that write them.
"""

classes = 'data/imagenet21k/glosses.csv'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='SwinTransformer', arch='tiny', img_size=224, drop_path_rate=0.2),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='UnifiedContrastiveClsHead',
        in_channels=768,
        projection='linear',
        init_scale=2.718281828,
        text_batch_size=1024,
        objective=dict(shard_classes=True, long_captions='shorten'),
        classifier=dict(
            type='TextClassifier',
            class_names=classes,
            templates='a photo of a {}.',
            glosses=classes,
            encoder=dict(type='CLIPTextEncoder', arch='ViT-B-32-quickgelu'),
        ),
    ),
    data_preprocessor=dict(
        type='MixedDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
)
