"""Text4Vis, CLIP ViT-L/14, T-Trans, 8 frames, fine-tuned from Kinetics-400, UCF-101, split 2.

The classifier of Kinetics-400 in the checkpoint is replaced by the text embeddings of these classes. `acc/mean1` is the
mean class accuracy; the paper does not say how many views it tested, here the validation has 1 and the test 4 x 3.

Paper's numbers: Supplementary Table 1, Ours, UCF-101: mean class accuracy 98.2 (mean of the three splits).
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-l-14_ttrans_8xb16-u8-30e_ucf101-split2-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on UCF-101: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-l-14.py',
    '../_base_/datasets/ucf101_video_8frames.py',
    '../_base_/schedules/text4vis_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(cls_head=dict(classifier=dict(class_names='ucf101')))
load_from = 'work_dirs/text4vis_vit-l-14_ttrans_32xb8-u8-30e_kinetics400-rgb/epoch_30.pth'

split = 2
ann_file_train = f'data/ucf101/ucf101_train_split_{split}_videos.txt'
ann_file_val = f'data/ucf101/ucf101_val_split_{split}_videos.txt'
train_dataloader = dict(batch_size=16, dataset=dict(ann_file=ann_file_train))
val_dataloader = test_dataloader = dict(dataset=dict(ann_file=ann_file_val))
auto_scale_lr = dict(base_batch_size=128)
