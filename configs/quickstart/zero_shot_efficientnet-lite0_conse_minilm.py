"""Zero-shot recognition with what a package index offers: EfficientNet-lite0, ConSE and MiniLM; nothing is trained.

Reproduces: no paper's row. It is ConSE (Norouzi et al., 2014) on the average of 8 frames: the ten most probable
ImageNet classes, weighted, pick a point among the sentence embeddings of their names, and the nearest label wins. It
sees objects, not motion, and is far weaker than CLIP; it serves where no CLIP weights are at hand.
Command: textxfer predict VIDEO --labels "a,b,c" (this is its default model); needs the extra `offline`.
Cost: no training.
Our status: run with its true weights by the tests; no accuracy was measured on a public data set.
"""

_base_ = ['../_base_/models/efficientnet-lite0_conse_minilm.py']

custom_imports = dict(imports=['textxfer_mm.register'])
default_scope = 'mmaction'

model = dict(
    backbone=dict(arch=dict(vision_cfg=dict(image_size=224))),
    cls_head=dict(classifier=dict(class_names='kinetics400'), test_scale=20.0),
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
