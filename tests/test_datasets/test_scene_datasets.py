"""Rendered scenes as datasets: the same ones everywhere, kept in a file or not, whole or in part."""

import errno
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from textxfer_mm.datasets import frame_cache
from textxfer_mm.datasets.label_fraction import LabelFractionDataset
from textxfer_mm.datasets.rendered_scenes import Scene, is_captioned
from textxfer_mm.datasets.rendered_scenes.words import VERBS, action
from textxfer_mm.datasets.scene_datasets import PAIRS, CaptionedScenes, SceneClasses, scene_class_names
from textxfer_mm.errors import UserError
from textxfer_mm.registry import DATASETS
from textxfer_mm.text.class_names import load_class_names

ROOT = Path(__file__).parents[2]
LENGTH = 24


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmaction')


def pipeline(frames=1, *augment, keys=()):
    return [
        dict(type='UniformSample', clip_len=frames),
        dict(type='ArrayDecode'),
        *augment,
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=keys),
    ]


def captioned(**options):
    options = dict(dict(length=LENGTH, size=32, pipeline=[]), **options)
    return DATASETS.build(dict(type='CaptionedScenes', **options))


def classes(**options):
    options = dict(dict(per_class=1, size=32, frames=3, split='test', look='shifted', pipeline=[]), **options)
    return DATASETS.build(dict(type='SceneClasses', **options))


def arrays(dataset, indices=range(6)):
    return np.stack([dataset[i]['array'] for i in indices])


class TestEntries:
    def test_a_still_reaches_the_head_with_its_caption(self):
        dataset = captioned(pipeline=pipeline(keys=('caption',)))
        packed = dataset[3]
        assert packed['inputs'].shape == (1, 3, 1, 32, 32)
        assert packed['data_samples'].caption == dataset.get_data_info(3)['caption']
        np.testing.assert_array_equal(packed['inputs'][0, :, 0].permute(1, 2, 0), captioned()[3]['array'][0])

    def test_a_clip_reaches_the_head_with_its_label(self):
        packed = classes(pipeline=pipeline(3))[7]
        assert packed['inputs'].shape == (1, 3, 3, 32, 32)
        assert packed['data_samples'].gt_label.tolist() == [7]

    def test_labels_stand_for_the_class_names(self):
        for kinds in (('seen',), ('unseen', 'motion'), ('captioned',)):
            dataset, names = classes(kinds=kinds, per_class=2), scene_class_names(*kinds)
            assert len(dataset) == 2 * len(names)
            infos = [dataset.get_data_info(i) for i in range(len(dataset))]
            assert [Scene(**info['scene']).action for info in infos] == [name for name in names for _ in range(2)]
            assert [info['label'] for info in infos] == [label for label in range(len(names)) for _ in range(2)]
            assert [dataset.get_cat_ids(i) for i in range(4)] == [[0], [0], [1], [1]]

    def test_label_maps_are_the_lists(self):
        names = {kind: tuple(action(*pair) for pair in pairs) for kind, pairs in PAIRS.items()}
        for kind, end in (('seen', ''), ('unseen', '_unseen'), ('motion', '_motion')):
            assert load_class_names(f'rendered_scenes{end}') == names[kind]
        assert tuple(scene_class_names('seen', 'motion')) == (*names['seen'], *names['motion'])

    def test_no_caption_is_of_a_held_out_pair(self):
        dataset = captioned(length=3000)
        scenes = [Scene(**dataset.get_data_info(i)['scene']) for i in range(3000)]
        assert all(is_captioned(scene.verb, scene.object) for scene in scenes if scene.verb in VERBS)
        assert 0.03 < np.mean([scene.verb not in VERBS for scene in scenes]) < 0.1

    def test_labels_are_known_without_rendering(self, monkeypatch):
        monkeypatch.setattr(SceneClasses, '_render', None)
        fraction = LabelFractionDataset(classes(per_class=4), 0.5)
        assert len(fraction) == 2 * 60
        with pytest.raises(TypeError):
            fraction[0]


