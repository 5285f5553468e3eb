"""Text4Vis, CLIP ViT-L/14, T-Trans, 16 frames, fine-tuned from Kinetics-400, ActivityNet.

A row of the authors' README, not of the paper: mAP 96.5, of probabilities that went through a softmax twice, which
changes the ranking across videos and so the mAP. Trained with one label an instance, tested on whole videos with 16 x 1
x 1 views. The labels of the lists count the shipped 200 names, which are in alphabetical order.

Paper's numbers: none.
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-l-14_ttrans_8xb16-u16-30e_activitynet-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on ActivityNet: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-l-14.py',
    '../_base_/datasets/activitynet_video_16frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(cls_head=dict(classifier=dict(class_names='activitynet')))
load_from = 'work_dirs/text4vis_vit-l-14_ttrans_32xb8-u16-30e_kinetics400-rgb/epoch_30.pth'
train_dataloader = dict(batch_size=16)
auto_scale_lr = dict(base_batch_size=128)
