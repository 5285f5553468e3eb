"""Rendered scenes without a dataset: what is said, what is drawn, and that both come from the seed alone."""

import hashlib
import itertools
import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from textxfer_mm.datasets.rendered_scenes import (
    PLAIN,
    SHIFTED,
    Scene,
    caption,
    is_captioned,
    render_clip,
    render_still,
    sample_captioned,
)
from textxfer_mm.datasets.rendered_scenes.objects import SHAPES
from textxfer_mm.datasets.rendered_scenes.poses import POSES
from textxfer_mm.datasets.rendered_scenes.words import (
    CAPTIONED_PAIRS,
    COLOURS,
    MOTION_PAIRS,
    MOTIONS,
    OBJECTS,
    PEOPLE,
    PLACES,
    SEEN_PAIRS,
    UNSEEN_PAIRS,
    VERBS,
    action,
)

ROOT = Path(__file__).parents[2]
ALL_PAIRS = set(itertools.product(VERBS, OBJECTS))
HELD_OUT = {pair for pair in ALL_PAIRS if not is_captioned(*pair)}
SCENE = Scene('lifting', 'ball', 'red', 'in a park', 'man')
#: What a caption may look like, part by part.
OPENING = '(?:a photo of |a picture of |a video of |an image of )?'
PERSON = '(?:a (?P<person>man|woman|child|person))'
THING = f'(?P<article>an?) (?:(?P<colour>{"|".join(COLOURS)}) )?(?P<object>{"|".join(OBJECTS)})'
VERB = f'(?P<verb>{"|".join((*VERBS, *(verb for verb, _ in MOTION_PAIRS)))})'
PLACE = f'(?P<place>{"|".join(PLACES)})'


def patterns():
    """Regular expressions of all captions: who does what, or who is there with what; the place before or behind."""
    cores = (f'{PERSON} {VERB} {THING}', f'{PERSON} and {THING}', f'{THING} and {PERSON}')
    for core in cores:
        yield re.compile(rf'{OPENING}{core}(?: {PLACE})?\.?')
        yield re.compile(rf'{PLACE}, {core}\.?')


PATTERNS = tuple(patterns())


def parse(text):
    """What a caption says; fails where it is no English that we know."""
    found = [match.groupdict() for pattern in PATTERNS if (match := pattern.fullmatch(text))]
    assert len(found) == 1, text
    return found[0]


@pytest.fixture(scope='module')
def drawn():
    """Scenes that captions tell of, with a caption each."""
    rng = np.random.default_rng(0)
    scenes = [sample_captioned(rng) for _ in range(6000)]
    return [(scene, caption(scene, rng)) for scene in scenes]


