"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames, tested as the released code does, Kinetics-400.

For the authors' checkpoints (tools/model_converters/convert_checkpoint.py --source text4vis makes ours of them), to
compare with the numbers of their logs, such as 81.40 and 95.48 for this model: 1 view in validation, 4 x 3 in testing.
docs/protocols.md has the views, and how to test other models with them. What remains: the authors read frames from JPEG
files, not from videos.

Paper's numbers: none is given for this evaluation.
Command: bash tools/dist_train.sh
configs/text4vis/text4vis_vit-b-16_ttrans_released-evaluation_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames_released-evaluation.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]