class TestSeeds:
    @pytest.mark.parametrize('other', [dict(seed=1), dict(split='val')])
    @pytest.mark.parametrize('build', [captioned, classes])
    def test_other_seeds_and_splits_are_other_scenes(self, build, other):
        one, two = build(), build(**other)
        assert all((one[i]['array'] != two[i]['array']).any() for i in range(6))
        assert [one.get_data_info(i)['scene'] for i in range(6)] != [two.get_data_info(i)['scene'] for i in range(6)]

    def test_indices_are_other_scenes(self):
        stills = arrays(captioned(), range(LENGTH))
        assert len({still.tobytes() for still in stills}) == LENGTH

    @pytest.mark.parametrize('build', [captioned, classes])
    def test_order_and_global_state_do_not_count(self, build):
        np.random.seed(1)
        forwards = arrays(build())
        np.random.seed(2)
        backwards = arrays(build(), range(5, -1, -1))
        np.testing.assert_array_equal(forwards, backwards[::-1])

    def test_more_stills_begin_with_the_fewer(self):
        few, many = captioned(length=5), captioned(length=50)
        np.testing.assert_array_equal(arrays(few, range(5)), arrays(many, range(5)))
        assert [few.get_data_info(i)['caption'] for i in range(5)] == [
            many.get_data_info(i)['caption'] for i in range(5)
        ]

    def test_captions_that_change_places(self):
        plain, shuffled, again = (captioned(length=400, shuffled=change) for change in (False, True, True))
        said, mixed, twice = (
            [data.get_data_info(i)['caption'] for i in range(400)] for data in (plain, shuffled, again)
        )
        assert Counter(said) == Counter(mixed)
        assert sum(a == b for a, b in zip(said, mixed, strict=True)) < 12
        assert mixed == twice
        for i in range(6):
            assert shuffled.get_data_info(i)['scene'] == plain.get_data_info(i)['scene']
            np.testing.assert_array_equal(shuffled[i]['array'], plain[i]['array'])


class TestSubsets:
    """Whatever takes a part of the list: a scene is that of the whole list."""

    @pytest.mark.parametrize('cached', [False, True])
    @pytest.mark.parametrize('build', [captioned, classes])
    def test_indices_and_subsets(self, build, cached, tmp_path):
        options = dict(cache_dir=tmp_path) if cached else {}
        chosen, whole = [7, 2, 11], build()
        parts = [build(indices=chosen, **options), build(**options).get_subset(chosen)]
        in_place = build(**options)
        in_place.get_subset_(chosen)
        for part in (*parts, in_place):
            assert len(part) == 3
            np.testing.assert_array_equal(arrays(part, range(3)), arrays(whole, chosen))
            assert [part[i]['filename'] for i in range(3)] == [whole[i]['filename'] for i in chosen]
        np.testing.assert_array_equal(arrays(build(indices=4, **options), range(4)), arrays(whole, range(4)))
        assert len({file.name for file in tmp_path.glob('*.npy')}) == int(cached)  # one for all of them

    def test_fractions(self, tmp_path):
        whole = classes(per_class=4)
        part = LabelFractionDataset(classes(per_class=4, cache_dir=tmp_path), 0.5)
        for i in (0, 1, 5):
            np.testing.assert_array_equal(part[i]['array'], whole[part.get_data_info(i)['index']]['array'])
        assert Counter(part.get_data_info(i)['label'] for i in range(len(part))) == dict.fromkeys(range(60), 2)