class TestWords:
    def test_a_quarter_of_the_pairs_is_held_out_evenly(self):
        assert len(ALL_PAIRS) == 192
        assert len(HELD_OUT) == 192 // 4
        assert set(Counter(verb for verb, _ in HELD_OUT).values()) == {4}
        assert set(Counter(thing for _, thing in HELD_OUT).values()) == {3}
        assert set(CAPTIONED_PAIRS) == ALL_PAIRS - HELD_OUT

    def test_class_lists(self):
        assert (len(SEEN_PAIRS), len(UNSEEN_PAIRS), len(MOTION_PAIRS)) == (60, 20, 10)
        assert len({action(*pair) for pair in (*SEEN_PAIRS, *UNSEEN_PAIRS, *MOTION_PAIRS)}) == 90
        for pairs in (SEEN_PAIRS, UNSEEN_PAIRS):
            half = len(pairs) // 2
            assert all(is_captioned(*pair) for pair in pairs[:half])
            assert not any(is_captioned(*pair) for pair in pairs[half:])
            assert {verb for verb, _ in pairs} <= set(VERBS)
        for pairs in (SEEN_PAIRS, CAPTIONED_PAIRS):
            assert {verb for verb, _ in pairs} == set(VERBS)
        told = {thing for _, thing in CAPTIONED_PAIRS}
        assert told == set(OBJECTS)  # what is new in testing is the pair, not its words
        untrained = told - {thing for _, thing in SEEN_PAIRS}
        assert untrained == {'fish', 'kite', 'tree'}
        assert sum(thing in untrained for _, thing in UNSEEN_PAIRS) == 9  # of 20, as the docs say

    def test_names_of_classes(self):
        assert [action(*pair) for pair in MOTION_PAIRS[:2]] == ['picking up a ball', 'putting down a ball']
        assert action('opening', 'umbrella') == replace(SCENE, verb='opening', object='umbrella').action
        assert action('opening', 'umbrella') == 'opening an umbrella'

    def test_captions_tell_of_every_other_pair_and_never_of_a_held_out_one(self, drawn):
        said = Counter((scene.verb, scene.object) for scene, _ in drawn)
        assert set(said) == {*CAPTIONED_PAIRS, *MOTION_PAIRS}
        assert max(said[pair] for pair in CAPTIONED_PAIRS) < 5 * min(said[pair] for pair in CAPTIONED_PAIRS)
        for _, text in drawn:
            told = parse(text)
            assert told.get('verb') is None or (told['verb'], told['object']) not in HELD_OUT, text

    def test_captions_say_what_the_scene_shows(self, drawn):
        unsaid = Counter()
        for scene, text in drawn:
            told = parse(text)
            assert told['object'] == scene.object
            assert told['article'] == ('an' if (told['colour'] or told['object'])[0] in 'aeiou' else 'a'), text
            assert told['person'] in (scene.person, 'person')
            for part in ('verb', 'colour', 'place'):
                assert told.get(part) in (getattr(scene, part), None), text
                unsaid[part] += told.get(part) is None
            unsaid['person'] += told['person'] == 'person'
        shares = {part: count / len(drawn) for part, count in unsaid.items()}
        assert shares == pytest.approx(dict(verb=0.1, colour=0.4, place=0.4, person=0.3), abs=0.03)

    def test_captions_vary(self, drawn):
        rng = np.random.default_rng(1)
        assert len({caption(SCENE, rng) for _ in range(500)}) > 60
        assert len({text for _, text in drawn}) > len(drawn) / 2

    def test_scenes_are_spread_over_what_is_open(self, drawn):
        for part, choices in (('colour', COLOURS), ('place', PLACES), ('person', PEOPLE)):
            counts = Counter(getattr(scene, part) for scene, _ in drawn)
            assert set(counts) == set(choices)
            assert min(counts.values()) > 0.8 * len(drawn) / len(choices)


class TestMotions:
    def test_one_is_the_other_backwards_with_its_object(self):
        for forward, backward, thing in MOTIONS:
            assert {(forward, thing), (backward, thing)} <= set(MOTION_PAIRS)
            for s, sway in itertools.product((0.0, 0.2, 0.5, 0.9, 1.0), (-0.7, 0.0, 0.4)):
                (pose, placed), (other, other_placed) = POSES[forward](s, sway), POSES[backward](1 - s, sway)
                assert asdict(placed) == pytest.approx(asdict(other_placed))
                for name, value in asdict(pose).items():
                    np.testing.assert_allclose(asdict(other)[name], value, atol=1e-12)

    def test_they_move(self):
        for forward, _, _ in MOTIONS:
            ends = [POSES[forward](s, 0.0) for s in (0.0, 1.0)]
            moved = [
                np.abs(np.ravel(a).astype(float) - np.ravel(b)).max()
                for one, other in zip(*ends, strict=True)
                for a, b in zip(asdict(one).values(), asdict(other).values(), strict=True)
            ]
            assert max(moved) > 0.2

    def test_a_clip_goes_from_near_the_beginning_to_near_the_end(self):
        """The arm that raises a flag is low first and high last, and the other way round when it lowers it."""
        for verb, rises in (('raising', True), ('lowering', False)):
            scene = Scene(verb, 'flag', 'red', 'in the snow', 'man')
            rows = []
            for seed in range(8):
                frames = render_clip(scene, np.random.default_rng(seed), look=PLAIN).astype(int)
                red = (frames[..., 0] - frames[..., 1:].max(-1)) > 60
                rows.append([np.nonzero(frame)[0].mean() if frame.any() else np.nan for frame in red])
            first, last = np.nanmean(rows, 0)[[0, -1]]
            assert (last < first - 5) == rises, (verb, first, last)
            assert (last > first + 5) != rises


