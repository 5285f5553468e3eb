"""Two real gloo processes through ``dist_train.sh`` and ``dist_test.sh``; the Slurm scripts against a stand-in srun."""

import os
import pickle
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from scripts import load_script
from tiny_runs import run_config, save_checkpoint, write_dataset

TOOLS = Path(__file__).parents[2] / 'tools'
test = load_script('tools/test.py')


def shell(script, *args, **env):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    given = {**os.environ, 'PATH': path, 'PORT': port, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '', **env}
    command = ['bash', str(TOOLS / script), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, env=given, timeout=300)


def errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith('error: ')]


def test_train_and_test_in_two_processes(tmp_path, in_process, capfd):
    ann_file = write_dataset(tmp_path / 'videos', good=9, corrupt=['empty'])
    clean = write_dataset(tmp_path / 'clean', good=7)  # an odd number: one rank gets a duplicate to pad
    cfg = Config(run_config(ann_file, tmp_path / 'run', test_ann_file=clean, workers=1))
    cfg.dump(tmp_path / 'tiny.py')

    done = shell('dist_train.sh', tmp_path / 'tiny.py', 2, '--amp')
    assert done.returncode == 0, done.stderr
    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    assert '1 of 10 training videos (10.0%) could not be decoded in epoch 1' in done.stdout
    assert 'on CPU in 2 processes.' in done.stdout
    assert done.stdout.count('epoch 1 of 1  loss: ') == done.stdout.count('Next:') == 1  # the first process speaks
    assert 'System environment' not in done.stdout
    assert (tmp_path / 'run' / 'confusion.png').is_file()  # of the videos of both
    iterations = torch.load(checkpoint, weights_only=True)['meta']['iter']
    assert iterations == 3  # 10 videos / (2 ranks x 2 a batch), rounded up

    arguments = (tmp_path / 'tiny.py', checkpoint)
    done = shell('dist_test.sh', *arguments, 2, '--dump', tmp_path / 'scores2.pkl')
    assert done.returncode == 0, done.stderr
    assert in_process(test, *arguments, '--dump', tmp_path / 'scores1.pkl') == 0
    accuracy = [re.findall(r'acc/top1: ([\d.]+)', text)[-1] for text in (done.stdout, ''.join(capfd.readouterr()))]
    scores = {}
    for ranks in (1, 2):
        samples = pickle.loads((tmp_path / f'scores{ranks}.pkl').read_bytes())
        scores[ranks] = np.stack([sample['pred_score'].numpy() for sample in samples])
    assert scores[1].shape == (7, 2)
    assert np.ptp(scores[1][:, 0]) > 1e-4  # videos in another order would be noticed
    np.testing.assert_allclose(scores[1], scores[2], atol=1e-6)
    assert accuracy[0] == accuracy[1]


def test_an_error_on_all_ranks_is_printed_once(tmp_path):
    ann_file = write_dataset(tmp_path / 'videos', good=2)
    Config(run_config(ann_file, tmp_path / 'run')).dump(tmp_path / 'tiny.py')
    ann_file.unlink()
    done = shell('dist_train.sh', tmp_path / 'tiny.py', 2)
    assert done.returncode != 0
    (line,) = errors(done)
    assert 'list.txt of train_dataloader does not exist' in line


def test_corrupt_videos_of_all_ranks_are_listed(tmp_path):
    ann_file = write_dataset(tmp_path / 'videos', good=4, corrupt=['empty', 'text', 'truncated', 'no_frames'])
    Config(run_config(ann_file, tmp_path / 'run', workers=1)).dump(tmp_path / 'tiny.py')
    save_checkpoint(tmp_path / 'tiny.py', tmp_path / 'a.pth')
    done = shell('dist_test.sh', tmp_path / 'tiny.py', tmp_path / 'a.pth', 2)
    assert done.returncode != 0
    (line,) = errors(done)
    assert '4 of 8 test videos could not be decoded' in line
    (file,) = (tmp_path / 'run').rglob('corrupt_videos_test.txt')
    assert len(file.read_text().splitlines()) == 4
    assert 'acc/top1' not in done.stdout


@pytest.mark.parametrize(
    ('script', 'given'),
    [('dist_train.sh', []), ('dist_test.sh', ['a.py', 'a.pth']), ('slurm_test.sh', ['p', 'job', 'a.py'])],
)
def test_missing_arguments_show_the_usage(script, given):
    done = shell(script, *given)
    assert done.returncode != 0
    assert f'usage: {script}' in done.stderr


def test_a_number_of_processes_that_is_none():
    done = shell('dist_test.sh', 'a.py', '8', 'a.pth')
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr == "error: GPUS is a number of processes, not 'a.pth'.\n"


@pytest.mark.parametrize(('script', 'tool'), [('slurm_train.sh', 'train.py'), ('slurm_test.sh', 'test.py')])
def test_slurm(tmp_path, script, tool):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\necho "port=$MASTER_PORT"\n')
    srun.chmod(0o755)
    files = ['my config.py'] if tool == 'train.py' else ['my config.py', 'a.pth']
    done = shell(
        script,
        *('part', 'job', *files, '--cfg-options', 'a=[1, 2]'),
        PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}',
        GPUS='4',
        CPUS_PER_TASK='3',
        SRUN_ARGS='--quotatype=auto --mem=0',
        MASTER_PORT='12345',
    )
    words = done.stdout.splitlines()
    assert words[:2] == ['-p', 'part']
    assert {'--job-name=job', '--gres=gpu:4', '--ntasks=4', '--ntasks-per-node=4', '--cpus-per-task=3'} <= set(words)
    assert {'--kill-on-bad-exit=1', '--quotatype=auto', '--mem=0', 'port=12345'} <= set(words)
    start = words.index('python')
    assert words[start + 1] == '-u'
    assert words[start + 2].endswith(f'/tools/{tool}')
    assert words[start + 3 : -1] == [*files, '--launcher', 'slurm', '--cfg-options', 'a=[1, 2]']
