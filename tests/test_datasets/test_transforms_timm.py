"""RandAugment of whole clips: timm's own on each frame, with one draw for all of them."""

import random

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from mmengine.registry import init_default_scope
from PIL import Image
from timm.data.auto_augment import rand_augment_transform

from textxfer_mm.datasets.transforms_timm import TimmRandAugment
from textxfer_mm.errors import UserError

POLICY = 'rand-m7-n4-mstd0.5-inc1'


def seed(number):
    random.seed(number)
    np.random.seed(number)


@pytest.fixture
def clip():
    return [np.random.default_rng(i).integers(0, 256, (24, 32, 3), dtype=np.uint8) for i in range(3)]


def test_every_frame_is_what_timm_makes_of_it_by_the_same_draws(clip):
    init_default_scope('mmaction')
    step = TRANSFORMS.build(dict(type='TimmRandAugment'))
    theirs = rand_augment_transform(POLICY, dict(interpolation=Image.Resampling.BICUBIC))
    changed = 0
    for number in range(20):
        wanted = []
        for frame in clip:
            seed(number)
            wanted.append(np.asarray(theirs(Image.fromarray(frame))))
        after = random.random(), np.random.rand()
        seed(number)
        got = step(dict(imgs=[frame.copy() for frame in clip]))['imgs']
        assert (random.random(), np.random.rand()) == after  # and the next clip draws anew
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
            assert (one.dtype, one.shape, one.flags.writeable) == (np.uint8, (24, 32, 3), True)
        changed += not np.array_equal(got[0], clip[0])
    assert changed > 10


def test_draws_differ_from_clip_to_clip(clip):
    seed(0)
    step = TimmRandAugment(POLICY)
    made = [step(dict(imgs=[clip[0]]))['imgs'][0].tobytes() for _ in range(20)]
    assert len(set(made)) > 10


@pytest.mark.parametrize('policy', ['augmix-m3', 'rand-x7', 'rand-mseven7'])
def test_an_unknown_policy_is_told(policy):
    with pytest.raises(UserError, match=f"timm knows no policy '{policy}'"):
        TimmRandAugment(policy)


def test_an_unknown_interpolation_is_told():
    with pytest.raises(UserError, match=r"interpolation='cubic' is unknown\. Known: nearest, .*bicubic"):
        TimmRandAugment(interpolation='cubic')
