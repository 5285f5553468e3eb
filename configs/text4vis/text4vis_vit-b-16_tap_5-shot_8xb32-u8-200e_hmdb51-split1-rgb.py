"""Text4Vis, CLIP ViT-B/16, TAP, 8 frames, 5 videos a class, HMDB-51, split 1.

Which videos is not known: here a seeded draw, in which more shots hold the fewer ones. Each is seen once an epoch, for
the 200 epochs of the paper; the released code repeats them to the length of the whole list for 30 epochs:
repeat='full_epoch' of the dataset, with _base_/schedules/text4vis_30e.py. The paper names no split: here the first.

Paper's numbers: Table 8, HMDB51, 5-shot: top-1 71.03 (1 view, as All-shot of Kinetics-400 is).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_tap_5-shot_8xb32-u8-200e_hmdb51-split1-rgb.py 8
--amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on HMDB-51: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/hmdb51_video_8frames.py',
    '../_base_/schedules/text4vis_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(neck=dict(_delete_=True, type='TemporalAveragePool'), cls_head=dict(classifier=dict(class_names='hmdb51')))
train_dataloader = dict(
    dataset=dict(_delete_=True, type='FewShotDataset', shots=5, seed=0, dataset=_base_.train_dataloader.dataset)
)
default_hooks = dict(checkpoint=dict(interval=20))
