"""An index of moments: what it holds after each change of the files, what is found in it, and what it refuses."""

import contextlib
import csv
import errno
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_images import ARCH, NAMES
from tiny_runs import write_corrupt, write_video

from textxfer_mm.apis import VideoSearch, load_recognizer, save_contact_sheet, sliding
from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.apis.search import as_csv, as_dict, moments, store, updating
from textxfer_mm.apis.search.ahead import ahead
from textxfer_mm.apis.search.ranking import best_moments, cosines
from textxfer_mm.apis.search.shards import IndexedFile, Shard
from textxfer_mm.apis.search.store import IndexFolder, IndexRecord
from textxfer_mm.errors import UserError
from textxfer_mm.video import unreadable
from textxfer_mm.video.reader import VideoReader


def built(**changes):
    cfg = clip_zero_shot_config(ARCH, None, NAMES, templates='{}', num_frames=4)
    cfg.merge_from_dict(changes)
    torch.manual_seed(0)
    return load_recognizer(cfg, device='cpu')


@pytest.fixture(scope='module')
def model():
    return built()


@pytest.fixture
def folder(tmp_path):
    """Three videos, of 1, 2 and 6 s, and an image."""
    made = tmp_path / 'videos'
    (made / 'deep').mkdir(parents=True)
    for seed, (name, frames) in enumerate({'a.mp4': 10, 'b.mp4': 20, 'deep/c.mp4': 60}.items()):
        write_video(made / name, seed % 2, frames=frames, seed=seed)
    Image.fromarray(np.random.default_rng(5).integers(0, 255, (32, 64, 3), dtype=np.uint8)).save(made / 'd.png')
    return made


@pytest.fixture
def encoded(monkeypatch):
    """The names of the files that are decoded and encoded, with how often."""
    counts = Counter()
    plan = moments.MomentEncoder._plan
    monkeypatch.setattr(
        moments.MomentEncoder, '_plan', lambda self, file: counts.update([Path(file).name]) or plan(self, file)
    )
    return counts


def names(search):
    return sorted(file.name for file in search.files)


def test_files_come_change_move_and_go(model, folder, encoded, tmp_path):
    options = dict(index=tmp_path / 'index')
    search = VideoSearch(folder, model, **options)
    assert names(search) == ['a.mp4', 'b.mp4', 'd.png', 'deep/c.mp4']
    assert {file.name: file.moments for file in search.files} == {'a.mp4': 1, 'b.mp4': 1, 'deep/c.mp4': 5, 'd.png': 1}
    assert len(search) == 8
    assert search.last_update.counts == {'new': 4, 'changed': 0, 'known by content': 0, 'gone': 0}
    vectors = {hit.name: hit.score for hit in search('waving', topk=9, per_file=1).hits}

    encoded.clear()
    again = VideoSearch(folder, model, **options)
    assert not encoded
    assert not any(again.last_update.counts.values())
    assert {hit.name: hit.score for hit in again('waving', topk=9, per_file=1).hits} == vectors

    os.utime(folder / 'a.mp4')  # looks changed and is not
    (folder / 'b.mp4').rename(folder / 'moved.mp4')
    write_video(folder / 'deep' / 'c.mp4', frames=40, seed=9)
    (folder / 'd.png').unlink()
    write_video(folder / 'e.mp4', seed=7)
    counts = again.update().counts
    assert counts == {'new': 1, 'changed': 1, 'known by content': 2, 'gone': 2}
    assert encoded == {'c.mp4': 1, 'e.mp4': 1}
    assert names(again) == ['a.mp4', 'deep/c.mp4', 'e.mp4', 'moved.mp4']
    scores = {hit.name: hit.score for hit in again('waving', topk=9, per_file=1).hits}
    assert scores['a.mp4'] == pytest.approx(vectors['a.mp4'], abs=1e-6)
    assert scores['moved.mp4'] == pytest.approx(vectors['b.mp4'], abs=1e-6)
    assert abs(scores['deep/c.mp4'] - vectors['deep/c.mp4']) > 1e-6

    encoded.clear()
    fresh = VideoSearch(folder, model, index=tmp_path / 'fresh')
    assert {hit.name: hit.score for hit in fresh('waving', topk=9, per_file=1).hits} == pytest.approx(scores, abs=1e-6)
    assert sum(shard.stat().st_size > 0 for shard in (tmp_path / 'index').glob('*.safetensors')) <= 3
    rows = sum(len(shard) for shard in IndexFolder(tmp_path / 'index').contents().shards.values())
    assert rows == len(again)  # what is out of date is not kept


