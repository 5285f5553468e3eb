"""Runs over several datasets of noise that write down what they see; also two gloo ranks that are killed and go on."""

import json
import os
from contextlib import suppress
from pathlib import Path

import torch
from mmaction.structures import ActionDataSample
from mmengine.dataset import BaseDataset
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets.multi_dataset import MultiDataset
from textxfer_mm.datasets.tagged import TaggedDataset
from textxfer_mm.engine.hooks.resume import ResumeHook
from textxfer_mm.engine.multi_dataset_metric import MultiDatasetMetric


class Noise(BaseDataset):
    """Clips of noise drawn anew whenever they are asked for, which is counted, of K classes."""

    asked = 0  # of all in this process: a runner copies datasets

    def __init__(self, length, classes=7, views=1, several=False):
        self.length, self.classes, self.views, self.several = length, classes, views, several
        super().__init__(serialize_data=False)

    def load_data_list(self):
        return [dict(index=index, label=index % self.classes) for index in range(self.length)]

    def prepare_data(self, idx):
        Noise.asked += 1
        info = self.get_data_info(idx)
        label = info['label']
        if self.several:
            label = torch.zeros(self.classes).scatter(0, torch.tensor([label, (label + 1) % self.classes]), 1.0)
        sample = ActionDataSample(metainfo=dict(index=info['index'])).set_gt_label(label)
        return dict(inputs=torch.rand(self.views, 4), data_samples=sample)


def several(**parts):
    """Tagged datasets of noise, by the arguments of each."""
    return MultiDataset([TaggedDataset(name, Noise(**options)) for name, options in parts.items()])


class Witness(BaseModel):
    """Writes down dataset, index, rate and all that is drawn, one line an iteration, and predicts from the index."""

    def __init__(self, file=None):
        super().__init__()
        self.weight, self.file = torch.nn.Parameter(torch.zeros(())), file

    def train_step(self, data, optim_wrapper):
        line = dict(
            seen=[(one.dataset_name, one.index) for one in data['data_samples']],
            rate=optim_wrapper.get_lr()['lr'][0],
            drawn=[round(float(one.sum()), 4) for one in data['inputs']] + [round(torch.rand(()).item(), 4)],
        )
        with open(self.file, 'a') as file:
            file.write(json.dumps(line) + '\n')
        return super().train_step(data, optim_wrapper)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            return dict(loss=self.weight**2)
        for one in data_samples:
            one.set_pred_score(scores_of(one.dataset_name, one.index))
        return data_samples


CLASSES = dict(a=7, b=3, c=5)


def scores_of(name, index):
    """The scores of a sample."""
    generator = torch.Generator().manual_seed(1000 * ord(name[0]) + index)
    return torch.rand(CLASSES[name], generator=generator)


class Killed(BaseException):
    """Stands for SIGKILL: nothing is caught, nothing is saved, and the next run is built anew from the files."""


class KillHook(Hook):
    """Ends a run after so many iterations, whatever is under way."""

    priority = 'LOWEST'

    def __init__(self, after):
        self.after = after

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.after:
            raise Killed


def train(folder, file, *, loop=None, kill=None, resume=None, workers=0, dataset=None, **loader):
    """Train with a checkpoint every third iteration; return how many samples were asked for."""
    init_default_scope('mmaction')
    dataset = dataset or several(a=dict(length=25), b=dict(length=9))
    runner = Runner(
        model=Witness(str(file)),
        work_dir=str(folder),
        train_dataloader=dict(
            batch_size=4,
            num_workers=workers,
            persistent_workers=False,
            worker_init_fn=dict(type='epoch_worker_init_fn'),
            dataset=dataset,
            **(loader or dict(sampler=dict(type='DefaultSampler', shuffle=True), drop_last=True)),
        ),
        train_cfg=loop or dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0)),
        param_scheduler=dict(type='CosineAnnealingLR', T_max=30, by_epoch=False),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=3, by_epoch=False)),
        custom_hooks=[dict(type='EpochSeedHook'), ResumeHook(), *([kill] if kill else [])],
        load_from=resume and str(resume),
        resume=resume is not None,
        randomness=dict(seed=11),
        log_level='ERROR',
        experiment_name=f'run{len(list(Path(folder).glob("*")))}',
    )
    Noise.asked = 0
    runner.train()
    return Noise.asked


def lines(file):
    """What was seen, iteration by iteration."""
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


RATIOS = dict(
    sampler=dict(type='DatasetRatioSampler', ratios=dict(a=1, b=1), length=60),
    batch_sampler=dict(type='DatasetRatioBatchSampler'),
)

#: What is evaluated by two ranks: 7 + 2 + 6 samples, so that one is repeated.
EVALUATED = dict(a=dict(length=7), b=dict(length=2, classes=3, views=3), c=dict(length=6, classes=5, several=True))


def evaluate():
    """The numbers of a validation pass over :data:`EVALUATED`."""
    dataset = several(**EVALUATED)
    loader = Runner.build_dataloader(
        dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_sampler=dict(type='OneDatasetBatchSampler'),
            dataset=dataset,
        ),
        seed=0,
    )
    evaluator, model = Evaluator(MultiDatasetMetric()), Witness()
    for batch in loader:
        evaluator.process(data_samples=model(**batch, mode='predict'), data_batch=batch)
    return evaluator.evaluate(len(dataset))


def worker(rank, port, folder):
    """One of two ranks: numbers, a whole run, one that is killed, and the run that goes on."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    folder = Path(folder)
    numbers = evaluate()
    if rank == 0:
        (folder / 'numbers.json').write_text(json.dumps(numbers))
    train(folder / 'whole', folder / f'whole{rank}', **RATIOS)
    with suppress(Killed):
        train(folder / 'cut', folder / f'cut{rank}', kill=KillHook(11), **RATIOS)
    torch.distributed.barrier()
    train(folder / 'cut', folder / f'on{rank}', resume=folder / 'cut' / 'iter_9.pth', **RATIOS)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
