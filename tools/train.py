"""Train a recognizer, with MMAction2's arguments: ``python tools/train.py CONFIG [--amp] [--resume] ...``."""

import argparse
import sys

from mmengine.config import Config

from textxfer_mm.engine.launch import add_launch_arguments, config_of_args, require_parts, run_tool, say
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import require_checkpoint


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Train a recognizer', allow_abbrev=False)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='checkpoint to resume from; without a value, the newest one in the work dir that can be used',
    )
    parser.add_argument(
        '--allow-other-classes',
        action='store_true',
        help='resume although the checkpoint has other classes than the config, whose classes are taken',
    )
    parser.add_argument(
        '--checkpoint-on-sigterm',
        action='store_true',
        help='save stopped.pth after the iteration during which SIGTERM comes; --resume goes on within the epoch',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision: bfloat16 on CPU and on GPUs that have it')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate during training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by batch size / auto_scale_lr.base_batch_size',
    )
    parser.add_argument('--seed', type=int, help='random seed (default: that of the config)')
    parser.add_argument('--diff-rank-seed', action='store_true', help='another seed on each rank')
    parser.add_argument('--deterministic', action='store_true', help='deterministic GPU kernels only')
    add_launch_arguments(parser)
    return parser.parse_args()


def merge_args(cfg: Config, args: argparse.Namespace) -> None:
    """Merge the arguments of training into the config."""
    import torch

    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp or (cfg.optim_wrapper.get('type') == 'AmpOptimWrapper' and not torch.cuda.is_available()):
        enable_amp(cfg)  # stock configs that ask for mixed precision train on CPU too
    if args.auto_scale_lr:
        cfg.auto_scale_lr = dict(cfg.get('auto_scale_lr') or {}, enable=True)
    randomness = dict(cfg.get('randomness') or dict(seed=None))
    if args.seed is not None:
        randomness['seed'] = args.seed
    if args.diff_rank_seed:
        randomness['diff_rank_seed'] = True
    if args.deterministic:
        randomness['deterministic'] = True
    cfg.randomness = randomness


def enable_amp(cfg: Config) -> None:
    """Switch to mixed precision: bfloat16 autocast on CPU, stock AMP on GPU in bfloat16 (float16 where it lacks it)."""
    import torch

    wrapper = cfg.optim_wrapper
    kind = wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper', 'AutocastOptimWrapper'):
        raise UserError(
            f'--amp works with OptimWrapper and AmpOptimWrapper; this config has optim_wrapper.type={kind!r}.'
        )
    if torch.cuda.is_available() and kind != 'AutocastOptimWrapper':
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')
        wrapper.setdefault(
            'dtype', 'bfloat16' if torch.cuda.is_bf16_supported(including_emulation=False) else 'float16'
        )
        return
    wrapper.type = 'AutocastOptimWrapper'
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        wrapper.pop(key, None)


def main() -> None:
    """Train; what is heavy is imported behind the arguments and paths."""
    args = parse_args()
    if args.resume not in (None, 'auto'):
        require_checkpoint(args.resume)
    cfg = config_of_args(args)

    from textxfer_mm.engine.config_checks import check_config
    from textxfer_mm.engine.data_checks import check_datasets
    from textxfer_mm.engine.hooks import ResumeHook, SigtermCheckpointHook
    from textxfer_mm.engine.resuming import choose_resume, is_finished
    from textxfer_mm.engine.runners import require_exact_resume
    from textxfer_mm.engine.terminal import showing, telling_what_is_kept

    require_parts(cfg, ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'), args.config)
    merge_args(cfg, args)
    asked = args.resume or ('auto' if cfg.get('resume') and not cfg.get('load_from') else None)
    found = choose_resume(cfg, asked)
    if asked and not cfg.get('resume'):
        say(f'Nothing to resume in {cfg.work_dir}: training starts anew.')
    if cfg.get('load_from'):
        require_checkpoint(cfg.load_from)
    if found is not None and is_finished(cfg, found):
        say(f'The run in {cfg.work_dir} is finished: {found}. To go on, raise train_cfg.max_epochs or max_iters.')
        return
    phases = ('train', 'val') if cfg.get('val_dataloader') else ('train',)
    check_config(cfg, phases)
    with telling_what_is_kept(cfg), showing(cfg) as build_runner:
        check_datasets(cfg, phases, may_miss=('train',))
        runner = build_runner()
        passed = [f'Passed over {reason}' for reason in found.passed_over] if found else []
        runner.register_hook(ResumeHook(passed, other_classes=args.allow_other_classes))
        if args.checkpoint_on_sigterm:
            runner.register_hook(SigtermCheckpointHook())
        if cfg.get('resume'):
            require_exact_resume(runner)
        runner.train()


if __name__ == '__main__':
    sys.exit(run_tool(main))