def test_the_best_are_those_of_a_naive_search(model, folder):
    search = VideoSearch(folder, model)
    found = search('clapping', topk=4, per_file=None)
    encoder = model.cls_head.class_rows.reader()
    text = torch.nn.functional.normalize(encoder.encode(['clapping'])[0], dim=0)
    contents = search._contents
    rows = torch.cat(contents.vectors).double()
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)).double(), atol=1e-6, rtol=0)
    scores = (rows @ text.double()).numpy()
    assert [hit.score for hit in found.hits] == pytest.approx(
        [scores[row] for row in naive(scores, contents.owner, contents.starts, contents.ends, 4)], abs=1e-6
    )
    assert found.moments == 8
    assert found.quantiles[1.0] == pytest.approx(scores.max(), abs=1e-6)
    several = VideoSearch(folder, model, template='clip_kinetics')('clapping', topk=1).hits[0].score
    assert abs(several - found.hits[0].score) > 1e-6


def test_a_video_finds_its_like(model, folder):
    shutil.copy(folder / 'b.mp4', folder / 'copy.mp4')
    search = VideoSearch(folder, model)
    found = search(folder / 'b.mp4', topk=2, per_file=1)
    assert found.hits[0].name == 'copy.mp4'
    assert found.hits[0].score == pytest.approx(1, abs=1e-5)
    assert 'b.mp4' not in [hit.name for hit in found.hits]
    assert found.notes == ('The query is one of the files of the index: it is left out.',)
    assert search(str(folder / 'd.png')).is_file


def test_what_cannot_be_decoded_costs_itself(model, folder, encoded, tmp_path):
    for kind in ('empty', 'truncated', 'text'):
        write_corrupt(folder / f'{kind}.mp4', kind)
    (folder / 'no.png').write_bytes(b'no image')
    (tmp_path / 'list.txt').write_text('videos/a.mp4\nvideos/vanished.mp4\n')
    search = VideoSearch(folder, model)
    skipped = search('waving').skipped
    assert sorted(skipped) == ['empty.mp4', 'no.png', 'text.mp4', 'truncated.mp4']
    assert skipped['empty.mp4'] == 'empty file'
    assert skipped['no.png'] == 'no image of a known format, or its header is damaged'
    encoded.clear()
    assert VideoSearch(folder, model)('waving').skipped == skipped
    assert not encoded  # it is known that they cannot be
    listed = VideoSearch(tmp_path / 'list.txt', model)
    assert names(listed) == ['videos/a.mp4']
    assert listed.last_update.unread == {'videos/vanished.mp4': 'missing file'}


@pytest.mark.parametrize('step', ['digest', 'open', 'decode', 'still'])
def test_a_fault_of_the_drive_says_nothing_of_a_content(model, folder, monkeypatch, step):
    """What could not be read for a moment is read next time, and what the index had of it stays until then."""
    fault = OSError(errno.EIO, 'Input/output error')

    def failing(*args, **kwargs):
        raise fault

    def late(self):
        yield from itertools.islice(read(self), 9)
        raise RuntimeError('frame 9 cannot be read') from fault

    read = sliding.Plan.read
    with monkeypatch.context() as patch:
        if step == 'digest':
            patch.setattr(moments, 'content_digest', failing)
        elif step == 'open':
            patch.setattr(unreadable, 'Path', lambda source: SimpleNamespace(is_dir=bool, exists=bool, open=failing))
            patch.setattr(moments, 'content_digest', lambda path: f'{path.name} as it was')
        elif step == 'decode':
            patch.setattr(sliding.Plan, 'read', late)
        else:
            patch.setattr(moments, 'read_image', failing)
        if step in ('digest', 'open'):
            (folder / 'd.png').unlink()
            with pytest.raises(UserError, match=r'None of the 3 videos could be indexed, such as a\.mp4: Input/output'):
                VideoSearch(folder, model)
        else:
            search = VideoSearch(folder, model)
            failed = {'decode': {'a.mp4', 'b.mp4', 'deep/c.mp4'}, 'still': {'d.png'}}[step]
            assert search.last_update.unread == dict.fromkeys(failed, 'Input/output error')
            assert not {file.name for file in search.files} & failed
    again = VideoSearch(folder, model)
    assert len(again) == 7 + (step in ('decode', 'still'))
    assert not again('waving').skipped


