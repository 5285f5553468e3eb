"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames, with the recipe that the authors released, Kinetics-400.

RandAugment and grayscale as in their logs of July 2022, betas=(0.9, 0.98) as in the code of November 2022 (the logs do
not say which they had), instead of what the paper describes; each is one line of `_base_`, so it goes into any config
here.

Paper's numbers: none is given for this recipe.
Command: bash tools/dist_train.sh
configs/text4vis/text4vis_vit-b-16_ttrans_released-recipe_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames_randaug.py',
    '../_base_/schedules/text4vis_released_30e.py',
    '../_base_/default_runtime.py',
]
