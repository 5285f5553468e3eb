"""What is measured of a trained recognizer, and the rows that are made of several."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.claims import Measure, Results
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn

from pages.multi_dataset.configs import datasets_of
from pages.multi_dataset.vocabularies import CLIPS, TOYS, are_synonyms, known_and_new, names_of, share_of_synonyms
from pages.recognizers import saved, with_unseen_classes
from textxfer_mm.analysis.cross_dataset_pairs import cross_dataset_pairs, read_projections
from textxfer_mm.apis import score_videos
from textxfer_mm.engine.classes import classifier_of, head_of

#: How many pairs of each projection are looked at, as in the paper.
PAIRS = 5


def _top1(name: str) -> Any:
    """The accuracy on a dataset, in per cent."""
    return lambda result: None if name not in result['top1'] else 100 * result['top1'][name]


def _mean(result: Mapping[str, Any]) -> float | None:
    """The mean over the toy datasets, where all were tested."""
    found = result['top1']
    return 100 * float(np.mean([found[name] for name in TOYS])) if set(TOYS) <= set(found) else None


def _zero_shot(name: str) -> Any:
    """The accuracy on the dataset left out, in per cent."""
    return lambda result: 100 * result['zero_shot'][name] if name in result.get('zero_shot', {}) else None


def _right_pairs(result: Mapping[str, Any]) -> float | None:
    """The share of synonyms among the pairs of the toy datasets, in per cent."""
    if 'right_pairs' in result:
        return 100 * result['right_pairs']
    toys = [one['pairs'] for one in result.get('pairs', ()) if CLIPS not in (one['source'], one['target'])]
    pairs = [pair for found in toys for pair in found]
    return 100 * float(np.mean([are_synonyms(*names_in(pair)) for pair in pairs])) if pairs else None


def names_in(pair: Mapping[str, Any]) -> tuple[str, str]:
    """The two class names of a pair."""
    return pair['source_class'], pair['target_class']


def _chance(dataset: str) -> float:
    return 100 / len(names_of(dataset))


MEASURES = dict(
    mean=Measure('mean of the three', _mean, ' points', chance=float(np.mean([_chance(name) for name in TOYS]))),
    **{name: Measure(name, _top1(name), ' points', chance=_chance(name)) for name in TOYS},
    clips=Measure('real clips', _top1(CLIPS), ' points'),
    zero_shot=Measure('all classes', _zero_shot('all'), ' points', chance=_chance(TOYS[-1])),
    known=Measure('motions trained under other names', _zero_shot('known'), ' points', chance=_chance(TOYS[-1])),
    new=Measure('motions of no other dataset', _zero_shot('new'), ' points', chance=_chance(TOYS[-1])),
    pairs=Measure('synonyms among the largest weights', _right_pairs, ' points'),
)


def measure(model: nn.Module, cfg: Config) -> dict[str, Any]:
    """Top-1 (0 to 1) on each dataset; the largest weights of the projections; zero-shot on the dataset left out."""
    result: dict[str, Any] = dict(top1=accuracies(model, cfg))
    if head_of(cfg).get('projection_weight') and len(datasets_of(cfg)) > 1:
        found = cross_dataset_pairs(
            read_projections(saved(model, cfg)), {name: names_of(name) for name in datasets_of(cfg)}, PAIRS
        )
        result['pairs'] = [
            dict(source=source, target=target, pairs=[asdict(pair) for pair in pairs])
            for (source, target), pairs in found.items()
        ]
    if classifier_of(cfg) and TOYS[-1] not in datasets_of(cfg):
        result['zero_shot'] = _of_other_names(model, cfg)
    if CLIPS in datasets_of(cfg):
        result['clips'] = _digest(cfg)
    return result


@torch.no_grad()
def accuracies(model: nn.Module, cfg: Config) -> dict[str, float]:
    """Top-1 on the test videos of each dataset, by the classifier of its own, with the project's metric."""
    model.eval()
    loader = Runner.build_dataloader(cfg.val_dataloader, seed=0)
    evaluator = Evaluator(dict(type='MultiDatasetMetric', topk=1))
    for batch in loader:
        evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
    found = evaluator.evaluate(len(loader.dataset))
    return {name: found[f'{name}/top1'] for name in datasets_of(cfg)}


def _of_other_names(model: nn.Module, cfg: Config) -> dict[str, float]:
    """Top-1 on the dataset left out by its class names, which all compete."""
    scores = score_videos(with_unseen_classes(model, cfg), cfg.test_dataloader)
    known, new = known_and_new(datasets_of(cfg), TOYS[-1])
    return dict(all=scores.top(1), known=scores.top1_of(known), new=scores.top1_of(new))


def _digest(cfg: Config) -> str:
    """Hash of the clips that a run saw."""
    found = hashlib.sha256()
    for split in ('train', 'val'):
        (clips,) = (one for one in cfg[f'{split}_dataloader'].dataset.datasets if one.name == CLIPS)
        found.update(Path(clips.dataset.ann_file).with_suffix('.npy').read_bytes())
    return found.hexdigest()[:16]


def derived(results: Results) -> Results:
    """The three models of one dataset each as one row, and what guessing finds."""
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    for row in ('single', 'long', 'text'):
        rows[f'{row}-each'] = {
            seed: dict(top1={name: score for run in runs for name, score in run['top1'].items()})
            for seed, runs in _together(results, [f'{row}-{name}' for name in TOYS])
        }
    rows['zero-one'] = {
        seed: dict(top1={}, zero_shot=dict(all=float(np.mean([run['zero_shot']['all'] for run in runs]))))
        for seed, runs in _together(results, [f'text-{name}' for name in TOYS[:-1]])
    }
    chance = float(np.mean([share_of_synonyms(a, d) for a in TOYS for d in TOYS if a != d]))
    seeds = {seed for row in ('joint-projection', 'joint-both') for seed in results.get(row, {})}
    rows['guessing'] = {seed: dict(top1={}, right_pairs=chance) for seed in sorted(seeds)}
    return {row: found for row, found in rows.items() if found}


def _together(results: Results, rows: list[str]) -> Iterator[tuple[int, list[Mapping[str, Any]]]]:
    """The results of several rows by the seeds that all of them have."""
    parts = [results.get(row, {}) for row in rows]
    for seed in sorted(set.intersection(*map(set, parts))):
        yield seed, [part[seed] for part in parts]
