"""The packaged model: EfficientNet-lite0 and sentence embeddings by MiniLM, with ConSE between the two.

Configs that inherit from it give `class_names` and the `image_size` of their frames.
"""

sentence_encoder = dict(type='LanguageModelEncoder', model='packaged')
model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='CLIPBackbone',
        arch=dict(
            embed_dim=1280,
            vision_cfg=dict(timm_model_name='tf_efficientnet_lite0', timm_pool='avg', timm_proj='none'),
        ),
        pretrained='packaged',
    ),
    neck=dict(type='TemporalAveragePool'),
    cls_head=dict(
        type='TextEmbeddingHead',
        in_channels=1280,
        classifier=dict(type='TextClassifier', templates='class_name', encoder=sentence_encoder),
        projection=dict(
            type='ConSEProjection',
            concepts=dict(
                type='TextClassifier', class_names='imagenet1k', templates='class_name', encoder=sentence_encoder
            ),
        ),
    ),
    data_preprocessor=dict(type='ActionDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, format_shape='NCTHW'),
)
