"""CLIP ResNet-50, T-Trans (8 heads: those of its text tower) and the frozen text embeddings of the class names.

BatchNorm trains as in the authors' code: statistics of each GPU's batch, running averages updated.
"""

_base_ = ['text4vis_vit-b-16.py']

clip = dict(arch='RN50-quickgelu', pretrained='openai')
model = dict(
    backbone=dict(**clip),
    neck=dict(in_channels=1024, num_heads=8),
    cls_head=dict(in_channels=1024, classifier=dict(encoder=dict(**clip))),
)