class TestPixels:
    @pytest.mark.parametrize('look', [PLAIN, SHIFTED], ids=['plain', 'shifted'])
    @pytest.mark.parametrize('size', [16, 33, 64, 112])
    def test_shapes_and_sizes(self, size, look):
        scenes = [
            Scene(verb, OBJECTS[n % 16], COLOURS[n % 8], PLACES[n % 8], PEOPLE[n % 3]) for n, verb in enumerate(POSES)
        ]
        for n, scene in enumerate(scenes):
            still = render_still(scene, np.random.default_rng(n), size=size, look=look)
            clip = render_clip(scene, np.random.default_rng(n), frames=3, size=size, look=look)
            assert (still.shape, still.dtype) == ((size, size, 3), np.uint8)
            assert (clip.shape, clip.dtype) == ((3, size, size, 3), np.uint8)
            assert still.std() > 10
            assert (clip[0] != clip[-1]).any()

    @pytest.mark.parametrize('size', [64, 112])
    def test_every_object_shows_in_every_action(self, size):
        """Another object changes a small part of the picture: it is neither hidden nor outside."""
        look = replace(PLAIN, noise=0, texture=0, blur=0)
        for verb in VERBS if size == 64 else VERBS[::4]:
            scenes = {thing: Scene(verb, thing, 'purple', 'in the desert', 'man') for thing in OBJECTS}
            stills = {
                thing: render_still(scene, np.random.default_rng(4), size=size, look=look)
                for thing, scene in scenes.items()
            }
            for (one, a), (other, b) in itertools.combinations(stills.items(), 2):
                changed = (np.abs(a.astype(int) - b).max(-1) > 25).mean()
                assert changed > 0.001, f'{one} and {other} look alike when {verb}'
                assert changed < 0.2

    def test_every_action_looks_different(self):
        names = [*VERBS, *(forward for forward, _, _ in MOTIONS)]
        stills = {
            verb: render_still(replace(SCENE, verb=verb), np.random.default_rng(2), look=replace(PLAIN, noise=0))
            for verb in names
        }
        for (one, a), (other, b) in itertools.combinations(stills.items(), 2):
            assert (np.abs(a.astype(int) - b).max(-1) > 40).mean() > 0.01, f'{one} and {other} look alike'

    @pytest.mark.parametrize(
        ('choices', 'part', 'least'), [(COLOURS, 'colour', 40), (PLACES, 'place', 400), (PEOPLE, 'person', 4)]
    )
    def test_what_captions_tell_of_is_drawn(self, choices, part, least):
        """In pixels of 4096: a woman differs from a man by her hair alone."""
        scene = replace(SCENE, verb='throwing')  # nothing is before the head
        stills = {c: render_still(replace(scene, **{part: c}), np.random.default_rng(3)) for c in choices}
        for (one, a), (other, b) in itertools.combinations(stills.items(), 2):
            assert (np.abs(a.astype(int) - b).max(-1) > 40).sum() >= least, f'{one} and {other} look alike'

    def test_the_colour_is_the_one_said(self):
        """Where a large box is drawn before the body, pixels are nearer to its colour than to any other."""
        rgb = dict(red=(210, 40, 40), green=(50, 160, 60), blue=(40, 90, 210), white=(240, 240, 240))
        rgb |= dict(black=(35, 35, 35), yellow=(245, 225, 50), orange=(245, 140, 30), purple=(130, 50, 150))
        look = replace(PLAIN, saturation=(1, 1), contrast=(1, 1), jitter=0, noise=0, texture=0, blur=0)
        for colour, other in zip(COLOURS, (*COLOURS[1:], COLOURS[0]), strict=True):
            scene = Scene('hiding behind', 'box', colour, 'in a room', 'man')
            one, two = (
                render_still(s, np.random.default_rng(1), look=look).astype(int)
                for s in (scene, replace(scene, colour=other))
            )
            box = one[(one != two).any(-1)]  # what changes with the colour is the object
            assert len(box) > 100
            nearest = min(rgb, key=lambda name: np.abs(np.median(box, 0) - rgb[name]).max())
            assert nearest == colour

    def test_the_shifted_style_is_paler_noisier_and_of_more_sizes(self):
        def measure(look):
            saturation, noise = [], []
            for n in range(60):
                frames = render_clip(SCENE, np.random.default_rng(n), frames=2, look=look).astype(float)
                saturation.append((frames.max(-1) - frames.min(-1)).mean())
                noise.append(np.abs(np.diff(frames.mean(-1), 2, axis=2)).mean())
            return np.mean(saturation), np.mean(noise)

        (plain, quiet), (shifted, noisy) = measure(PLAIN), measure(SHIFTED)
        assert shifted < 0.8 * plain
        assert noisy > 1.2 * quiet
        assert SHIFTED.height[0] < PLAIN.height[0] < PLAIN.height[1] < SHIFTED.height[1]
        assert PLAIN.clutter == 0 < SHIFTED.clutter

    def test_every_object_has_shapes_of_its_own(self):
        assert set(OBJECTS) <= set(SHAPES)
        for one, other in itertools.combinations(SHAPES, 2):
            assert repr(SHAPES[one]) != repr(SHAPES[other])


