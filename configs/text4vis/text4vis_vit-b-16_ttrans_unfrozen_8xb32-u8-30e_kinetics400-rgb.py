"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames: the classifier is trained from the text embeddings.

At the rate of what is new; the paper does not say which.

Paper's numbers: Supplementary Table 2, unfrozen: top-1 79.16, top-5 93.55 (1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_ttrans_unfrozen_8xb32-u8-30e_kinetics400-rgb.py 8
--amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py']

model = dict(cls_head=dict(frozen=False))
