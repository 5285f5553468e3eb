"""CLIP ViT-B/16, T-Trans and the frozen text embeddings of the class names (Text4Vis, Fig. 2)."""

clip = dict(arch='ViT-B-16-quickgelu', pretrained='openai')

model = dict(
    type='Recognizer3D',
    backbone=dict(type='CLIPBackbone', **clip),
    neck=dict(type='TemporalTransformer', in_channels=512),
    cls_head=dict(
        type='TextEmbeddingHead',
        in_channels=512,
        classifier=dict(
            type='TextClassifier',
            class_names='kinetics400',
            templates='text4vis',
            encoder=dict(type='CLIPTextEncoder', **clip),
        ),
        average_clips='feature',
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.32316305],
        format_shape='NCTHW',
    ),
)