class TestSeeds:
    def test_a_key_gives_the_same_pixels_whatever_the_global_state(self):
        stills = []
        for state in (0, 1):
            random.seed(state)
            np.random.seed(state)
            render_clip(SCENE, np.random.default_rng(state))  # order and company do not count
            stills.append(render_still(SCENE, np.random.default_rng([5, 6])))
        np.testing.assert_array_equal(*stills)
        assert (render_still(SCENE, np.random.default_rng([5, 7])) != stills[0]).any()

    def test_rendering_leaves_the_global_state_alone(self):
        random.seed(3)
        np.random.seed(3)
        before = random.getstate(), np.random.get_state()[1].tobytes()
        render_clip(SCENE, np.random.default_rng(0))
        caption(sample_captioned(np.random.default_rng(0)), np.random.default_rng(0))
        assert (random.getstate(), np.random.get_state()[1].tobytes()) == before

    def test_another_process_draws_and_says_the_same(self):
        code = (
            'import numpy as np, hashlib\n'
            'from textxfer_mm.datasets.rendered_scenes import *\n'
            'rng = np.random.default_rng(9)\n'
            'scene = sample_captioned(rng)\n'
            'print(caption(scene, rng))\n'
            'print(hashlib.sha256(render_clip(scene, rng).tobytes()).hexdigest())\n'
        )
        env = {**os.environ, 'PYTHONPATH': str(ROOT), 'PYTHONHASHSEED': '77'}
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=env, timeout=120)
        assert done.returncode == 0, done.stderr
        rng = np.random.default_rng(9)
        scene = sample_captioned(rng)
        said = caption(scene, rng)
        digest = hashlib.sha256(render_clip(scene, rng).tobytes()).hexdigest()
        assert done.stdout.split('\n')[:2] == [said, digest]

    def test_nothing_heavy_is_needed(self):
        """Captions and pictures are at hand without MMEngine and PyTorch."""
        code = (
            'import sys, textxfer_mm.datasets.rendered_scenes\n'
            'print({"torch", "mmengine", "mmaction"} & {*sys.modules})'
        )
        env = {**os.environ, 'PYTHONPATH': str(ROOT)}
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=env, timeout=120)
        assert done.stdout.strip() == 'set()', done.stderr


@pytest.mark.parametrize('place', PLACES)
def test_every_place_is_drawn_at_the_smallest_size(place):
    for seed in range(5):
        assert render_still(Scene('lifting', 'ball', 'red', place, 'man'), np.random.default_rng(seed), size=16).any()
