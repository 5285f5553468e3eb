"""The classes of a config or a model: their names, text encoder and rows. Whoever wants to know asks here.

What a checkpoint file holds is read by :func:`textxfer_mm.classifiers.stored_rows.stored_rows`.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from torch import nn

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.dataset_rows import DatasetRows
from textxfer_mm.classifiers.sources import ClassifierSource, if_known
from textxfer_mm.engine.frameworks import head_name
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.models.heads import MultiDatasetHead
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.text.glosses.table import has_all
from textxfer_mm.text.templates import TEMPLATES, resolve_templates

logger = logging.getLogger(__name__)

#: What is given in the place of glosses to have none.
NO_GLOSSES = 'none'


def head_of(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the head: ``cls_head`` of a recognizer, ``head`` of MMPretrain's classifiers; empty without one."""
    model = cfg.get('model') or {}
    return model.get(head_name(model)) or {}


def classifier_of(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the classifier source of the head; empty where the rows are those of a learned layer."""
    return head_of(cfg).get('classifier') or {}


def source_of(cfg: Mapping[str, Any], class_names: Sequence[str] | None = None) -> ClassifierSource:
    """Build the classifier source of a config, for other class names if some are given.

    Raises:
        UserError: The head has none, or it is wrong.
    """
    classifier = classifier_of(cfg)
    if not classifier:
        raise UserError(
            f'The head {head_of(cfg).get("type", "(none)")} has no classifier source: its rows are learned.'
        )
    names = _names_of_datasets(cfg) if class_names is None else class_names
    return build_classifier_source(classifier if names is None else {**classifier, 'class_names': names})


def _names_of_datasets(cfg: Mapping[str, Any]) -> Any:
    """The class names that a head of several datasets predicts by, unless its classifier has some or there are none."""
    head, datasets = head_of(cfg), head_of(cfg).get('datasets') or {}
    if not datasets or classifier_of(cfg).get('class_names') is not None:
        return None
    chosen = next(iter(datasets)) if len(datasets) == 1 else head.get('predict_as')
    return (datasets.get(chosen) or {}).get('class_names')


def class_names_of(
    subject: Mapping[str, Any] | nn.Module, *, required: bool = False, dataset: str | None = None
) -> tuple[str, ...] | None:
    """The K class names of a config or a model, in the order of the labels; None where it knows none.

    Args:
        subject: A whole config, or a model.
        required: Whether names that the config asks for must be at hand; otherwise a checkpoint may know them.
        dataset: Which rows are meant, for a model that has those of several datasets.

    Raises:
        UserError: The names are wrong, or required and not at hand, or it is not clear which are meant.
    """
    if isinstance(subject, nn.Module):
        rows = rows_of(subject, dataset)
        if rows is None:
            return next((part.class_names for part in subject.modules() if isinstance(part, MultiDatasetHead)), None)
        return rows.class_names or None
    if not classifier_of(subject):
        return None
    several = head_of(subject).get('datasets') and classifier_of(subject).get('class_names') is None
    if several and _names_of_datasets(subject) is None:
        return None
    source = source_of(subject)
    return source.class_names if required else if_known(source, 'class_names')


def num_classes_of(cfg: Mapping[str, Any], *, required: bool = True) -> int | None:
    """The number of classes K of a config's head, or None where it does not say; see :func:`class_names_of`."""
    given = head_of(cfg).get('num_classes')
    if given is not None:
        if not isinstance(given, int):
            raise UserError(f'num_classes={given!r} of the head is no whole number.')
        return given
    names = class_names_of(cfg, required=required)
    return None if names is None else len(names)


def rows_of(model: nn.Module, dataset: str | None = None) -> ClassRows | None:
    """The class rows of a model; None where it classifies by a learned layer.

    Args:
        model: The model.
        dataset: Which rows are meant, where there are those of several datasets: their name in ``NamedModules``, or the
            last part of the path of their module.

    Raises:
        UserError: The model has several and none is named or chosen, or none of that name.
    """
    shared = next((module for module in model.modules() if isinstance(module, DatasetRows)), None)
    if shared is not None:
        return shared.of(dataset)
    found = {unquote(path.split('.')[-1]): rows for path, rows in model.named_modules() if isinstance(rows, ClassRows)}
    if dataset is not None:
        if dataset not in found:
            raise UserError(f'The model has no class rows of {dataset!r}.{nearest(dataset, found)}')
        return found[dataset]
    if len(found) > 1:
        raise UserError(
            f'The model has the class rows of several datasets: say which, dataset={" or ".join(map(repr, found))}.'
        )
    return next(iter(found.values()), None)


def labels_of(model: nn.Module, num_classes: int) -> tuple[str, ...]:
    """What to call the classes of a model: their names, or their indices where it knows none."""
    return class_names_of(model) or tuple(map(str, range(num_classes)))


def name_classes(dataset: Any) -> None:
    """Let ``metainfo['classes']`` of a dataset config be names, where it is a file or the name of a known list.

    MMEngine reads a file a name a line, whatever its kind, and takes any other text as it is.

    Raises:
        UserError: It is neither.
    """
    metainfo = dataset.get('metainfo') or {}
    if isinstance(metainfo.get('classes'), str | Path):
        metainfo['classes'] = list(load_class_names(metainfo['classes']))


def set_class_names(cfg: Any, class_names: str | Path | Sequence[str], glosses: Any = None) -> None:
    """Let the head of a config classify other names, with the text encoder and templates it has.

    Args:
        cfg: A whole config.
        class_names: See ``load_class_names``.
        glosses: Glosses of these names, see :func:`set_glosses`. None keeps those of the config where they know all of
            these names; otherwise they are left out, with a line in the log, since names with and without glosses do
            not compete on equal terms.

    Raises:
        UserError: The head has no text classifier that other names could be given to.
    """
    names = list(load_class_names(class_names, distinct=glosses is None))
    classifier = _text_classifier(cfg, 'Other class names need')
    classifier.class_names = names
    head_of(cfg).pop('num_classes', None)
    if glosses is not None:
        set_glosses(cfg, glosses)
    elif classifier.get('glosses') is not None and not has_all(classifier.glosses, names):
        set_glosses(cfg, NO_GLOSSES)
        logger.warning(
            "The config's glosses are left out: they are of other classes than %s. Give glosses of these.",
            first_few(names),
        )


def set_glosses(cfg: Any, glosses: Any) -> None:
    """Let the head of a config put glosses behind its class names.

    Args:
        cfg: A whole config.
        glosses: See :func:`~textxfer_mm.text.glosses.table.find_glosses`; :data:`NO_GLOSSES` takes those away that the
            config has.

    Raises:
        UserError: The head has no text classifier.
    """
    classifier = _text_classifier(cfg, 'Glosses need')
    if glosses == NO_GLOSSES:
        classifier.pop('glosses', None)
        classifier.pop('require_glosses', None)
    else:
        classifier.glosses = str(glosses) if isinstance(glosses, Path) else glosses


def set_template(cfg: Any, template: str) -> None:
    """Let the head of a config put its class names into another template, or into those of a named set.

    Raises:
        UserError: The head has no text classifier, or it is neither a template nor a set.
    """
    classifier = _text_classifier(cfg, 'A template needs')
    classifier.templates = template if template in TEMPLATES else list(resolve_templates(template))


def choose_dataset(cfg: Any, dataset: str) -> None:
    """Let a model of several datasets predict by the classes of one.

    Args:
        cfg: The config, changed in place.
        dataset: The name of the dataset.

    Raises:
        UserError: The model has no such dataset, or none at all.
    """
    head = head_of(cfg)
    datasets = head.get('datasets')
    if not isinstance(datasets, Mapping):
        raise UserError(f'The model was not trained on several datasets, so {dataset!r} is none of them: leave it out.')
    if dataset not in datasets:
        raise UserError(f'The model knows no dataset {dataset!r}.{nearest(dataset, datasets)}')
    head['predict_as'] = dataset


def set_text_weights(cfg: Any, pretrained: str) -> None:
    """Let the class names of a config be embedded with other CLIP weights, such as those of a converted checkpoint.

    Raises:
        UserError: They are not embedded by CLIP.
    """
    encoder = classifier_of(cfg).get('encoder') or {}
    if encoder.get('type') != 'CLIPTextEncoder':
        raise UserError(
            f'Other weights {pretrained!r} need a config whose class names are embedded by a CLIPTextEncoder; this one '
            f'has {encoder.get("type", "no text encoder")}.'
        )
    encoder.pretrained = pretrained


def _text_classifier(cfg: Any, need: str) -> Any:
    """The config of the ``TextClassifier``, or an error that says what is there instead."""
    classifier = classifier_of(cfg)
    if classifier.get('type') != 'TextClassifier':
        raise UserError(
            f'{need} a head with a TextClassifier, this config has {head_of(cfg).get("type")} with '
            f'{classifier.get("type")}. Leave them out, or give a config with a TextClassifier.'
        )
    return classifier
