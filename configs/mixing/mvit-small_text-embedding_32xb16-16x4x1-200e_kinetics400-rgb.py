"""mmaction2's MViTv2-small with only the head swapped: frozen CLIP text embeddings instead of a linear layer.

The class token is classified, as MViTHead does. The stock training pipeline's RandAugment needs
`pip install pytorchvideo`; this package makes it importable beside today's torchvision.

Paper row: none; this shows one block mixed into a stock config (its schedule and pipelines are untouched).
Command: bash tools/dist_train.sh configs/mixing/mvit-small_text-embedding_32xb16-16x4x1-200e_kinetics400-rgb.py 32
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400.
"""

_base_ = ['mmaction::recognition/mvit/mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb.py']

custom_imports = dict(imports=['textxfer_mm.register'])

model = dict(
    cls_head=dict(
        _delete_=True,
        type='TextEmbeddingHead',
        in_channels=768,
        feature='cls',
        projection='linear',
        label_smooth_eps=0.1,
        classifier=dict(
            type='TextClassifier',
            class_names='kinetics400',
            encoder=dict(type='CLIPTextEncoder', arch='ViT-B-32-quickgelu', pretrained='openai'),
        ),
    ),
)

# Configs inherited from another package carry a `_scope_` that MMEngine hands on to this function, which refuses it.
train_dataloader = dict(collate_fn=dict(_delete_=True, type='repeat_pseudo_collate'))