def test_what_cannot_be_seen_is_not_gone(model, folder, monkeypatch):
    search = VideoSearch(folder, model)
    look = os.stat

    def blind(path, *args, **kwargs):
        if str(path).endswith('c.mp4'):
            raise PermissionError(errno.EACCES, 'Permission denied')
        return look(path, *args, **kwargs)

    media = updating.look_at
    with monkeypatch.context() as patch:
        patch.setattr('textxfer_mm.apis.search.run.look_at', lambda found: _with(os, 'stat', blind, media, found))
        patch.setattr(updating, 'look_at', lambda found: _with(os, 'stat', blind, media, found))
        (folder / 'a.mp4').unlink()
        update = search.update()
    assert update.dropped == 1
    assert update.unread == {'deep/c.mp4': 'Permission denied'}
    assert names(search) == ['b.mp4', 'd.png', 'deep/c.mp4']


def _with(module, name, value, function, *args):
    """Call a function while something is replaced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, value)
        return function(*args)


@pytest.mark.parametrize('kind', ['empty', 'text'])
def test_nothing_to_index(model, tmp_path, kind):
    for name in 'xy':
        write_corrupt(tmp_path / f'{name}.mp4', kind)
    with pytest.raises(UserError, match=r'None of the 2 videos could be indexed, such as x\.mp4: '):
        VideoSearch(tmp_path, model)
    with pytest.raises(UserError, match='holds nothing that could be decoded'):
        VideoSearch(tmp_path, model)('waving')


def test_a_run_that_is_ended_goes_on_where_it_was(model, folder, encoded, tmp_path, monkeypatch):
    options = dict(index=tmp_path / 'index')

    def ending(title, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        VideoSearch(folder, model, **options, progress=ending)
    assert len(IndexFolder(tmp_path / 'index').contents().files) == 2
    monkeypatch.setattr(IndexFolder, 'tidy', None)  # killed behind the last file
    with pytest.raises(TypeError):
        VideoSearch(folder, model, **options)
    monkeypatch.undo()
    first = set(encoded)
    assert len(VideoSearch(folder, model, **options)) == 8
    assert first == {'a.mp4', 'b.mp4', 'c.mp4', 'd.png'}
    assert not [count for count in encoded.values() if count > 2]  # one that was under way may be decoded twice


def test_what_is_encoded_is_written_from_time_to_time(model, folder, monkeypatch, tmp_path):
    added = []
    add = IndexFolder.add
    monkeypatch.setattr(updating, 'FLUSH_SECONDS', 0.0)
    monkeypatch.setattr(IndexFolder, 'add', lambda self, shard: added.append(len(shard.files)) or add(self, shard))
    VideoSearch(folder, model, index=tmp_path / 'index')
    assert added == [1, 1, 1, 1]


def test_small_files_of_moments_are_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(store, 'MOST_SMALL', 3)
    monkeypatch.setattr(store, 'MOST_MOMENTS', 10)
    index = IndexFolder(tmp_path)
    index.begin(RECORD)
    for number in range(6):
        index.add(shard_of(f'{number}.mp4', rows=3, value=number))
    index.add(shard_of('2.mp4', rows=2, value=9))
    index.tidy(frozenset({'/4.mp4'}))
    contents = index.contents()
    assert sorted(file.path for file in contents.files) == ['/0.mp4', '/1.mp4', '/2.mp4', '/3.mp4', '/5.mp4']
    assert [len(shard) for shard in contents.shards.values()] == [9, 5]
    for number, file in enumerate(contents.files):
        own = torch.cat(contents.vectors)[contents.owner == number]
        assert own.unique().tolist() == [9.0 if file.path == '/2.mp4' else float(file.path[1])]


RECORD = IndexRecord('weights', 'pipeline', (), 'a model')


def shard_of(name, rows, value):
    file = IndexedFile(f'/{name}', name, 1, 1, name, rows)
    return Shard((file,), torch.full((rows, 4), float(value)), np.arange(rows), np.arange(rows) + 1.0)


def test_a_writer_may_be_killed_between_any_two_steps(tmp_path, monkeypatch):
    """Joined files are there before those that they are made of go; of a video in two, the newer counts."""
    monkeypatch.setattr(store, 'MOST_SMALL', 1)
    index = IndexFolder(tmp_path)
    index.begin(RECORD)
    for number in range(3):
        index.add(shard_of(f'{number}.mp4', rows=2, value=number))
    index.add(shard_of('0.mp4', rows=2, value=7))
    unlink = Path.unlink
    for allowed in range(5):
        left = [allowed]

        def dying(path, *args, left=left, **options):
            if path.name.startswith('moments'):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
            unlink(path, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Path, 'unlink', dying)
            with contextlib.suppress(KeyboardInterrupt):
                index.tidy(frozenset())
        contents = index.contents()
        assert sorted(file.path for file in contents.files) == ['/0.mp4', '/1.mp4', '/2.mp4']
        assert contents.moments == 6
        own = next(n for n, file in enumerate(contents.files) if file.path == '/0.mp4')
        assert torch.cat(contents.vectors)[contents.owner == own].unique().tolist() == [7.0]
    assert len(list(tmp_path.glob('moments-*'))) == 1


def test_a_rebuild_may_be_killed_too(tmp_path, monkeypatch):
    index = IndexFolder(tmp_path / 'index')
    index.begin(RECORD)
    index.add(shard_of('0.mp4', rows=2, value=1))
    unlink = Path.unlink
    with monkeypatch.context() as patch:

        def dying(path, **options):
            unlink(path, **options)
            raise KeyboardInterrupt

        patch.setattr(Path, 'unlink', dying)
        with pytest.raises(KeyboardInterrupt):
            index.clear()
    with index.writing():  # which refuses a folder of moments that no record belongs to
        index.clear()
    assert index.record() is None


def test_names_of_any_bytes(model, tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    name = os.fsdecode(b'bad\xff \xe2\x98\x83.mp4')
    try:
        write_video(tmp_path / 'a.mp4')
        shutil.copy(tmp_path / 'a.mp4', folder / name)
    except OSError:
        pytest.skip('the file system takes no such name')
    assert [file.name for file in VideoSearch(folder, model).files] == [name]
    found = VideoSearch(folder, model)('waving')
    assert found.hits[0].remark == ''
    save_contact_sheet(found, tmp_path / 'sheet.png')


def test_one_writes_at_a_time_and_readers_need_not_wait(model, folder, tmp_path):
    index = tmp_path / 'index'
    VideoSearch(folder, model, index=index)
    code = 'import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n print("held", flush=True)\n sys.stdin.read()'
    command = [sys.executable, '-c', code, str(index / 'lock')]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'held\n'
        assert len(VideoSearch(folder, model, index=index)) == 8  # nothing to write
        assert len(VideoSearch(None, model, index=index)) == 8
        write_video(folder / 'e.mp4')
        with pytest.raises(UserError, match=r'Another run is writing the index .*: wait for it, or search what'):
            VideoSearch(folder, model, index=index)
        process.kill()  # the lock of a process that dies is free
    (index / '.moments-000002.0123456789abcdef0123456789abcdef.safetensors').write_bytes(b'half')
    assert len(VideoSearch(folder, model, index=index)) == 9
    assert not [path.name for path in index.iterdir() if path.name[0] == '.']


def test_an_index_of_something_else(model, folder, tmp_path):
    index = tmp_path / 'index'
    VideoSearch(folder, model, index=index)
    torch.manual_seed(1)
    other = built()
    with torch.no_grad():
        next(other.backbone.parameters()).add_(1)
    for paths in (folder, None):
        with pytest.raises(UserError, match=r'was made with other weights \(CLIPBackbone, digest \w{12}; here CLIPB'):
            VideoSearch(paths, other, index=index)
    with pytest.raises(UserError, match='other settings of pipeline, window or stride'):
        VideoSearch(folder, model, index=index, window=1.0)
    with pytest.raises(UserError, match=r'is of .*videos, not of .*deep\. Give the same paths'):
        VideoSearch(folder / 'deep', model, index=index)
    assert len(VideoSearch(folder, other, index=index, rebuild=True)) == 8
    with pytest.raises(UserError, match='was made with other weights'):
        VideoSearch(folder, model, index=index)


def test_a_setting_of_the_projection_changes_embeddings():
    one, other = built(), built()
    other.cfg.model.cls_head.projection = dict(type='ConSE', topk=3)
    by = [moments.MomentEncoder(model, None, None, 16) for model in (one, built(), other)]
    assert by[0].weights == by[2].weights
    assert by[0].pipeline == by[1].pipeline != by[2].pipeline


def test_the_names_of_classes_do_not_matter(folder, tmp_path, encoded):
    VideoSearch(folder, built(), index=tmp_path / 'index')
    encoded.clear()
    torch.manual_seed(0)
    other = load_recognizer(clip_zero_shot_config(ARCH, None, ['reading'], templates='{}', num_frames=4), device='cpu')
    VideoSearch(folder, other, index=tmp_path / 'index')
    assert not encoded


def test_damaged_and_foreign_folders(model, folder, tmp_path):
    index = tmp_path / 'index'
    VideoSearch(folder, model, index=index)
    shard = next(index.glob('moments-*'))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    with pytest.raises(UserError, match=r'moments-000001\.safetensors is damaged, .* remove it'):
        VideoSearch(folder, model, index=index)
    shard.unlink()
    assert len(VideoSearch(folder, model, index=index)) == 8
    (index / 'index.json').write_text('{')
    with pytest.raises(UserError, match=r'index\.json is no record of an index, or it is damaged: --rebuild'):
        VideoSearch(folder, model, index=index)
    assert len(VideoSearch(folder, model, index=index, rebuild=True)) == 8
    with pytest.raises(UserError, match=r'holds other files \(a\.mp4, b\.mp4, d\.png, .*\) and no index'):
        VideoSearch(folder, model, index=folder)
    with pytest.raises(UserError, match='holds no index: give paths of videos as well'):
        VideoSearch(None, model, index=tmp_path / 'nothing')
    with pytest.raises(UserError, match='is no folder that can be written to'):
        VideoSearch(folder, model, index=folder / 'a.mp4')


def test_what_is_asked_for(model, folder, tmp_path):
    search = VideoSearch(folder, model)
    for query, message in (
        (' ', 'The query is empty'),
        ('videos/z.mp4', r'The query videos/z\.mp4 does not exist\.'),
        (str(folder / 'aa.mp4'), r'aa\.mp4 does not exist\. Did you mean: a\.mp4'),
        (folder, 'is neither a video nor an image by its name'),
        ('a ' * 100, 'reads at most 77 tokens; longer prompts'),
    ):
        with pytest.raises(UserError, match=message):
            search(query)
    write_corrupt(tmp_path / 'text.mp4', 'text')
    with pytest.raises(UserError, match=r'text\.mp4 cannot be decoded: a text file, not a video\.'):
        search(tmp_path / 'text.mp4')
    with pytest.raises(UserError, match=r"No moment of 4 files reaches 1 for 'waving'; the best is -?0\.\d+, in "):
        search('waving', threshold=1)
    with pytest.raises(UserError, match='threshold nan is no score: scores are cosines'):
        search('waving', threshold=float('nan'))
    with pytest.raises(UserError, match='topk=0 and per_file=3: give 1 or more'):
        search('waving', topk=0)
    (folder / 'a.mp4').unlink()
    write_video(folder / 'b.mp4', frames=12, seed=3)
    found = search('waving', per_file=1)
    assert {hit.name: hit.remark for hit in found.hits} == {
        'a.mp4': 'gone since',
        'b.mp4': 'changed since',
        'deep/c.mp4': '',
        'd.png': '',
    }
    assert [note.partition(':')[0] for note in found.notes] == [
        'Gone since it was indexed',
        'Changed since it was indexed',
    ]


def test_a_model_without_words_finds_by_videos(folder):
    cfg = clip_zero_shot_config(ARCH, None, NAMES, templates='{}', num_frames=4)
    cfg.model.cls_head = dict(type='I3DHead', num_classes=3, in_channels=32, average_clips='prob')
    model = load_recognizer(cfg, device='cpu')
    search = VideoSearch(folder, model)
    assert len(search(folder / 'a.mp4', per_file=1).hits) == 3
    with pytest.raises(UserError, match='Search by text needs a text encoder, and the head I3DHead'):
        search('waving')


def test_what_was_found_as_files(model, folder, tmp_path):
    search = VideoSearch(folder, model)
    found = search('waving', topk=3)
    data = json.loads(json.dumps(as_dict(found), allow_nan=False))
    assert [hit['file'] for hit in data['hits']] == [hit.path for hit in found.hits]
    assert data['quantiles'].keys() == {'0.5', '0.99', '1.0'}
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [float(row['score']) for row in rows] == pytest.approx([hit.score for hit in found.hits], abs=1e-6)
    assert list(rows[0]) == ['rank', 'score', 'file', 'start', 'end']
    Path(found.hits[0].path).unlink()
    sheet = np.asarray(Image.open(save_contact_sheet(found, tmp_path / 'sheet.png')))
    first, second = sheet[60:240, 15:260], sheet[60:240, 285:530]
    assert len(np.unique(first.reshape(-1, 3), axis=0)) < 300  # grey with letters
    assert len(np.unique(second.reshape(-1, 3), axis=0)) > 1000
    moment = search(folder / 'deep' / 'c.mp4' if Path(found.hits[0].path).name != 'c.mp4' else folder / 'b.mp4')
    one = np.asarray(Image.open(save_contact_sheet(moment, tmp_path / 'own.png')))
    assert one.shape[1] == 4 * 268 + 12 or one.shape[1] == 3 * 268 + 12 or one.shape[1] == 2 * 268 + 12


def test_thumbnails_are_of_the_moment(model, tmp_path):
    """A video that becomes brighter: the frame in the middle of what was found."""
    import cv2

    writer = cv2.VideoWriter(str(tmp_path / 'a.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 32))
    for number in range(60):
        writer.write(np.full((32, 64, 3), 40 + 3 * number, np.uint8))
    writer.release()
    found = VideoSearch(tmp_path, model, window=1.0)('waving', topk=3)
    sheet = np.asarray(Image.open(save_contact_sheet(found, tmp_path.parent / f'{tmp_path.name}.png')))
    top = 2 * 12 + round(1.6 * 20) + 96
    for number, hit in enumerate(found.hits):
        middle = VideoReader(str(tmp_path / 'a.mp4')).read([int(10 * (hit.start + hit.end) / 2)])[0]
        assert sheet[top, 12 + 268 * number + 128, 0] == pytest.approx(middle.mean(), abs=6)


def naive(scores, owner, starts, ends, topk, per_file=None, threshold=None):
    """All rows in their order, one after the other."""
    found = []
    for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row)):
        same = [other for other in found if owner[other] == owner[row]]
        overlaps = any(starts[row] < ends[other] and starts[other] < ends[row] for other in same)
        low = threshold is not None and scores[row] < threshold
        if owner[row] < 0 or overlaps or low or (per_file is not None and len(same) >= per_file):
            continue
        if len(found) < topk:
            found.append(row)
    return found


@pytest.mark.parametrize('seed', range(4))
def test_the_best_moments(seed):
    rng = np.random.default_rng(seed)
    owner = np.sort(rng.integers(-1, 6, 400))
    rng.shuffle(owner)
    starts = rng.integers(0, 60, 400).astype(float)
    ends = starts + 2
    scores = np.round(rng.normal(size=400), 1).astype(np.float32)  # many are equal
    for topk in (1, 5, 60, 1000):
        for per_file in (None, 1, 4):
            for threshold in (None, 0.5, 9.0):
                options = dict(topk=topk, per_file=per_file, threshold=threshold)
                assert best_moments(scores, owner, starts, ends, **options) == naive(
                    scores, owner, starts, ends, **options
                )


def test_cosines_are_exact():
    rows = torch.nn.functional.normalize(torch.randn(1000, 64), dim=1)
    query = torch.nn.functional.normalize(torch.randn(64), dim=0)
    found = cosines([rows[:1], rows[1:700], rows[700:]], query)
    np.testing.assert_allclose(found, rows.double().numpy() @ query.double().numpy(), atol=1e-6)


def test_a_thread_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number
        raise ValueError('at the end')

    assert [next(iter(ahead(items(), 2)))] == [0]
    assert len(taken) <= 5
    with pytest.raises(ValueError, match='at the end'):
        list(ahead(items(), 2))
