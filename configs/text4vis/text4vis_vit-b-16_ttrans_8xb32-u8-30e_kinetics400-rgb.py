"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames, Kinetics-400.

Paper's numbers: Table 1, Textual encoder of CLIP; Table 2, ViT-B/16, T-Trans; Table 4, "a video of a person" + class
name; Table 5, ViT-B/16, 224 x 224, 8 frames; Table 6, Our paradigm: no batch gather, offline text; Figure 1, Textual
vectors (left); Supplementary Table 2, frozen: top-1 81.52, top-5 95.49 (1 view); 82.65, 96.25 (4 x 3 views); 3.3
V100-days.
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: the authors' log, 30 epochs on 8 GPUs whose model it does not name, says 6.9 h; 10 hours on 8 V100 in the paper.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]
