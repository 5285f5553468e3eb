"""Lists from folders and from lists: what lies on which side, and what is refused."""

import os
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from textxfer_mm.apis.data_split import draw_sides, groups_of
from textxfer_mm.apis.data_tools import lists_from_folder, split_list
from textxfer_mm.cli.main import app
from textxfer_mm.errors import UserError

TRAIN_VAL = dict(train=0.8, val=0.2)


def fill(folder, paths):
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


def ucf(groups=5, clips=3):
    """Names as UCF101 has them: clips of one group are cut from one video."""
    return [
        f'{name}/v_{name}_g{group:02}_c{clip:02}.avi'
        for name in ('Archery', 'Base_ball')
        for group in range(1, groups + 1)
        for clip in range(1, clips + 1)
    ]


def rows(file):
    return [line.rsplit(' ', 1) for line in file.read_text().splitlines()]


def invoke(*args):
    return CliRunner().invoke(app, ['data', *map(str, args)])


class TestSides:
    def test_shares_of_each_class(self):
        labels = [(0,)] * 10 + [(1,)] * 20 + [(2,)] * 5
        names = [f'{i}.mp4' for i in range(35)]
        sides = draw_sides(labels, names, dict(train=0.6, val=0.2, test=0.2), 0)
        counts = Counter(zip((label for (label,) in labels), sides, strict=True))
        assert [[counts[c, side] for side in ('train', 'val', 'test')] for c in range(3)] == [
            [6, 2, 2],
            [12, 4, 4],
            [3, 1, 1],
        ]

    def test_the_order_of_the_list_does_not_matter_and_the_seed_does(self):
        labels, names = [(i % 2,) for i in range(40)], [f'{i}.mp4' for i in range(40)]
        sides = dict(zip(names, draw_sides(labels, names, TRAIN_VAL, 0), strict=True))
        again = draw_sides(labels[::-1], names[::-1], TRAIN_VAL, 0)
        assert dict(zip(names[::-1], again, strict=True)) == sides
        draws = {tuple(draw_sides(labels, names, TRAIN_VAL, seed)) for seed in range(20)}
        assert len(draws) > 15
        more = draw_sides([*labels, (2,), (2,)], [*names, 'x', 'y'], TRAIN_VAL, 0)
        assert more[:40] == list(sides.values())  # another class changes nothing

    def test_all_videos_are_as_likely(self):
        names = [f'{i}.mp4' for i in range(5)]
        hits = Counter()
        for seed in range(1000):
            sides = draw_sides([(0,)] * 5, names, TRAIN_VAL, seed)
            assert sides.count('val') == 1
            hits[sides.index('val')] += 1
        assert all(140 < hits[i] < 260 for i in range(5))  # 200 expected, standard deviation 13

    def test_groups_across_classes_stay_whole(self):
        """A person who is in several classes is on one side in all of them."""
        labels = [(c,) for person in range(10) for c in range(3) for _ in range(2)]
        groups = [f'p{person}' for person in range(10) for c in range(3) for _ in range(2)]
        sides = draw_sides(labels, groups, TRAIN_VAL, 3)
        assert len(set(zip(groups, sides, strict=True))) == 10
        assert Counter(sides) == dict(train=48, val=12)

    def test_small_classes_are_on_both_sides(self):
        sides = draw_sides([(0,), (0,), (1,)], ['a', 'b', 'c'], dict(train=0.9, val=0.1), 0)
        assert sorted(sides[:2]) == ['train', 'val']
        assert sides[2] == 'train'

    def test_several_labels(self):
        labels = [(0, 1), (0,), (1,), (0, 1)] * 10
        sides = draw_sides(labels, [str(i) for i in range(40)], TRAIN_VAL, 1)
        for label in (0, 1):
            assert sum(side == 'val' for classes, side in zip(labels, sides, strict=True) if label in classes) in (
                5,
                6,
                7,
            )

    @pytest.mark.parametrize(
        ('rule', 'groups'),
        [
            (None, ['A/v_A_g01_c01.avi', 'A/v_A_g01_c02.avi', 'A/x/v-A-2.avi']),
            ('prefix', ['v_A_g01', 'v_A_g01', 'v-A']),
            ('folder', ['A', 'A', 'A/x']),
            ('^([A-Z])', ['A', 'A', 'A']),
            ('[12].avi', ['1.avi', '2.avi', '2.avi']),
        ],
    )
    def test_rules(self, rule, groups):
        assert groups_of(['A/v_A_g01_c01.avi', 'A/v_A_g01_c02.avi', 'A/x/v-A-2.avi'], rule) == groups

    def test_rules_that_find_nothing(self):
        with pytest.raises(UserError, match=r"groups '_\(g.*_': 1 of 2 videos are in no group, the first b\.avi"):
            groups_of(['v_g01_c.avi', 'b.avi'], '_(g[0-9]+)_')
        with pytest.raises(UserError, match=r"groups '\(' is no regular expression: missing \)"):
            groups_of(['a.avi'], '(')