class TestCache:
    @pytest.mark.parametrize('build', [captioned, classes])
    def test_what_is_kept_is_what_is_rendered(self, build, tmp_path):
        fresh, kept = build(), build(cache_dir=tmp_path)
        indices = range(len(fresh))
        np.testing.assert_array_equal(arrays(fresh, indices), arrays(kept, indices))
        (file,) = tmp_path.glob('*.npy')
        assert np.load(file).shape == arrays(fresh, indices).shape

    def test_it_is_rendered_once(self, tmp_path, monkeypatch):
        captioned(cache_dir=tmp_path)[0]
        monkeypatch.setattr(CaptionedScenes, '_render', None)
        assert captioned(cache_dir=tmp_path)[5]['array'].any()
        assert captioned(cache_dir=tmp_path, shuffled=True)[5]['array'].any()  # other captions, same stills

    def test_it_may_lie_in_the_home_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv('HOME', str(tmp_path))
        monkeypatch.chdir(tmp_path)
        captioned(cache_dir='~/scenes')[0]
        assert sorted(path.name for path in tmp_path.iterdir()) == ['scenes']

    def test_one_that_cannot_be_read_is_named(self, tmp_path, monkeypatch):
        captioned(cache_dir=tmp_path)[0]

        def refuse(*args, **options):
            raise PermissionError(errno.EACCES, 'Permission denied')

        monkeypatch.setattr(frame_cache.np, 'load', refuse)
        with pytest.raises(UserError, match=r'train-.*\.npy, a cache of frames, cannot be read: Permission denied'):
            captioned(cache_dir=tmp_path)[0]

    @pytest.mark.parametrize(
        'other', [dict(seed=1), dict(split='test'), dict(size=40), dict(frames=2), dict(look='shifted'), dict(length=9)]
    )
    def test_other_scenes_have_another_file(self, tmp_path, other):
        captioned(cache_dir=tmp_path)[0]
        other_one = captioned(cache_dir=tmp_path, **other)
        np.testing.assert_array_equal(other_one[0]['array'], captioned(**other)[0]['array'])
        assert len(list(tmp_path.glob('*.npy'))) == 2

    def test_pipelines_do_not_write_into_it(self, tmp_path):
        flip = dict(type='Flip', flip_ratio=1.0)
        dataset = captioned(cache_dir=tmp_path, pipeline=pipeline(1, dict(type='RandomCrop', size=24), flip))
        first = captioned(cache_dir=tmp_path)[0]['array']
        (before,) = [file.read_bytes() for file in tmp_path.glob('*.npy')]
        for _ in range(3):
            dataset[0]
        first[:] = 0  # what is handed out is the caller's
        (after,) = [file.read_bytes() for file in tmp_path.glob('*.npy')]
        assert after == before
        np.testing.assert_array_equal(captioned(cache_dir=tmp_path)[0]['array'], captioned()[0]['array'])

    @pytest.mark.parametrize('start', ['fork', 'spawn'])
    def test_workers(self, start, tmp_path):
        dataset = captioned(cache_dir=tmp_path, pipeline=pipeline(keys=('caption',)))
        if start == 'spawn':
            dataset[0]  # the file is open already, and must not travel
        loader = DataLoader(
            dataset, batch_size=4, num_workers=2, multiprocessing_context=start, collate_fn=pseudo_collate
        )
        inputs = [x for batch in loader for x in batch['inputs']]
        want = arrays(captioned(), range(LENGTH))
        np.testing.assert_array_equal(np.stack([x[0, :, 0].permute(1, 2, 0) for x in inputs]), want[:, 0])

    def test_copies_do_not_hold_the_frames(self, tmp_path):
        dataset = classes(cache_dir=tmp_path, size=64)
        dataset[0]
        size = next(tmp_path.glob('*.npy')).stat().st_size
        assert len(pickle.dumps(dataset)) < size / 10
        assert dataset.get_subset([0, 1])._cache._frames is None
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset))[3]['array'], dataset[3]['array'])

    def test_two_processes_race_and_both_read_whole_files(self, tmp_path):
        code = (
            'import sys, hashlib, textxfer_mm.register\n'
            'from textxfer_mm.datasets.scene_datasets import SceneClasses\n'
            'sys.stdin.readline()\n'
            'data = SceneClasses([], per_class=2, frames=4, size=64, cache_dir=sys.argv[1])\n'
            'print(hashlib.sha256(b"".join(data[i]["array"].tobytes() for i in range(len(data)))).hexdigest())\n'
        )
        env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
        both = [
            subprocess.Popen(
                [sys.executable, '-c', code, str(tmp_path)], stdin=-1, stdout=-1, stderr=-1, text=True, env=env
            )
            for _ in range(2)
        ]
        for process in both:  # both are at the line that waits, or on their way to it
            process.stdin.write('\n')
            process.stdin.flush()
        said = [process.communicate(timeout=120) for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        digests = [out.splitlines()[-1] for out, _ in said]  # whoever renders says so before
        assert digests[0] == digests[1]
        assert sum('once' in out for out, _ in said) == 1
        assert sorted(file.suffix for file in tmp_path.iterdir()) == ['.lock', '.npy']

    @pytest.mark.parametrize('processes', [1, 2])
    def test_it_is_filled_by_some_processes_at_once(self, tmp_path, processes, monkeypatch):
        part = captioned(cache_dir=tmp_path, indices=3)
        part.fill_cache(processes)
        (file,) = tmp_path.glob('*.npy')
        frames = np.load(file)
        assert len(frames) == LENGTH
        np.testing.assert_array_equal(frames[-1], captioned()[LENGTH - 1]['array'])
        monkeypatch.setattr(CaptionedScenes, '_render', None)
        part.fill_cache(processes)  # what is there is not rendered again
        np.testing.assert_array_equal(part[2]['array'], frames[2])
        with pytest.raises(UserError, match='CaptionedScenes: fill_cache renders into a cache_dir, and there is none'):
            captioned().fill_cache()

    def test_who_waited_does_not_render_again(self, tmp_path, monkeypatch):
        """The file appears while another process has the lock."""
        dataset, lock = captioned(cache_dir=tmp_path), frame_cache.FileLock

        class Slow(lock):
            def __enter__(self):
                monkeypatch.setattr(frame_cache, 'FileLock', lock)
                captioned(cache_dir=tmp_path)[0]
                monkeypatch.setattr(CaptionedScenes, '_render', None)
                return super().__enter__()

        monkeypatch.setattr(frame_cache, 'FileLock', Slow)
        assert dataset[2]['array'].any()

    def test_a_folder_that_is_only_read(self, tmp_path):
        want = captioned(cache_dir=tmp_path)[1]['array']
        next(tmp_path.glob('*.lock')).unlink()
        tmp_path.chmod(0o500)
        try:
            np.testing.assert_array_equal(captioned(cache_dir=tmp_path)[1]['array'], want)
            assert not list(tmp_path.glob('*.lock'))
        finally:
            tmp_path.chmod(0o700)

    @pytest.mark.parametrize(
        'content', [lambda whole: whole[:-1000], lambda whole: whole[:20], lambda _: b'', lambda _: b'?' * 99]
    )
    def test_a_file_that_is_cut_off(self, tmp_path, content):
        captioned(cache_dir=tmp_path)[0]
        (file,) = tmp_path.glob('*.npy')
        file.write_bytes(content(file.read_bytes()))
        with pytest.raises(UserError, match=rf'{file.name} is no whole cache of frames: delete it') as told:
            captioned(cache_dir=tmp_path)[0]
        assert '\n' not in str(told.value)
        file.unlink()
        assert captioned(cache_dir=tmp_path)[0]['array'].any()

    @pytest.mark.parametrize('other', [np.zeros((3, 1, 32, 32, 3), np.uint8), np.zeros((LENGTH, 1, 32, 32, 3))])
    def test_a_file_of_something_else(self, tmp_path, other):
        captioned(cache_dir=tmp_path)[0]
        (file,) = tmp_path.glob('*.npy')
        np.save(file, other)
        with pytest.raises(
            UserError, match=rf'no whole cache of frames.*it holds {other.dtype} of shape \({len(other)},'
        ):
            captioned(cache_dir=tmp_path)[0]

    def test_a_rendering_that_fails_leaves_nothing(self, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(CaptionedScenes, '_render', lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                captioned(cache_dir=tmp_path)[0]
        assert [file.suffix for file in tmp_path.iterdir()] == ['.lock']
        assert captioned(cache_dir=tmp_path)[0]['array'].any()

    def test_what_a_killed_rendering_left_is_removed(self, tmp_path, caplog):
        with caplog.at_level('INFO'):
            captioned(cache_dir=tmp_path)[0]
        (file,) = tmp_path.glob('*.npy')
        assert f'into {file}, once' in caplog.text
        left, others = (tmp_path / f'.{stem}.{"0" * 32}.npy' for stem in (file.stem, 'others'))
        for path in (left, others):
            path.touch()
        file.unlink()
        captioned(cache_dir=tmp_path)[0]
        assert not left.exists()
        assert others.exists()

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / 'file').touch()
        with pytest.raises(UserError, match=r'cache_dir .*file is no folder that can be written to'):
            captioned(cache_dir=tmp_path / 'file')[0]


class TestMistakes:
    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(look='plane'), r"unknown look='plane'\. Did you mean: plain\?"),
            (dict(look=None), r'unknown look=None\. .*plain, shifted'),
            (dict(look=['plain']), r"unknown look=\['plain'\]"),
            (dict(split='training'), r"unknown split='training'\. Did you mean: train\?"),
            (dict(seed=-1), 'seed is a whole number from 0 on, got -1'),
            (dict(seed=1.5), r'seed is a whole number from 0 on, got 1\.5'),
            (dict(seed=None), 'seed is a whole number from 0 on, got None'),
            (dict(frames=0), 'frames is a whole number from 1 on, got 0'),
            (dict(frames='8'), "frames is a whole number from 1 on, got '8'"),
            (dict(size=8), 'size is a whole number from 16 on, got 8'),
            (dict(size=(64, 64)), r'size is a whole number from 16 on, got \(64, 64\)'),
            (dict(size=True), 'size is a whole number from 16 on, got True'),
        ],
    )
    @pytest.mark.parametrize('build', [captioned, classes])
    def test_what_both_take(self, build, options, message):
        with pytest.raises(UserError, match=message) as told:
            build(**options)
        assert str(told.value).startswith(('CaptionedScenes: ', 'SceneClasses: '))

    @pytest.mark.parametrize('length', [0, -4, 1.5, '40000', None, True])
    def test_length(self, length):
        with pytest.raises(UserError, match='CaptionedScenes: length is a whole number from 1 on, got'):
            captioned(length=length)

    @pytest.mark.parametrize('per_class', [0, 2.0, '3', False])
    def test_per_class(self, per_class):
        with pytest.raises(UserError, match='SceneClasses: per_class is a whole number from 1 on, got'):
            classes(per_class=per_class)

    @pytest.mark.parametrize(
        ('kinds', 'message'),
        [
            (('sene',), r"unknown kind 'sene'\. Did you mean: (un)?seen"),
            (('seen', None), 'unknown kind None'),
            ((['seen'],), r"unknown kind \['seen'\]"),
            ('seen', "kinds is a list of at least one of captioned, seen, unseen, motion; got 'seen'"),
            ((), r'kinds is a list of at least one of .*; got \(\)'),
            (None, 'got None'),
            (('seen', 'motion', 'seen'), "kinds has 'seen' twice"),
        ],
    )
    def test_kinds(self, kinds, message):
        with pytest.raises(UserError, match=f'SceneClasses: {message}|SceneClasses: .*{message}'):
            classes(kinds=kinds)

    def test_names_of_an_unknown_kind(self):
        with pytest.raises(UserError, match=r"unknown kind 'motions'\. Did you mean: motion"):
            scene_class_names('motions')


