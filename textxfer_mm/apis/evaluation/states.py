"""The model that is evaluated, trained and as training finds it: it encodes videos and classifies what was encoded."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from textxfer_mm.apis.starting_model import starting_model
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of
from textxfer_mm.engine.classes import classifier_of, head_of, labels_of, rows_of, set_class_names
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.engine.frameworks import (
    HEADS,
    average_of,
    enter_scope,
    features_of,
    has_several_labels,
    head_module,
    head_name,
)
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.digests import digest, digest_of_weights
from textxfer_mm.evaluation.feature_bank import FeatureBank
from textxfer_mm.evaluation.view_logits import ViewLogits
from textxfer_mm.models.heads import MultiDatasetHead
from textxfer_mm.registry import MODELS
from textxfer_mm.text.glosses.table import Glosses

TRAINED, UNTRAINED = 'trained', 'untrained'
#: Parts of a head that change no feature.
_BEHIND_FEATURES = ('class_rows', 'cosine', 'training_only')


@dataclass(eq=False)
class ModelState:
    """A model with the weights of a checkpoint, or with those that training starts from.

    Attributes:
        name: ``'trained'`` or ``'untrained'``.
        cfg: A whole config.
        checkpoint: The checkpoint, for ``'trained'``.
        device: Where it runs.
        note: What is not as the config says.
    """

    name: str
    cfg: Config
    checkpoint: str | Path | None
    device: torch.device
    note: str = ''
    _heads: dict[tuple[tuple[str, ...], Glosses | None], nn.Module] = field(default_factory=dict)

    def __post_init__(self):
        self.model = self._build(None)
        self.weights = digest_of_model(self.model)

    @property
    def head(self) -> nn.Module:
        """The head with the model's own classes."""
        return head_module(self.model)

    def encode(self, batch: Sequence[Any]) -> Tensor:
        """All views of N videos: what the head compares with its rows (N, V, D), or its logits where it has none."""
        feats, passed = features_of(self.model, batch, test_mode=True)
        if _has_rows(self.head):
            return self.head.embed_views(feats, len(batch), **passed).float()
        logits = self.head(feats, **passed)
        return logits.float().unflatten(0, (len(batch), -1))

    def view_logits(
        self, bank: FeatureBank, names: tuple[str, ...] | None, batch_size: int, glosses: Glosses | None = None
    ) -> ViewLogits:
        """Classify a bank as testing does.

        Args:
            bank: Features that :meth:`encode` made.
            names: Names that compete instead of the model's own.
            batch_size: Videos at a time; that of testing gives its numbers to the last digit.
            glosses: The glosses of these names, or None.
        """
        head = self._head(names, glosses)
        average, is_ours = average_of(head), _has_rows(head)
        parts = []
        with torch.no_grad():
            for views in bank.features.split(batch_size):
                parts.append((head.view_logits(views.to(self.device)) if is_ours else views).float().cpu())
        values = torch.cat(parts)
        labels = labels_of(head, values.shape[-1])
        several = (is_ours or isinstance(head, MultiDatasetHead)) and has_several_labels(head)
        return ViewLogits(values, bank.labels.long(), labels, average, several)

    def require_one_classifier(self) -> None:
        """Check that the model's own classes are those of one dataset.

        Raises:
            UserError: It has several datasets, and it is not said which of them is evaluated.
        """
        if not getattr(self.head, 'has_one_classifier', True):
            names = ' or '.join(f"'{name}'" for name in self.head.datasets)
            raise UserError(
                f'The model knows the classes of several datasets: say which of them the list is of, '
                f'predict_as={names} of its head.'
            )

    def pipeline_of(self, cfg: Config) -> str:
        """Digest of how the videos of a test dataloader become what the head takes, but for the weights."""
        model, head = cfg.model, head_of(cfg)
        parts = [part.get('pipeline') for part in innermost_datasets(cfg.test_dataloader.dataset)]
        pooling = {key: head.get(key) for key in ('type', 'feature', 'num_segments')}
        stages = [type(part).__name__ for part in (self.model, self.model.backbone, getattr(self.model, 'neck', None))]
        settings = [_without_weights(model.get(name)) for name in ('backbone', 'neck')]
        return digest([parts[0], model.get('data_preprocessor'), model.get('test_cfg'), pooling, stages, settings])

    def about_classifier(self) -> dict[str, Any]:
        """Where the class rows come from, and with which scale they are compared."""
        rows = next((module for module in self.head.modules() if isinstance(module, ClassRows)), None)
        if rows is None:
            return dict(classifier='a learned layer')
        rows.fill()
        with torch.no_grad():
            scale = float(self.head.cosine.scale(training=False))
        about = dict(
            classifier=type(rows.source).__name__,
            templates=list(rows.templates),
            encoder=rows.encoder_id,
            scale=round(scale, 4),
        )
        return {**about, **about_glosses(rows.glosses)}

    def glosses(self, names: tuple[str, ...] | None = None, given: Glosses | None = None) -> Glosses:
        """The glosses of the rows for some names, as :meth:`view_logits` takes them; ``()`` where there are none."""
        return getattr(rows_of(self._head(names, given)), 'glosses', ())

    def _head(self, names: tuple[str, ...] | None, glosses: Glosses | None = None) -> nn.Module:
        """The head for some names; it is built, and a checkpoint loaded into it, once."""
        if names is None:
            return self.head
        key = names, glosses
        if key not in self._heads:
            self._heads[key] = head_module(self._build(names, glosses))
        return self._heads[key]

    def _build(self, names: tuple[str, ...] | None, glosses: Glosses | None = None) -> nn.Module:
        cfg = copy.deepcopy(self.cfg)
        if names is not None:
            set_class_names(cfg, names, glosses)
        enter_scope(cfg)
        if self.checkpoint is not None:
            model = MODELS.build(cfg.model)
            load_fully(model, state_of(load_checkpoint_file(self.checkpoint), self.checkpoint), self.checkpoint)
        else:
            model = self._starting(cfg)
        if head_module(model) is None:
            raise UserError(f'A model with a {" or ".join(HEADS)} is evaluated, and {type(model).__name__} has none.')
        if average_of(head_module(model)) is None:
            raise UserError(
                'The head keeps the scores of each view (average_clips=None): say how they become one, such as '
                '--average-clips prob.'
            )
        return model.to(self.device).eval()

    def _starting(self, cfg: Config) -> nn.Module:
        """The model that training starts from, without a neck that would still be random."""
        model, stage = starting_model(cfg)
        notes = []
        if model.with_neck and stage == 'backbone' and any(True for _ in model.neck.parameters()):
            notes.append(
                f'without its {type(model.neck).__name__}, which starts from random weights: frames are averaged'
            )
            del model.neck
        temporal = getattr(model.backbone, 'temporal', None) or {}
        if len(temporal):
            notes.append('with the temporal modules of its backbone as they start')
        for module in temporal.values():
            module.mixes_untrained = False  # the backbone need not warn of what the note says
        self.note = ', and '.join(notes)
        return model


