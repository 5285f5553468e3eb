"""Shared by the tests of the library's own interface."""

import shutil

import open_clip
import pytest
import torch
from tiny import TINY_VIT
from tiny_runs import write_corrupt, write_video

from textxfer_mm.apis import clip_zero_shot_config


@pytest.fixture(scope='session')
def class_folders(tmp_path_factory):
    """Class folders of videos that differ in brightness, one of them broken, and the config of a tiny CLIP."""
    folder = tmp_path_factory.mktemp('train')
    for label, name in enumerate(('dark', 'half_dark', 'bright')):
        (folder / 'clips' / name).mkdir(parents=True)
        for number in range(6):
            write_video(folder / 'clips' / name / f'{name}_{number}.mp4', 0.6 * label, seed=10 * label + number)
    shutil.copytree(folder / 'clips', folder / 'sound')
    write_corrupt(folder / 'clips' / 'dark' / 'broken.mp4', 'text')
    torch.manual_seed(0)
    torch.save(open_clip.model.CLIP(**TINY_VIT).state_dict(), folder / 'clip.pt')
    arch = dict(TINY_VIT, preprocess_cfg=dict(mean=[0.5] * 3, std=[0.5] * 3))
    cfg = clip_zero_shot_config(arch, str(folder / 'clip.pt'), ['any', 'name'], num_frames=2)
    cfg.test_pipeline[3:5] = [dict(type='Resize', scale=(32, 32), keep_ratio=False)]
    cfg.dump(folder / 'clip.py')
    return folder