class TestFromFolder:
    def test_the_lists_and_names(self, tmp_path):
        written = lists_from_folder(fill(tmp_path, ucf()), groups='_(g[0-9]+)_')
        assert (tmp_path / 'classes.txt').read_text() == 'Archery\nBase ball\n'
        train, val = rows(tmp_path / 'train.txt'), rows(tmp_path / 'val.txt')
        assert sorted(path for path, _ in train + val) == sorted(ucf())
        assert all(label == str(int(path.startswith('Base'))) for path, label in train + val)
        groups = [{path.split('_g')[1][:2] for path, _ in part} for part in (train, val)]
        assert [len(part) for part in groups] == [4, 1]
        assert not groups[0] & groups[1]
        assert written.counts == dict(train=24, val=6)
        assert not (tmp_path / 'test.txt').exists()

    def test_a_stock_dataset_reads_them(self, tmp_path):
        from textxfer_mm.registry import DATASETS

        fill(tmp_path, ['a b/1 2.mp4', 'a b/3.mp4', 'c/4.mp4', 'c/d/5.mp4', 'c/.hidden.mp4', 'c/notes.txt'])
        written = lists_from_folder(tmp_path, tmp_path / 'lists', val=0.5)
        assert written.delimiter == '\t'
        read = dict(type='mmaction.VideoDataset', pipeline=[], delimiter='\t', data_prefix=dict(video=str(tmp_path)))
        found = [DATASETS.build(dict(read, ann_file=str(written.files[side]))) for side in ('train', 'val')]
        entries = {d.get_data_info(i)['filename']: d.get_data_info(i)['label'] for d in found for i in range(len(d))}
        assert entries == {
            f'{tmp_path}/{p}': c for p, c in (('a b/1 2.mp4', 0), ('a b/3.mp4', 0), ('c/4.mp4', 1), ('c/d/5.mp4', 1))
        }

    def test_one_that_is_split(self, tmp_path):
        fill(tmp_path, ['train/b/1.mp4', 'train/a/2.mp4', 'Validation/b/3.mp4'])
        written = lists_from_folder(tmp_path)
        assert rows(written.files['train']) == [['train/a/2.mp4', '0'], ['train/b/1.mp4', '1']]
        assert rows(written.files['val']) == [['Validation/b/3.mp4', '1']]
        assert written.remarks == ['1 classes have no video in val, as they have too few videos or groups: a.']
        with pytest.raises(UserError, match='is split already'):
            lists_from_folder(tmp_path, groups='prefix')
        fill(tmp_path, ['run/1.mp4'])
        with pytest.raises(UserError, match='sides of a split, beside run'):
            lists_from_folder(tmp_path)

    @pytest.mark.parametrize(
        ('paths', 'options', 'message'),
        [
            (['a/1.mp4', 'b/x.txt'], {}, '1 of 2 class folders of .* hold no video: b'),
            (['a/1.mp4', '2.mp4'], {}, r'1 videos lie in .* itself, in the folder of no class: 2\.mp4'),
            (['x.txt'], {}, 'holds no folder: one for each class'),
            (['a b/1.mp4', 'a_b/1.mp4'], {}, 'Duplicate class names'),
            (['a/1\n.mp4'], {}, 'holds a tab or a line end'),
            (['a/1.mp4'], dict(val=1.0), r'share val=1 is out of range'),
            (['a/1.mp4'], dict(val=0.5, test=0.5), 'leaves nothing to train with'),
            (['a/1.mp4'], dict(val=0.0), 'splits nothing'),
            (['a/1.mp4'], dict(groups='folder:'), 'are in no group'),
        ],
    )
    def test_mistakes(self, tmp_path, paths, options, message):
        with pytest.raises(UserError, match=message):
            lists_from_folder(fill(tmp_path, paths), **options)
        assert not list(tmp_path.glob('*/train.txt')) + list(tmp_path.glob('*.txt'))[1:]

    def test_names_that_are_no_text(self, tmp_path):
        (tmp_path / 'a').mkdir()
        Path(os.fsdecode(bytes(tmp_path) + b'/a/\xff.mp4')).touch()
        with pytest.raises(UserError, match='is not in UTF-8'):
            lists_from_folder(tmp_path)

    def test_nothing_is_replaced_unasked(self, tmp_path):
        fill(tmp_path, ucf())
        (tmp_path / 'val.txt').write_text('mine')
        with pytest.raises(UserError, match=r'has val\.txt already'):
            lists_from_folder(tmp_path)
        assert not (tmp_path / 'train.txt').exists()
        lists_from_folder(tmp_path, overwrite=True)
        assert (tmp_path / 'val.txt').read_text() != 'mine'

    def test_the_command(self, tmp_path):
        fill(tmp_path / 'v', [*ucf(), 'Cry/only.mp4'])
        done = invoke('from-folder', tmp_path / 'v', '--out', tmp_path / 'lists', '--test', '0.2', '--groups', 'prefix')
        assert done.exit_code == 2
        assert "groups 'prefix': 1 of 31 videos are in no group, the first Cry/only.mp4" in done.output
        done = invoke('from-folder', tmp_path / 'v', '--out', tmp_path / 'lists', '--test', '0.2')
        assert done.exit_code == 0, done.output
        assert f'        3  classes in {tmp_path}/lists/classes.txt: Archery, Base ball, Cry' in done.output
        assert f'        6  videos in {tmp_path}/lists/test.txt' in done.output
        assert 'Note: 1 classes have no video in test' in done.output
        done = invoke('from-folder', tmp_path / 'lost')
        assert done.exit_code == 2
        assert 'lost does not exist: give a folder that holds one folder' in done.output


