"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames: a random matrix as the frozen classifier.

One draw with a fixed seed, equal on all ranks; the released code would draw another on each.

Paper's numbers: Table 1, Random normal matrix: top-1 59.30 (1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_ttrans_random_8xb32-u8-30e_kinetics400-rgb.py 8
--amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py']

model = dict(
    cls_head=dict(classifier=dict(_delete_=True, type='RandomClassifier', class_names='kinetics400', embed_dims=512))
)
