"""A small dual tower of CLIP's kind: a ResNet of width 16 for 64 pixels and a text transformer of two layers.

The vision tower is open_clip's `ModifiedResNet` with one block a stage (1.4 million weights), the text tower
has 0.4 million and 6.3 million of token embeddings, since the tokenizer is CLIP's.
"""

clip = dict(
    embed_dim=128,
    vision_cfg=dict(image_size=64, layers=[1, 1, 1, 1], width=16),
    text_cfg=dict(context_length=24, vocab_size=49408, width=128, heads=2, layers=2),
)

model = dict(
    type='Recognizer3D',
    backbone=dict(type='CLIPBackbone', arch=clip),
    cls_head=dict(
        type='TextEmbeddingHead',
        in_channels=128,
        classifier=dict(
            type='TextClassifier',
            class_names=['holding a ball'],
            templates='text4vis',
            encoder=dict(type='CLIPTextEncoder', arch=clip),
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
