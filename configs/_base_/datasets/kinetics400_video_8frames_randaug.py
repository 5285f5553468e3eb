"""Kinetics-400, 8 frames, with the augmentations of colour and shape in the authors' logs of July 2022.

RandAugment with 2 operations of magnitude 9 on the frames as they were decoded, and grayscale with probability 0.2
after the flip. Here all frames of a clip get the same operations, from torchvision's list; the authors drew them for
each frame anew, from a list of their own. The paper names only random crops.
"""

_base_ = ['kinetics400_video_8frames.py']

train_pipeline = _base_.train_pipeline
train_pipeline.insert(3, dict(type='TorchVisionWrapper', op='RandAugment', num_ops=2, magnitude=9))
train_pipeline.insert(8, dict(type='TorchVisionWrapper', op='RandomGrayscale', p=0.2))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
