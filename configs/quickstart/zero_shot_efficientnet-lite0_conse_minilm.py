"""Zero-shot recognition with what a package index offers: EfficientNet-lite0, ConSE and MiniLM; nothing is trained.

Reproduces: no paper's row. It is ConSE (Norouzi et al., 2014) on the average of 8 frames: the ten most probable
ImageNet classes, weighted, pick a point among the sentence embeddings of their names, and the nearest label wins. It
sees objects, not motion, and is far weaker than CLIP; it serves where no CLIP weights are at hand.
Command: textxfer predict VIDEO --labels "a,b,c" (this is its default model); needs the extra `offline`.
Cost: no training.
Our status: run with its true weights by the tests; no accuracy was measured on a public data set.
"""

custom_imports = dict(imports=['textxfer_mm'])
default_scope = 'mmaction'

sentence_encoder = dict(type='LanguageModelEncoder', model='embedded')
model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='CLIPBackbone',
        arch=dict(
            embed_dim=1280,
            vision_cfg=dict(timm_model_name='tf_efficientnet_lite0', timm_pool='avg', timm_proj='none', image_size=224),
        ),
        pretrained='embedded',
    ),
    neck=dict(type='TemporalAveragePool'),
    cls_head=dict(
        type='TextEmbeddingHead',
        in_channels=1280,
        classifier=dict(
            type='TextClassifier', class_names='kinetics400', templates='class_name', encoder=sentence_encoder
        ),
        projection=dict(
            type='ConSEProjection',
            concepts=dict(
                type='TextClassifier', class_names='imagenet1k', templates='class_name', encoder=sentence_encoder
            ),
        ),
        test_scale=20.0,
    ),
    data_preprocessor=dict(type='ActionDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, format_shape='NCTHW'),
)

test_pipeline = [
    dict(type='TolerantDecordInit', test_mode=True),
    dict(type='UniformSample', clip_len=8, test_mode=True),
    dict(type='TolerantDecordDecode', test_mode=True),
    dict(type='Resize', scale=(-1, 256), interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
# MMAction2's inferencer takes the pipeline from here.
test_dataloader = dict(dataset=dict(type='VideoDataset', ann_file='', pipeline=test_pipeline, test_mode=True))
