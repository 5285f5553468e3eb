"""Text4Vis, CLIP ViT-B/16, TAP, 8 frames, 3 videos a class, Kinetics-400.

Which videos is not known: here a seeded draw, in which more shots hold the fewer ones. Each is seen once an epoch, for
the 200 epochs of the paper; the released code repeats them to the length of the whole list for 30 epochs:
repeat='full_epoch' of the dataset, with _base_/schedules/text4vis_30e.py.

Paper's numbers: Table 8, K400, 3-shot: top-1 67.50 (1 view, as All-shot of Kinetics-400 is).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_tap_3-shot_8xb32-u8-200e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(neck=dict(_delete_=True, type='TemporalAveragePool'))
train_dataloader = dict(
    dataset=dict(_delete_=True, type='FewShotDataset', shots=3, seed=0, dataset=_base_.train_dataloader.dataset)
)
default_hooks = dict(checkpoint=dict(interval=20))
