"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames: class names embedded by DistilBERT.

DistilBERT is 768 wide and the vision encoder 512: a linear map that is trained brings features to 768. How the authors
did it, and how they pooled the tokens (here: the mean), is not known.

Paper's numbers: Table 1, DistilBERT: top-1 81.45 (1 view).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_ttrans_distilbert_8xb32-u8-30e_kinetics400-rgb.py 8
--amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py']

model = dict(
    cls_head=dict(
        embed_dims=768,
        projection='linear',
        classifier=dict(
            encoder=dict(
                _delete_=True, type='LanguageModelEncoder', model='distilbert/distilbert-base-uncased', pooling='mean'
            )
        ),
    )
)
