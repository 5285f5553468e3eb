"""What a container costs in accuracy: the quick start's validation videos, encoded again in other ways.

The checkpoint and the videos are those of ``textxfer quickstart``. Each validation video is decoded, encoded again at
high quality and tested with a single view, by our decoding steps and by MMAction2's stock ones (decord). Where the two
differ, decord gave other frames than asked for. Results are in docs/benchmarks.md.

    python benchmarks/decoding_accuracy.py WORK_DIR [--json FILE]
"""

import argparse
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import decord
from mmengine.registry import init_default_scope
from video_kinds import KINDS, encode

import textxfer_mm.register  # noqa: F401
from textxfer_mm.apis import load_recognizer
from textxfer_mm.apis.scoring import score_videos
from textxfer_mm.engine.config_files import config_of_checkpoint
from textxfer_mm.video.reader import VideoReader

ENCODED = ('mjpeg_avi', 'xvid_b_frames_avi', 'mpeg2_mpg', 'h264_ts', 'h264_open_groups_mp4')


def encode_again(videos: Path, names: list[str], folder: Path, kind: str) -> None:
    """Encode the videos in another way; the names keep their suffix, as the list has it."""
    for name in names:
        reader = VideoReader(str(videos / name))
        target = (folder / name).with_suffix(KINDS[kind].suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Frames are sampled by their number, so the rate does not matter; MPEG knows few.
        encode(target, kind, reader.read(range(len(reader))), rate=25, bit_rate=8_000_000)


def stock(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A pipeline with decord's steps."""
    steps = [dict(step) for step in pipeline]
    for step in steps:
        if str(step['type']).startswith('TolerantDecord'):
            step['type'] = step['type'].removeprefix('Tolerant')
            step.pop('test_mode', None)
    return steps


def main() -> None:
    """Encode, test and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('work_dir', type=Path, help='work dir of a finished quick start')
    parser.add_argument('--json', type=Path, help='write the results to this file')
    args = parser.parse_args()
    decord.logging.set_level(decord.logging.QUIET)
    init_default_scope('mmaction')
    checkpoint = json.loads((args.work_dir / 'report.json').read_text())['checkpoint']
    cfg = config_of_checkpoint(checkpoint)
    videos = args.work_dir / 'toy_actions'
    lines = [line.split() for line in (videos / 'val.txt').read_text().splitlines()]
    model = load_recognizer(cfg, checkpoint, device='cpu')
    results = {}
    print(f'{len(lines)} videos, top-1 in %{"ours":>20}{"stock decord":>14}')
    for kind in ('original', *ENCODED):
        with tempfile.TemporaryDirectory() as scratch:
            folder, suffix = videos, None
            if kind != 'original':
                folder, suffix = Path(scratch), KINDS[kind].suffix
                encode_again(videos, [name for name, _ in lines], folder, kind)
            listed = [(str(Path(name).with_suffix(suffix)) if suffix else name, label) for name, label in lines]
            (Path(scratch) / 'list.txt').write_text(''.join(f'{name} {label}\n' for name, label in listed))
            found = []
            for steps in (cfg.val_pipeline, stock(cfg.val_pipeline)):
                loader = copy.deepcopy(cfg.val_dataloader.to_dict())
                loader['dataset'].update(
                    ann_file=str(Path(scratch) / 'list.txt'), data_prefix=dict(video=str(folder)), pipeline=steps
                )
                found.append(score_videos(model, loader).top(1))
        results[kind] = dict(ours=found[0], stock=found[1])
        print(f'{kind:32}{100 * found[0]:8.1f}{100 * found[1]:14.1f}', flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == '__main__':
    main()
