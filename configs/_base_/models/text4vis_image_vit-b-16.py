"""CLIP ViT-B/16 and the frozen text embeddings of ImageNet's class names, under MMPretrain.

The names are those that OpenAI published with CLIP, the template is its plain one; the paper names none.
"""

clip = dict(arch='ViT-B-16-quickgelu', pretrained='openai')

model = dict(
    type='ImageClassifier',
    backbone=dict(type='CLIPImageBackbone', **clip),
    head=dict(
        type='TextEmbeddingClsHead',
        in_channels=512,
        classifier=dict(
            type='TextClassifier',
            class_names='imagenet1k',
            templates='a photo of a {}.',
            encoder=dict(type='CLIPTextEncoder', **clip),
        ),
    ),
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.32316305],
        to_rgb=True,
    ),
)
