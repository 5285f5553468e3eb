"""Write the features that LDAClassifier learns from: ``python tools/extract_features.py CONFIG OUT``."""

import argparse
import sys
import time
from pathlib import Path

from mmengine.config import Config

from textxfer_mm.engine.launch import add_launch_arguments, config_of_args, require_parts, run_tool
from textxfer_mm.files import require_writable_file, require_writable_folder
from textxfer_mm.inputs import SPLITS, require_checkpoint


def videos_a_class(text: str) -> int | None:
    """Read ``--per-class``: a number, or None for all."""
    if text in ('all', '0'):
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a number of videos or 'all', got {text!r}")
    return int(text)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write the features and labels of some videos of each class', allow_abbrev=False
    )
    parser.add_argument('config', help='config file, whose encoder and validation pipeline are used')
    parser.add_argument('out', help='safetensors file to write; for LDAClassifier the one that the config names')
    parser.add_argument(
        '--per-class', type=videos_a_class, default=60, help="videos per class, or 'all' (default: 60, as in the paper)"
    )
    parser.add_argument('--checkpoint', help='checkpoint of the config (default: the pre-trained encoder)')
    parser.add_argument('--split', choices=SPLITS, default='train', help='dataloader whose videos are used')
    parser.add_argument('--seed', type=int, default=0, help='seed of the draw of the videos')
    add_launch_arguments(parser)
    return parser.parse_args()


def start(cfg: Config) -> None:
    """Start the process group, if there is one, and the log file in the work dir."""
    from mmengine.dist import init_dist
    from mmengine.logging import MMLogger
    from mmengine.utils.dl_utils import set_multi_processing

    env = cfg.get('env_cfg') or {}
    distributed = cfg.launcher != 'none'
    set_multi_processing(**env.get('mp_cfg', {}), distributed=distributed)
    if distributed:
        init_dist(cfg.launcher, **env.get('dist_cfg', {}))
    folder = require_writable_folder(cfg.work_dir, 'work_dir')
    MMLogger.get_instance(f'extract_features_{time.time_ns()}', log_file=str(folder / 'extract_features.log'))


def main() -> None:
    """Extract; what is heavy is imported behind the arguments and paths."""
    args = parse_args()
    out = require_writable_file(args.out, 'OUT')
    if args.checkpoint:
        require_checkpoint(args.checkpoint)
    cfg = config_of_args(args)

    from mmengine.dist import is_main_process
    from mmengine.logging import print_log

    from textxfer_mm.apis.feature_extraction import extract_features
    from textxfer_mm.engine.config_parts import check_model_and_datasets
    from textxfer_mm.engine.data_checks import check_datasets

    require_parts(cfg, ('model',), args.config)
    check_model_and_datasets(cfg)
    check_datasets(cfg, (args.split,), may_miss=(args.split,))
    start(cfg)
    made = extract_features(cfg, split=args.split, per_class=args.per_class, seed=args.seed, checkpoint=args.checkpoint)
    if is_main_process():
        made.save(out)
        videos, width = made.features.shape
        classes = len(made.labels.unique())
        print_log(
            f'{Path(out)}: features of {videos} videos of {classes} classes, D = {width}, '
            f'by {made.metadata["encoder"]}.',
            logger='current',
        )


if __name__ == '__main__':
    sys.exit(run_tool(main))
