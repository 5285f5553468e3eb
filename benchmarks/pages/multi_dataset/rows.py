"""Every row: the datasets it trains on, and how."""

from harness.training import Setting
from mmengine.config import Config

from pages.edits import Edit, edits, untrained
from pages.multi_dataset.configs import datasets_of, keep_datasets
from pages.multi_dataset.vocabularies import CLIPS, TOYS, names_of, synonyms

WIDTH = 1280  # of the pooled features
#: MultiTrain's widths are for 768 features of a transformer and hundreds of classes.
HIDDEN, EXPANDER = 512, 1024
#: How often the clips are repeated for as many steps as with the toy datasets: 3 x 80 + 48 videos against 48.
CLIPS_LONG = 6
#: The rows that need the real clips.
WITH_CLIPS = ('clips-single', 'clips-long', 'joint-clips', 'text-clips')


def heads(*datasets: str, projection: float = 0.0, informative: float = 0.0) -> Edit:
    """A classifier of each dataset's own on one backbone, with MultiTrain's losses or without."""

    def edit(cfg: Config) -> None:
        keep_datasets(cfg, datasets)
        cfg.model.cls_head = dict(
            type='MultiDatasetHead',
            in_channels=WIDTH,
            datasets={name: dict(class_names=names_of(name)) for name in datasets},
            hidden_channels=HIDDEN,
            drop_logits=False,
            projection_weight=projection,
            informative_weight=informative,
            expander_channels=EXPANDER,
            topk=1,
        )
        cfg.optim_wrapper.optimizer.lr = cfg.rates.joint if len(datasets) > 1 else cfg.rates.single

    return edit


def texts(*datasets: str, compared: str = 'own') -> Edit:
    """The frozen embeddings of the class names of all datasets, in one space."""

    def edit(cfg: Config) -> None:
        keep_datasets(cfg, datasets)
        head = cfg.model.cls_head
        head.classifier.pop('class_names')
        head.update(
            type='MultiDatasetTextHead',
            datasets={name: dict(class_names=names_of(name)) for name in datasets},
            compared=compared,
            informative_weight=0.0,
        )
        if compared == 'union':
            head.synonyms = synonyms(datasets)
        cfg.optim_wrapper.optimizer.lr = cfg.rates.text

    return edit


def repeated(times: int) -> Edit:
    """So many passes over the only dataset in what is called an epoch."""

    def edit(cfg: Config) -> None:
        (name,) = datasets_of(cfg)
        cfg.train_dataloader.dataset.replicas = {name: times}

    return edit


def _settings() -> list[Setting]:
    both = dict(projection=1.0, informative=0.1)
    return [
        *(Setting(f'single-{name}', heads(name)) for name in TOYS),
        *(Setting(f'long-{name}', edits(heads(name), repeated(len(TOYS)))) for name in TOYS),
        Setting('joint', heads(*TOYS)),
        Setting('joint-projection', heads(*TOYS, projection=both['projection'])),
        Setting('joint-informative', heads(*TOYS, informative=both['informative'])),
        Setting('joint-both', heads(*TOYS, **both)),
        *(Setting(f'text-{name}', texts(name)) for name in TOYS),
        Setting('text-own', texts(*TOYS)),
        Setting('text-union', texts(*TOYS, compared='union')),
        Setting('zero-untrained', edits(texts(*TOYS[:-1]), untrained)),
        Setting('zero-own', texts(*TOYS[:-1])),
        Setting('zero-union', texts(*TOYS[:-1], compared='union')),
        Setting('clips-single', heads(CLIPS)),
        Setting('clips-long', edits(heads(CLIPS), repeated(CLIPS_LONG))),
        Setting('joint-clips', heads(*TOYS, CLIPS, **both)),
        Setting('text-clips', texts(*TOYS, CLIPS, compared='union')),
    ]


SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _settings()}
