"""Tiny models shared by the tests: open_clip model-config dicts that build in milliseconds."""

TEXT_CFG = dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2)

#: A name that open_clip knows, for the tests in which a tiny model takes its place.
CLIP_NAME = 'ViT-L-14-quickgelu'

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


class FixedSource:
    """A classifier source of seeded random rows: K class names, D wide, no text encoder."""

    templates = ('{}',)

    def __init__(self, class_names=('a', 'b', 'c', 'd', 'e', 'f'), embed_dims=32, seed=0):
        self.class_names = tuple(class_names)
        self.embed_dims = embed_dims
        self.seed = seed
        self.encoder_id = f'fixed/{seed}'
        self.builds = 0

    def build(self):
        """Seeded rows of norm one."""
        import torch

        from textxfer_mm.classifiers.bundle import ClassifierBundle

        self.builds += 1
        rows = torch.randn(len(self.class_names), self.embed_dims, generator=torch.Generator().manual_seed(self.seed))
        weight = torch.nn.functional.normalize(rows, dim=-1)
        return ClassifierBundle(weight, self.class_names, self.templates, self.encoder_id)
