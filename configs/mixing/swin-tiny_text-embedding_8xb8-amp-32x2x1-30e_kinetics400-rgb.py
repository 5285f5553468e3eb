"""mmaction2's VideoSwin-tiny with only the head swapped: frozen CLIP text embeddings instead of a linear layer.

Paper row: none; this shows one block mixed into a stock config (its schedule and pipelines are untouched).
Command: bash tools/dist_train.sh configs/mixing/swin-tiny_text-embedding_8xb8-amp-32x2x1-30e_kinetics400-rgb.py 8
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400.
"""

_base_ = ['mmaction::recognition/swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb.py']

custom_imports = dict(imports=['textxfer_mm.register'])

model = dict(
    cls_head=dict(
        _delete_=True,
        type='TextEmbeddingHead',
        in_channels=768,
        projection='linear',
        classifier=dict(
            type='TextClassifier',
            class_names='kinetics400',
            encoder=dict(type='CLIPTextEncoder', arch='ViT-B-32-quickgelu', pretrained='openai'),
        ),
    ),
)
