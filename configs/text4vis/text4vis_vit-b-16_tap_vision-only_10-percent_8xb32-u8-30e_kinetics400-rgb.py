"""Text4Vis, CLIP ViT-B/16, TAP, 8 frames, 10 % of the labels: the vision-only baseline.

The text of the paper names 10 % and the full data; 25 % and 50 % have configs here too, others go on the command line:
--work-dir work_dirs/fraction-5 --cfg-options train_dataloader.dataset.fraction=0.05. Which videos make a fraction is
not known: here a seeded draw of each class, which holds those of smaller fractions. The epochs stay 30, so a
tenth of the data is a tenth of the iterations.

Paper's numbers: Figure 3, Vision-Only, 10 % of the labels; the figure prints no numbers.
Command: bash tools/dist_train.sh
configs/text4vis/text4vis_vit-b-16_tap_vision-only_10-percent_8xb32-u8-30e_kinetics400-rgb.py 8 --amp
Cost: unknown.
Our status: built and run at tiny size by the tests; not trained by us on Kinetics-400: no number of ours.
"""

_base_ = ['text4vis_vit-b-16_tap_vision-only_8xb32-u8-30e_kinetics400-rgb.py']

train_dataloader = dict(
    dataset=dict(_delete_=True, type='LabelFractionDataset', fraction=0.1, dataset=_base_.train_dataloader.dataset)
)