class TestSplit:
    @pytest.fixture
    def source(self, tmp_path):
        file = tmp_path / 'all.txt'
        file.write_text(''.join(f'{path} {int(path.startswith("Base"))}\n' for path in ucf()))
        return file

    def test_lines_and_groups(self, source):
        written = split_list(source, test=0.2, groups='prefix')
        parts = {side: file.read_text().splitlines() for side, file in written.files.items()}
        assert sorted(line for lines in parts.values() for line in lines) == sorted(source.read_text().splitlines())
        assert {side: len(lines) for side, lines in parts.items()} == dict(train=18, val=6, test=6)
        groups = [{line.split('_c')[0] for line in lines} for lines in parts.values()]
        assert sum(map(len, groups)) == 10
        for lines in parts.values():
            assert Counter(line[-1] for line in lines) == {'0': len(lines) // 2, '1': len(lines) // 2}

    def test_lists_of_frames_and_of_several_labels(self, tmp_path):
        frames = tmp_path / 'frames.txt'
        frames.write_text(''.join(f'v{i // 2} {i} 300 {i // 2 % 2}\n' for i in range(40)))  # two clips of each folder
        parts = [file.read_text().splitlines() for file in split_list(frames).files.values()]
        assert [Counter(line[-1] for line in part) for part in parts] == [{'0': 16, '1': 16}, {'0': 4, '1': 4}]
        assert not {line.split()[0] for line in parts[0]} & {line.split()[0] for line in parts[1]}
        several = tmp_path / 'several.csv'
        several.write_text(''.join(f'v{i}.mp4,0,{1 + i % 2}\n' for i in range(20)))
        parts = [
            f.read_text().splitlines() for f in split_list(several, multi_label=True, overwrite=True).files.values()
        ]
        assert [len(part) for part in parts] == [16, 4]

    def test_mistakes(self, source, tmp_path):
        (tmp_path / 'bare.txt').write_text('a.mp4 0\nb.mp4\n')
        with pytest.raises(UserError, match=r"bare\.txt, line 2 \('b\.mp4'\) has no label"):
            split_list(tmp_path / 'bare.txt')
        with pytest.raises(UserError, match=r'al\.txt does not exist\. Did you mean: all\.txt'):
            split_list(tmp_path / 'al.txt')
        (tmp_path / 'train.txt').write_text(source.read_text())
        with pytest.raises(UserError, match=r'train\.txt is the list that is split'):
            split_list(tmp_path / 'train.txt', overwrite=True)
        assert not (tmp_path / 'val.txt').exists()

    def test_the_command(self, source, tmp_path):
        done = invoke('split', source, '--out', tmp_path / 'parts', '--val', '0.4', '--seed', '3')
        assert done.exit_code == 0, done.output
        assert f'       18  videos in {tmp_path}/parts/train.txt' in done.output
        again = split_list(source, tmp_path / 'again', val=0.4, seed=3)
        assert again.files['val'].read_text() == (tmp_path / 'parts' / 'val.txt').read_text()
