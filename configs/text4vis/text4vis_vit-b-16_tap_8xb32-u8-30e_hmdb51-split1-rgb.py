"""Text4Vis, CLIP ViT-B/16, TAP, 8 frames, all videos, HMDB-51, split 1.

It starts from CLIP, not from Kinetics. How long it trained is not known: here the 30 epochs of the other full lists.
The paper names no split: here the first.

Paper's numbers: Table 8, HMDB51, all: top-1 73.18 (1 view, as All-shot of Kinetics-400 is).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_hmdb51-split1-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on HMDB-51: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/hmdb51_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(neck=dict(_delete_=True, type='TemporalAveragePool'), cls_head=dict(classifier=dict(class_names='hmdb51')))
