"""The kinds of trials; each returns how often it was tried and what did not hold."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from textxfer_mm.errors import UserError
from trials.faults import STAGES
from trials.training import Ended, Training, epoch_seconds, equal, fill_disk


@dataclass
class Setup:
    """What the trials share.

    Attributes:
        config: The config.
        folder: Where everything goes.
        options: Further ``--cfg-options``.
        kills: How often a run is killed.
        rng: Where the draws come from.
        reference: The run that nothing happened to.
        say: Told one line an event.
    """

    config: Path
    folder: Path
    options: list[str]
    kills: int
    rng: random.Random
    reference: Training
    say: Callable[[str], None]

    def training(self, name: str, *options: str) -> Training:
        """A run in a folder of its own."""
        return Training(self.config, self.folder / name, [*self.options, *options])


def finish(training: Training) -> Ended:
    """Go on with a run to its end."""
    return training.end(training.start('--resume'))


def kills(setup: Setup) -> tuple[int, list[str]]:
    """SIGKILL and SIGTERM at random moments and SIGKILL while saving, in turns, each followed by a resume."""
    problems, done, chain = [], 0, 0
    while done < setup.kills:
        chain += 1
        training = setup.training(f'killed_{chain}')
        while done < setup.kills:
            kind = ('kill', 'save', 'term')[done % 3]
            ended = _killed(setup, training, kind)
            if ended is None:
                break  # the run came to its end first
            done += 1
            setup.say(f'  kill {done} of {setup.kills} ({kind}), status {ended.status}')
            problems += _problems_of(kind, ended)
        ended = finish(training)
        difference = equal(setup.reference, training) if ended.status == 0 else f'status {ended.status}: {ended.errors}'
        problems += [f'run {chain}: {difference}'] if difference else []
    return done, problems


def _killed(setup: Setup, training: Training, kind: str) -> Ended | None:
    """Kill a run once; None if it ended of itself."""
    fault = [setup.rng.choice(STAGES), str(setup.rng.randint(1, 2))] if kind == 'save' else []
    process = training.start('--resume', *(['--checkpoint-on-sigterm'] if kind == 'term' else []), fault=fault)
    if kind != 'save' and training.wait_until_it_trains(process):
        time.sleep(setup.rng.uniform(0, 2.5 * epoch_seconds(setup.reference.log)))
        process.send_signal(signal.SIGKILL if kind == 'kill' else signal.SIGTERM)
    ended = training.end(process)
    return None if ended.status == 0 else ended


def _problems_of(kind: str, ended: Ended) -> list[str]:
    """What was wrong about the end of a killed run."""
    wanted = 128 + signal.SIGTERM if kind == 'term' else -signal.SIGKILL
    problems = [] if ended.status == wanted else [f'{kind}: status {ended.status}']
    problems += [] if ended.is_alone else [f'{kind}: processes were left']
    return problems + [f'{kind}: {name} was left' for name in (ended.left if kind == 'term' else ())]


def full_disk(setup: Setup) -> tuple[int, list[str]]:
    """The disk is full from some moment on: one line, the last good checkpoint stands, and it goes on from there."""
    training, problems = setup.training('full'), []
    process = training.start()
    while not training.checkpoints() and process.poll() is None:
        time.sleep(0.01)
    if not training.checkpoints():
        return 1, [f'it ended before there was a checkpoint: {training.end(process).errors}']
    fill_disk(process, training.checkpoints()[0].stat().st_size // 2)
    ended = training.end(process)
    setup.say(f'  {ended.errors[0] if ended.errors else "no message"}')
    problems += _one_line(ended, '.pth could not be written')
    problems += [f'{name} was left' for name in ended.left]
    problems += [] if finish(training).status == 0 else ['it did not go on']
    difference = equal(setup.reference, training)
    return 1, problems + ([difference] if difference else [])


def read_only(setup: Setup) -> tuple[int, list[str]]:
    """A work dir that cannot be written to ends in one line before training; read-only videos are trained on."""
    locked = setup.folder / 'locked'
    locked.mkdir(exist_ok=True)
    training = setup.training('read_only')
    training.work_dir = locked / 'run'
    ended = training.end(training.start(locked=locked))
    setup.say(f'  {ended.errors[0] if ended.errors else training.log.read_text()[-300:]}')
    problems = _one_line(ended, 'is no folder that can be written to')
    folders = {Path(path) for path in _data_folders(setup)}
    for number, folder in enumerate(folders):
        training = setup.training(f'read_only_data_{number}')
        ended = training.end(training.start(locked=folder))
        problems += [] if ended.status == 0 else [f'{folder} read-only: status {ended.status} {ended.errors}']
    return 1 + len(folders), problems


def _data_folders(setup: Setup) -> list[str]:
    """The folders of the videos that are trained on."""
    options = dict(word.split('=', 1) for word in setup.options)
    prefix = Config.fromfile(setup.config).train_dataloader.dataset.get('data_prefix') or {}
    folder = options.get('train_dataloader.dataset.data_prefix.video', prefix.get('video') or prefix.get('img'))
    return [folder] if folder else []


def corrupt(setup: Setup) -> tuple[int, list[str]]:
    """A tenth of the training videos is broken: they are named and the run goes on; half of them: one line."""
    problems = []
    for share, wanted in ((0.1, 0), (0.5, 2)):
        options = corrupted(Config.fromfile(setup.config), setup, share)
        training = setup.training(f'corrupt_{share}', *options)
        ended = training.end(training.start())
        named = len(set(_lines(training.work_dir)))
        setup.say(f'  {share:.0%} broken: status {ended.status}, {named} named')
        if wanted == 0:
            problems += [] if ended.status == 0 and named else [f'{share:.0%}: status {ended.status}, {named} named']
        else:
            problems += _one_line(ended, 'training videos could not be decoded')
    return 2, problems


def corrupted(cfg: Config, setup: Setup, share: float) -> list[str]:
    """Make a copy of the training list in which a share of the videos is broken; the options that name it.

    Raises:
        UserError: The training data are no plain list of videos.
    """
    dataset, options = cfg.train_dataloader.dataset, dict(word.split('=', 1) for word in setup.options)
    list_file = options.get('train_dataloader.dataset.ann_file', dataset.get('ann_file'))
    root = Path(
        options.get('train_dataloader.dataset.data_prefix.video', (dataset.get('data_prefix') or {}).get('video', ''))
    )
    if dataset.type != 'VideoDataset':
        raise UserError(f'the corrupt share needs a VideoDataset, this config has {dataset.type}.')
    lines = Path(list_file).read_text().splitlines()
    broken = setup.rng.sample(range(len(lines)), max(1, round(share * len(lines))))
    folder = setup.folder / f'corrupt_{share}.data'
    folder.mkdir(exist_ok=True)
    for number, line in enumerate(lines):
        video, *label = line.split(' ')
        target = folder / f'{number}{Path(video).suffix}'
        if number in broken:
            data = (root / video).read_bytes()
            target.write_bytes((b'', b'no video\n' * 100, data[: len(data) // 3])[number % 3])
        elif not target.exists():
            target.symlink_to((root / video).resolve())
        lines[number] = ' '.join([target.name, *label])
    (folder / 'list.txt').write_text('\n'.join(lines) + '\n')
    prefix = 'train_dataloader.dataset'
    return [f'{prefix}.ann_file={folder / "list.txt"}', f'{prefix}.data_prefix.video={folder}']


def _lines(work_dir: Path) -> list[str]:
    """The videos that a run named as corrupt."""
    files = work_dir.rglob('corrupt_videos_train.txt')
    return [line.split(':')[0] for file in files for line in file.read_text().splitlines()]


def _one_line(ended: Ended, words: str) -> list[str]:
    """Whether it ended in one line with these words, and status 2; the problems."""
    is_so = ended.status == 2 and len(ended.errors) == 1 and words in ended.errors[0] and not ended.has_traceback
    return [] if is_so else [f'status {ended.status}, {"a traceback, " if ended.has_traceback else ""}{ended.errors}']


#: The rows of the table: what is tried, and what must hold.
TRIALS = {
    'kills': (kills, 'killed and resumed: the losses, weights and best checkpoint of the run that was never killed'),
    'full': (
        full_disk,
        'disk full while saving: one line, the last good checkpoint stands, resumes to the same losses',
    ),
    'read-only': (
        read_only,
        'work dir read-only: one line before training; folder of the videos read-only: trained as ever',
    ),
    'corrupt': (corrupt, 'broken videos: a tenth are named and passed over, half end the run in one line'),
}
