"""Test a checkpoint, with MMAction2's arguments: ``python tools/test.py CONFIG CHECKPOINT [--dump FILE.pkl]``."""

import argparse
import logging
import sys

from mmengine.config import Config

from textxfer_mm.engine.launch import add_launch_arguments, config_of_args, require_parts, run_tool
from textxfer_mm.errors import UserError
from textxfer_mm.files import require_writable_file
from textxfer_mm.inputs import require_checkpoint
from textxfer_mm.text.class_names import load_class_names


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test a recognizer', allow_abbrev=False)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--dump', help='write the predictions to this pickle file, for evaluation offline')
    parser.add_argument(
        '--class-names',
        help='class-name file or dataset name that replaces the classes of the text classifier (zero-shot recognition)',
    )
    parser.add_argument(
        '--views',
        help='clips x crops of each video (1 or 3 crops), such as 4x3, in place of those of the test pipeline',
    )
    parser.add_argument('--show-dir', help='folder for images of the predictions')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='visualize one sample in this many')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds to show each window')
    add_launch_arguments(parser)
    return parser.parse_args()


def check_paths(args: argparse.Namespace) -> None:
    """Check the checkpoint, the class names and the file to write."""
    require_checkpoint(args.checkpoint)
    if args.class_names is not None:
        load_class_names(args.class_names)
    if args.dump is not None:
        if not args.dump.endswith(('.pkl', '.pickle')):
            raise UserError(f'--dump writes a pickle file (.pkl), got {args.dump}.')
        require_writable_file(args.dump, '--dump')


def merge_args(cfg: Config, args: argparse.Namespace) -> None:
    """Merge the arguments of testing into the config."""
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir is not None:
        if 'visualization' not in cfg.get('default_hooks', {}):
            raise UserError("--show and --show-dir need default_hooks.visualization=dict(type='VisualizationHook').")
        cfg.default_hooks.visualization.update(
            enable=True, show=args.show, wait_time=args.wait_time, out_dir=args.show_dir, interval=args.interval
        )
    if args.dump is not None:
        evaluators = cfg.test_evaluator
        evaluators = list(evaluators) if isinstance(evaluators, list | tuple) else [evaluators]
        cfg.test_evaluator = [*evaluators, dict(type='DumpResults', out_file_path=args.dump)]
    if args.views is not None:
        from textxfer_mm.engine.multi_view import set_views

        set_views(cfg, args.views)
    if args.class_names is not None:
        from textxfer_mm.engine.classes import set_class_names

        set_class_names(cfg, args.class_names)


def main() -> None:
    """Test; what is heavy is imported behind the arguments and paths."""
    args = parse_args()
    check_paths(args)
    cfg = config_of_args(args)

    from mmengine.logging import print_log

    from textxfer_mm.engine.config_checks import check_config
    from textxfer_mm.engine.data_checks import check_datasets
    from textxfer_mm.engine.metric_checks import leave_out_scores
    from textxfer_mm.engine.runners import require_full_checkpoint
    from textxfer_mm.engine.terminal import showing

    require_parts(cfg, ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'), args.config)
    merge_args(cfg, args)
    check_config(cfg, ('test',))
    with showing(cfg) as build_runner:
        is_unlabelled = 'test' in check_datasets(cfg, ('test',))
        note = leave_out_scores(cfg) if is_unlabelled else None
        runner = build_runner()
        require_full_checkpoint(runner)
        runner.test()
        if note is not None:
            print_log(note, logger='current', level=logging.WARNING)


if __name__ == '__main__':
    sys.exit(run_tool(main))
