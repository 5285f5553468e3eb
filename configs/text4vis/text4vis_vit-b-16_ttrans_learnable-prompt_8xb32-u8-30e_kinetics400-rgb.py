"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames: a learned template.

Four vectors before the class name, shared by all classes (supplementary Eq. 1); the text tower is frozen, which the
paper does not say.

Paper's numbers: Table 4, learnable template + class name: top-1 81.22 (1 view).
Command: bash tools/dist_train.sh
configs/text4vis/text4vis_vit-b-16_ttrans_learnable-prompt_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py']

model = dict(
    cls_head=dict(
        type='LearnablePromptHead',
        num_context=4,
        suffix='',
        classifier=dict(
            _delete_=True,
            type='TextClassifier',
            class_names='kinetics400',
            encoder=dict(type='CLIPTextEncoder', **_base_.clip),
        ),
    )
)
