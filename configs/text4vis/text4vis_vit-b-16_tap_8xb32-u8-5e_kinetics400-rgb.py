"""Text4Vis, CLIP ViT-B/16, TAP, 8 frames, trained on Kinetics-400 to recognise other datasets by their class names.

The paper trains "few epochs": here 5; --work-dir work_dirs/2-epochs --cfg-options train_cfg.max_epochs=2
param_scheduler.1.end=2 param_scheduler.1.T_max=2 makes it 2. Encoder and views of the table are not named: here
ViT-B/16 and one view. Then both numbers of the row; the authors test the whole dataset, whose list is that of both
parts of a split:
textxfer evaluate configs/text4vis/text4vis_vit-b-16_tap_8xb32-u8-5e_kinetics400-rgb.py
work_dirs/text4vis_vit-b-16_tap_8xb32-u8-5e_kinetics400-rgb/epoch_5.pth --labels ucf101 --ann-file
data/ucf101/ucf101_all_videos.txt --data-root data/ucf101/videos

Paper's numbers: Table 9, K400 to UCF101: top-1 63.01 without training, 74.67 with it.
Command: bash tools/dist_train.sh configs/text4vis/text4vis_vit-b-16_tap_8xb32-u8-5e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = [
    '../_base_/models/text4vis_vit-b-16.py',
    '../_base_/datasets/kinetics400_video_8frames.py',
    '../_base_/schedules/text4vis_5e.py',
    '../_base_/default_runtime.py',
]

model = dict(neck=dict(_delete_=True, type='TemporalAveragePool'))
test_pipeline = _base_.val_pipeline
test_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
