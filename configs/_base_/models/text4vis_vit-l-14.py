"""CLIP ViT-L/14, T-Trans (12 heads) and the frozen text embeddings of the class names."""

_base_ = ['text4vis_vit-b-16.py']

clip = dict(arch='ViT-L-14-quickgelu', pretrained='openai')
model = dict(
    backbone=dict(**clip),
    neck=dict(in_channels=768),
    cls_head=dict(in_channels=768, classifier=dict(encoder=dict(**clip))),
)
