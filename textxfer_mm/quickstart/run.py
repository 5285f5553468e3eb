"""All steps of the quick start."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils.dl_utils import set_multi_processing
from torch import nn

from textxfer_mm.apis import load_recognizer, predict_videos
from textxfer_mm.apis.encoding import Progress
from textxfer_mm.apis.feature_cache import config_on_frozen_stages, write_features
from textxfer_mm.apis.model_configs import load_config
from textxfer_mm.apis.scoring import score_videos
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.datasets.toy_actions import SEEN_ACTIONS, UNSEEN_ACTIONS, render_toy_actions
from textxfer_mm.engine.classes import rows_of, source_of
from textxfer_mm.engine.quiet_training import History, logging_to, train
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.scores import Scores, join
from textxfer_mm.memory import keep_freed_memory
from textxfer_mm.quickstart.report import PLOTS, VIEWS, environment, measured, write_report
from textxfer_mm.registry import MODELS
from textxfer_mm.visualization import plot_class_correlation, plot_confusion_matrix, plot_training_curves

CONFIG = 'quickstart/quickstart_efficientnet-lite0-t1d_conse_minilm_toy-actions.py'
ALL_ACTIONS = (*SEEN_ACTIONS, *UNSEEN_ACTIONS)
#: Augmented copies of each training video that the frozen stages see; training draws one of them in every epoch.
COPIES = 3

#: The steps in their order, with what they do.
STEPS = {
    'render': 'rendering the videos',
    'zero_shot_before': 'zero-shot on the unseen classes, before training',
    'frozen': 'running the frozen stages on the training videos',
    'train': 'training',
    'test_single_view': 'testing with 1 view',
    'test_views_4x3': 'testing with 4 x 3 views',
    'predict': 'predicting one video',
    'plot': 'plotting',
}


@dataclass(frozen=True)
class QuickstartSettings:
    """What may be chosen.

    Attributes:
        work_dir: Folder for videos, checkpoint, logs, plots and report.
        seed: Seed of the videos and of the training.
        train_clips: Training clips a seen class.
        val_clips: Validation clips a seen class.
        zero_shot_clips: Clips of each unseen class.
        cfg_options: Changes of the config, with dotted keys.
    """

    work_dir: Path = Path('work_dirs/quickstart')
    seed: int = 0
    train_clips: int = 50
    val_clips: int = 10
    zero_shot_clips: int = 20
    cfg_options: dict[str, Any] = field(default_factory=dict)


class _Step:
    """One running step: where it tells its progress and its result."""

    def __init__(self, key: str, progress: Callable[[str, int, int], None]) -> None:
        self.note = ''
        self.progress: Progress = lambda done, total: progress(key, done, total)


class _Steps:
    """Times the steps: ``with steps('train') as step: ...``."""

    def __init__(self, progress: Callable[[str, int, int], None], finished: Callable[[str, float, str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._progress, self._finished = progress, finished

    def __call__(self, key: str) -> '_Steps':
        """Name the step that is about to begin."""
        self._key = key
        return self

    def __enter__(self) -> _Step:
        self._start = time.perf_counter()
        self._progress(self._key, 0, 1)
        self._step = _Step(self._key, self._progress)
        return self._step

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self.seconds[self._key] = time.perf_counter() - self._start
            self._finished(self._key, self.seconds[self._key], self._step.note)


def run_quickstart(
    settings: QuickstartSettings,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    finished: Callable[[str, float, str], None] | None = None,
) -> dict[str, Any]:
    """Render, evaluate zero-shot, train, test, predict, plot and report.

    Running it again replaces the report; videos that are there are kept, everything else is done anew.

    Args:
        settings: What may be chosen.
        progress: Called within a step with its key in :data:`STEPS`, what is done and what is to be done.
        finished: Called after a step with its key, its seconds and one phrase on its result.

    Returns:
        The report, as written to ``report.json``.

    Raises:
        UserError: The settings make no sense, or a package of the extra ``offline`` is missing.
    """
    work_dir = Path(settings.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    (work_dir / 'report.json').unlink(missing_ok=True)
    keep_freed_memory()
    steps = _Steps(progress or (lambda *_: None), finished or (lambda *_: None))
    with logging_to(work_dir / 'quickstart.log'):
        cfg = _config(settings)
        with steps('render') as step:
            data = render_toy_actions(
                work_dir / 'toy_actions',
                seed=settings.seed,
                train_clips=settings.train_clips,
                val_clips=settings.val_clips,
                zero_shot_clips=settings.zero_shot_clips,
                progress=step.progress,
            )
            step.note = f'{sum(1 for _ in data.rglob("[!.]*.mp4"))} videos in {data}'
        with steps('zero_shot_before') as step:
            before = _zero_shot_before(cfg, step.progress)
            step.note = f'top-1 {100 * before:.1f} %, chance {100 / len(UNSEEN_ACTIONS):.0f} %'
        with steps('frozen') as step:
            behind = _behind_frozen_stages(cfg, work_dir / 'frozen', settings.seed, step.progress)
            step.note = f'{COPIES} copies of each, with another crop and other frames'
        with steps('train') as step:
            model, checkpoint, history = train(behind, step.progress, recorded=cfg)
            shutil.rmtree(work_dir / 'frozen')
            step.note = f'{len(history.losses)} iterations, {checkpoint}'
        results = {}
        classifier = _classifier(cfg)
        rows_of(model).replace(classifier)
        for view in VIEWS:
            with steps(f'test_{view}') as step:
                results[view] = _test(model, cfg, view, step.progress)
                step.note = _summary(results[view])
        with steps('predict') as step:
            prediction = _predict(cfg, checkpoint)
            step.note = f'"{prediction["top"][0][0]}" for a video of "{prediction["truth"]}", which was not trained on'
        with steps('plot') as step:
            _plot(work_dir, history, classifier, results['views_4x3'])
            step.note = ', '.join(PLOTS)
        report = measured(before, results)
        report.update(
            seed=settings.seed, config=CONFIG, checkpoint=str(checkpoint), prediction=prediction, plots=list(PLOTS)
        )
        report.update(environment())
        report['training'] = dict(steps=len(history.seconds), seconds_per_step=float(np.mean(history.seconds)))
        report['seconds'] = {**steps.seconds, 'total': sum(steps.seconds.values())}
        write_report(work_dir, report)
    return report


def _config(settings: QuickstartSettings) -> Config:
    """The config of the quick start, pointed at the work dir."""
    cfg = load_config(CONFIG)
    cfg.merge_from_dict(settings.cfg_options)
    if list(cfg.class_names) != list(SEEN_ACTIONS):
        raise UserError(f'The class names of {CONFIG} are not those of the toy actions.')
    data = Path(settings.work_dir) / 'toy_actions'
    for split, loader in (('train', cfg.train_dataloader), ('val', cfg.val_dataloader), ('val', cfg.test_dataloader)):
        loader.dataset.update(ann_file=str(data / f'{split}.txt'), data_prefix=dict(video=str(data)))
    cfg.work_dir = str(Path(settings.work_dir) / 'train')
    cfg.randomness = dict(seed=settings.seed)
    init_default_scope(cfg.default_scope)
    set_multi_processing(**cfg.env_cfg.mp_cfg)
    return cfg


def _classifier(cfg: Config, class_names: tuple[str, ...] = ALL_ACTIONS) -> ClassifierBundle:
    """Embed class names as the config does."""
    return source_of(cfg, list(class_names)).build()


def _loader(cfg: Config, view: str, split: str) -> dict[str, Any]:
    """Dataloader config of a list of videos."""
    loader = (cfg.val_dataloader if view == 'single_view' else cfg.test_dataloader).to_dict()
    loader['dataset']['ann_file'] = str(Path(loader['dataset']['ann_file']).with_name(f'{split}.txt'))
    return loader


def _zero_shot_before(cfg: Config, progress: Progress) -> float:
    """Top-1 on the unseen classes of the model as training finds it."""
    model = MODELS.build(cfg.model)
    model.init_weights()
    rows_of(model).replace(_classifier(cfg, tuple(UNSEEN_ACTIONS)))
    loader = _loader(cfg, 'single_view', 'zero_shot')
    return score_videos(model, loader, progress=progress).top(1)


def _behind_frozen_stages(cfg: Config, folder: Path, seed: int, progress: Progress) -> Config:
    """Keep what the frozen stages make of the training videos, once for all epochs; the config that trains on it."""
    shutil.rmtree(folder, ignore_errors=True)
    options = dict(splits=['train'], copies=COPIES, stage='frozen', seed=seed, device='cpu')
    write_features(cfg, folder, **options, progress=lambda split, done, total: progress(done, total))
    return config_on_frozen_stages(cfg, folder / 'train')


def _test(model: nn.Module, cfg: Config, view: str, progress: Progress) -> Scores:
    """Scores of seen and unseen videos against the names of all classes."""
    seen, unseen = (score_videos(model, _loader(cfg, view, split), progress=progress) for split in ('val', 'zero_shot'))
    return join(seen, unseen, len(SEEN_ACTIONS))


def _summary(scores: Scores) -> str:
    """One phrase on a test."""
    seen, unseen = scores.among(tuple(SEEN_ACTIONS)), scores.among(tuple(UNSEEN_ACTIONS))
    return f'top-1 {100 * seen.top(1):.1f} % on seen classes, {100 * unseen.top(1):.1f} % on unseen ones'


def _predict(cfg: Config, checkpoint: Path) -> dict[str, Any]:
    """Predict one video of an unseen class from the checkpoint, among the names of all classes."""
    videos = Path(cfg.val_dataloader.dataset.data_prefix.video)
    video = sorted((videos / 'videos' / 'zero_shot').glob('[!.]*.mp4'))[0]
    single = Config(dict(cfg.to_dict(), test_pipeline=cfg.val_pipeline))
    model = load_recognizer(single, checkpoint, class_names=ALL_ACTIONS, device='cpu')
    prediction = next(predict_videos(model, [video]))
    truth = next(name for name in UNSEEN_ACTIONS if video.name.startswith(name.replace(' ', '_')))
    return dict(
        video=f'{video.parent.name}/{video.name}',
        truth=truth,
        top=[[name, round(score, 4)] for name, score in prediction.top(5)],
    )


def _plot(work_dir: Path, history: History, classifier: ClassifierBundle, scores: Scores) -> None:
    """Write the plots."""
    curves, correlation, confusion = (work_dir / name for name in PLOTS)
    plot_training_curves(
        curves,
        iterations=np.arange(1, len(history.losses) + 1).tolist(),
        losses=history.losses,
        accuracies=history.accuracies,
        val_iterations=history.val_iterations,
        val_accuracies=history.val_accuracies,
    )
    plot_class_correlation(correlation, classifier.weight.numpy(), classifier.class_names)
    seen = scores.among(tuple(SEEN_ACTIONS))
    plot_confusion_matrix(confusion, seen.confusion(), seen.class_names)
