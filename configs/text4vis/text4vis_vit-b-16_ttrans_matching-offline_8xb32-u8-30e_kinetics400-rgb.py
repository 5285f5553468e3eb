"""Text4Vis, CLIP ViT-B/16, T-Trans, 8 frames: matching videos and texts, offline text, no batch gather.

The text embeddings are those of the frozen classifier.

Paper's numbers: Table 6, Matching paradigm: no batch gather, offline text: top-1 76.13, top-5 94.57 (1 view); 3.3
V100-days.
Command: bash tools/dist_train.sh
configs/text4vis/text4vis_vit-b-16_ttrans_matching-offline_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: 3.3 V100-days in the paper.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py']

model = dict(cls_head=dict(type='VideoTextMatchingHead', text='offline', gather=False))
train_dataloader = dict(drop_last=True)
