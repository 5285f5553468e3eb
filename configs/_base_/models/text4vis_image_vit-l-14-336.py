"""CLIP ViT-L/14 at 336 pixels and the frozen text embeddings of ImageNet's class names, under MMPretrain."""

_base_ = ['text4vis_image_vit-b-16.py']

clip = dict(arch='ViT-L-14-336-quickgelu', pretrained='openai')
model = dict(backbone=dict(**clip), head=dict(in_channels=768, classifier=dict(encoder=dict(**clip))))
