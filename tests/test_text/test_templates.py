import pytest

from textxfer_mm.errors import UserError
from textxfer_mm.text.templates import TEMPLATES, fill, resolve_templates


@pytest.mark.parametrize('name', TEMPLATES)
def test_sets_are_valid(name):
    assert resolve_templates(name) == TEMPLATES[name]
    assert resolve_templates(list(TEMPLATES[name])) == TEMPLATES[name]


def test_contents():
    sizes = {name: len(templates) for name, templates in TEMPLATES.items()}
    one = dict(
        class_name=1, text4vis=1, bike=1, vifi=1, clip_food101=1, clip_birdsnap=1, clip_oxford_pets=1, clip_flowers102=1
    )
    images = dict(clip_sun397=2, clip_stanford_cars=8, clip_fgvc_aircraft=2, clip_dtd=8, clip_caltech101=34)
    assert sizes == dict(one, clip_kinetics=28, clip_ucf101=48, imagenet=80, clip_cifar=18, actionclip=16, **images)
    assert TEMPLATES['clip_caltech101'][1::12] == (
        'a painting of a {}.',
        'art of a {}.',
        'the embroidered {}.',
    )
    assert TEMPLATES['clip_dtd'][5] == 'a photo of the {} pattern.'
    assert TEMPLATES['clip_stanford_cars'][3:5] == ('i love my {}!', 'a photo of my dirty {}.')
    assert TEMPLATES['clip_kinetics'][:3] == (
        'a photo of {}.',
        'a photo of a person {}.',
        'a photo of a person using {}.',
    )
    assert TEMPLATES['clip_kinetics'][-1] == 'a demonstration of a person practicing {}.'
    assert TEMPLATES['clip_cifar'][1::7] == (
        'a blurry photo of a {}.',
        'a photo of a big {}.',
        'a good photo of the {}.',
    )
    assert TEMPLATES['clip_ucf101'][0] == 'a photo of a person {}.'
    assert TEMPLATES['clip_ucf101'][-1] == 'a demonstration of the person practicing {}.'
    assert TEMPLATES['imagenet'][0] == 'a bad photo of a {}.'
    assert set(TEMPLATES['text4vis']) < set(TEMPLATES['clip_kinetics'])


def test_fill():
    assert fill(('a {}.', '{}!'), ['x', '{y}']) == [['a x.', 'a {y}.'], ['x!', '{y}!']]


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ('text4viz', 'Did you mean: text4vis'),
        ('a photo', 'neither a set of templates nor a template'),
        ('a {} and {}', 'exactly one'),
        ('a {name}', 'exactly one'),
        (['a {}', 'photo'], "exactly one .* got 'photo'"),
        (['a {}', 3], 'got 3'),
        ([], 'is empty'),
        (['a {}', 'a {}'], "more than once: 'a {}'"),
    ],
)
def test_errors(spec, message):
    with pytest.raises(UserError, match=message):
        resolve_templates(spec)
