"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames: linear discriminant analysis as the frozen classifier.

Computed from 60 training videos per class, with the pre-trained encoder and TAP. Solver and shrinkage are not known;
scikit-learn's defaults are used here.

Paper's numbers: Table 1, Linear discriminant projection: top-1 80.77 (1 view).
Command: python tools/extract_features.py configs/text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py
data/kinetics400/lda_vit-b-16_60-per-class.safetensors --per-class 60, then bash tools/dist_train.sh
configs/text4vis/text4vis_vit-b-16_ttrans_lda_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py']

model = dict(
    cls_head=dict(
        classifier=dict(
            _delete_=True,
            type='LDAClassifier',
            class_names='kinetics400',
            features='data/kinetics400/lda_vit-b-16_60-per-class.safetensors',
            embed_dims=512,
        )
    )
)