def about_glosses(glosses: Glosses) -> dict[str, Any]:
    """What a result says of glosses: for how many classes, and which; nothing where there are none."""
    if not any(glosses):
        return {}
    return dict(glosses=dict(classes=sum(map(bool, glosses)), digest=digest(glosses)))


def _without_weights(part: Any) -> Any:
    """The config of a part but for where its weights come from."""
    if not isinstance(part, Mapping):
        return part
    return {key: value for key, value in part.items() if key not in ('pretrained', 'pretrained2d', 'init_cfg')}


def states_of(cfg: Config, checkpoint: str | Path | None, device: torch.device) -> tuple[list[ModelState], str]:
    """The trained model and the untrained one, where there are these, and why there is no untrained one.

    Raises:
        UserError: The checkpoint does not fit; or there is none, and no untrained model either.
    """
    made = [] if checkpoint is None else [ModelState(TRAINED, cfg, checkpoint, device)]
    reason = _why_not_untrained(cfg)
    if not reason:
        try:
            untrained = ModelState(UNTRAINED, cfg, None, device)
            untrained.about_classifier()  # the rows may need what is not at hand
            made.append(untrained)
        except UserError as error:
            if checkpoint is None:
                raise
            reason = str(error)
    if not made:
        raise UserError(f'There is nothing to evaluate without a checkpoint: {reason}.')
    return made, reason


def _why_not_untrained(cfg: Config) -> str:
    """Why the model before training would be no baseline but random numbers; '' where it is one."""
    head, source, backbone = head_of(cfg), classifier_of(cfg), cfg.model.backbone
    if not source:
        return f'the classifier of {head.get("type", "the model")} is learned, so before training it is random'
    if source.get('type') in ('OneHotClassifier', 'OrthogonalClassifier', 'RandomClassifier'):
        return f'the class rows are drawn ({source["type"]}), so before training the scores are chance'
    if head.get('type') == 'LearnablePromptHead' and not head.get('init_words'):
        return 'the prompts are learned, and start from random vectors'
    encoder = source.get('encoder') or {}
    if encoder.get('type') == 'CLIPTextEncoder' and not encoder.get('pretrained'):
        return 'the text encoder starts from random weights'
    pretrained = backbone.get('pretrained') or backbone.get('pretrained2d') or cfg.get('load_from')
    if not pretrained and (backbone.get('init_cfg') or {}).get('type') != 'Pretrained':
        return f'the backbone {backbone["type"]} starts from random weights'
    return ''


def _has_rows(head: nn.Module) -> bool:
    """Whether a head classifies what it embeds by class rows, so that other names may compete."""
    return hasattr(head, 'embed_views') and hasattr(head, 'view_logits')


def digest_of_model(model: nn.Module) -> str:
    """SHA-256 of all weights that features depend on."""
    behind = tuple(f'{head_name(model)}.{part}.' for part in _BEHIND_FEATURES) if _has_rows(head_module(model)) else ()
    weights = chain(model.named_parameters(), model.named_buffers())
    return digest_of_weights(pair for pair in weights if not pair[0].startswith(behind))
