"""CLIP ViT-B/32, T-Trans and the frozen text embeddings of the class names."""

_base_ = ['text4vis_vit-b-16.py']

clip = dict(arch='ViT-B-32-quickgelu', pretrained='openai')
model = dict(backbone=dict(**clip), cls_head=dict(classifier=dict(encoder=dict(**clip))))
