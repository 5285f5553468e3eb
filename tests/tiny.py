"""Tiny models shared by the tests: open_clip model-config dicts that build in milliseconds."""

TEXT_CFG = dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2)

#: A ViT with two layers on 32 x 32 frames, D = 32.
TINY_VIT = dict(
    embed_dim=32,
    quick_gelu=True,
    vision_cfg=dict(image_size=32, layers=2, width=64, head_width=32, patch_size=16),
    text_cfg=TEXT_CFG,
)

#: A ModifiedResNet with four one-block stages on 32 x 32 frames, D = 32.
TINY_RESNET = dict(
    embed_dim=32,
    quick_gelu=True,
    vision_cfg=dict(image_size=32, layers=[1, 1, 1, 1], width=8),
    text_cfg=TEXT_CFG,
)

#: A timm tower on 32 x 32 frames, D = 32.
TINY_TIMM = dict(
    embed_dim=32,
    vision_cfg=dict(timm_model_name='test_efficientnet', timm_pool='avg', timm_proj='linear', image_size=32),
    text_cfg=TEXT_CFG,
)
