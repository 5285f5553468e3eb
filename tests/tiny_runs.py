"""Real, tiny training and testing runs for the tests: short mp4 files, a stock recognizer, a whole runner config."""

from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from textxfer_mm.registry import MODELS

CORRUPT_KINDS = ('empty', 'truncated', 'text', 'no_frames', 'missing')


def write_video(path, label=0, *, frames=10, seed=0):
    """Write a noisy 64 x 32 mp4 (decord misreads widths such as 48) whose brightness depends on the label."""
    rng = np.random.default_rng(seed)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 32))
    for _ in range(frames):
        writer.write(rng.integers(0, 128, (32, 64, 3), dtype=np.uint8) + np.uint8(100 * label))
    writer.release()


def write_corrupt(path, kind):
    """Write (or, for 'missing', do not write) a file that cannot be decoded."""
    path = Path(path)
    if kind == 'empty':
        path.touch()
    elif kind == 'truncated':
        write_video(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == 'text':
        path.write_text('this is not a video\n')
    elif kind == 'no_frames':
        write_video(path, frames=0)
        assert path.is_file()
    else:
        assert kind == 'missing'


def write_dataset(folder, *, good=8, corrupt=()):
    """Write videos of two classes and their list ``list.txt``; return the path of the list."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(good):
        write_video(folder / f'good{index}.mp4', index % 2, seed=index)
        lines.append(f'good{index}.mp4 {index % 2}')
    for index, kind in enumerate(corrupt):
        write_corrupt(folder / f'{kind}{index}.mp4', kind)
        lines.append(f'{kind}{index}.mp4 {index % 2}')
    (folder / 'list.txt').write_text('\n'.join(lines) + '\n')
    return folder / 'list.txt'


def pipeline(*, test_mode):
    """A stock pipeline around the tolerant decoding step; random when training."""
    sample = dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=2, test_mode=test_mode)
    augment = [] if test_mode else [dict(type='RandomResizedCrop'), dict(type='Flip', flip_ratio=0.5)]
    return [
        dict(type='TolerantDecordInit', test_mode=test_mode),
        sample,
        dict(type='TolerantDecordDecode', test_mode=test_mode),
        *augment,
        dict(type='Resize', scale=(32, 32), keep_ratio=False),
        dict(type='FormatShape', input_format='NCHW'),
        dict(type='PackActionInputs'),
    ]


def save_checkpoint(config, path):
    """Save random weights of a config file's model as a checkpoint; return its path."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    return path


def dataloader(ann_file, *, test_mode, workers=0, batch_size=2):
    """A dataloader over a list that lies beside its videos."""
    return dict(
        batch_size=batch_size,
        num_workers=workers,
        persistent_workers=False,
        worker_init_fn=dict(type='epoch_worker_init_fn'),
        sampler=dict(type='DefaultSampler', shuffle=not test_mode),
        dataset=dict(
            type='VideoDataset',
            ann_file=str(ann_file),
            data_prefix=dict(video=str(Path(ann_file).parent)),
            pipeline=pipeline(test_mode=test_mode),
            test_mode=test_mode,
        ),
    )


def run_config(ann_file, work_dir, *, test_ann_file=None, workers=0, epochs=1, max_share=0.2):
    """A whole runner config: TSN with dropout on a tiny timm network, SGD with momentum."""
    test_loader = dataloader(test_ann_file or ann_file, test_mode=True, workers=workers)
    return dict(
        default_scope='mmaction',
        model=dict(
            type='Recognizer2D',
            backbone=dict(type='timm.test_efficientnet', pretrained=False),
            cls_head=dict(
                type='TSNHead',
                num_classes=2,
                in_channels=256,
                spatial_type='avg',
                dropout_ratio=0.5,
                average_clips='prob',
            ),
            data_preprocessor=dict(
                type='ActionDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, format_shape='NCHW'
            ),
        ),
        train_dataloader=dataloader(ann_file, test_mode=False, workers=workers),
        val_dataloader=test_loader,
        test_dataloader=test_loader,
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=100),
        val_cfg=dict(type='ValLoop'),
        test_cfg=dict(type='TestLoop'),
        val_evaluator=dict(type='AccMetric'),
        test_evaluator=dict(type='AccMetric'),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1), logger=dict(type='LoggerHook', interval=1)
        ),
        custom_hooks=[dict(type='EpochSeedHook'), dict(type='CorruptVideoHook', max_share=max_share)],
        randomness=dict(seed=0),
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl')),
        work_dir=str(work_dir),
        log_level='INFO',
    )
