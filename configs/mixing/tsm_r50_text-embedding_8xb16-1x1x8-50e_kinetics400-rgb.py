"""mmaction2's TSM-R50 with only the head swapped: frozen CLIP text embeddings instead of a linear layer.

Paper row: none; this shows one block mixed into a stock config (its schedule and pipelines are untouched).
Command: bash tools/dist_train.sh configs/mixing/tsm_r50_text-embedding_8xb16-1x1x8-50e_kinetics400-rgb.py 8
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400.
"""

_base_ = ['mmaction::recognition/tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb.py']

custom_imports = dict(imports=['textxfer_mm.register'])

model = dict(
    cls_head=dict(
        _delete_=True,
        type='TextEmbeddingHead',
        in_channels=2048,
        projection='linear',
        num_segments=8,
        classifier=dict(
            type='TextClassifier',
            class_names='kinetics400',
            encoder=dict(type='CLIPTextEncoder', arch='ViT-B-32-quickgelu', pretrained='openai'),
        ),
    ),
)

# TSM's own constructor knows a ResNet and a last linear layer with bias only; it would forget the head's logit scale.
optim_wrapper = dict(constructor='DefaultOptimWrapperConstructor', paramwise_cfg=dict(_delete_=True))