def test_equally_many_scenes_of_either_kind_have_caches_of_their_own(tmp_path):
    options = dict(pipeline=[], size=16, cache_dir=str(tmp_path))
    stills = DATASETS.build(dict(type='CaptionedScenes', length=144, **options))
    classes = DATASETS.build(dict(type='SceneClasses', kinds=('captioned',), per_class=1, **options))
    on_the_fly = DATASETS.build(dict(options, type='SceneClasses', kinds=('captioned',), per_class=1, cache_dir=None))
    stills[0]
    assert np.array_equal(classes[3]['array'], on_the_fly[3]['array'])
    assert len(list(tmp_path.glob('*.npy'))) == 2


def test_stills_feed_the_steps_of_mmpretrain():
    """The pixels of a still reach an image model in BGR, as those of a file do, with the label of the class."""
    steps, options = [dict(type='FrameAsImage'), dict(type='mmpretrain.PackInputs')], dict(kinds=('motion',), size=32)
    plain, image = (SceneClasses(pipeline, per_class=1, **options) for pipeline in ([], steps))
    frame, packed = plain[3]['array'][0], image[3]
    np.testing.assert_array_equal(packed['inputs'].permute(1, 2, 0).numpy()[..., ::-1], frame)
    assert packed['data_samples'].gt_label.tolist() == [3]
    assert packed['data_samples'].img_shape == (32, 32)
