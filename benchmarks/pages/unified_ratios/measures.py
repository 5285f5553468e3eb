"""What is measured of a trained pair of towers, and the rows that are made of several."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from harness.claims import Measure, Results
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn import functional

from pages.unified_ratios.configs import LABELLED, UNSEEN
from pages.unified_ratios.rows import ENRICHED, MIXTURES, row_of
from pages.unified_ratios.words import names, texts
from textxfer_mm.apis import evaluate_retrieval
from textxfer_mm.apis.encoding import Videos, encode_videos
from textxfer_mm.apis.retrieval import embed_items, text_encoder
from textxfer_mm.apis.scoring import classes_of
from textxfer_mm.classifiers.ensembles import embed_prompts, ensemble
from textxfer_mm.datasets.scene_datasets import PAIRS
from textxfer_mm.engine.classes import head_of
from textxfer_mm.evaluation.scores import Scores
from textxfer_mm.text.glosses.table import find_glosses
from textxfer_mm.text.templates import resolve_templates

#: The first half of the classes of both kinds are pairs of a verb and an object that captions tell of.
HALVES = ('captioned', 'new')
#: Recall of captioned stills: which way, and among how many.
RECALLS = tuple(f'{way}_r{k}' for way in ('text_to_item', 'item_to_text') for k in (1, 5))


def measure(model: nn.Module, cfg: Config) -> dict[str, Any]:
    """Top-1 (0 to 1) on labelled and unseen classes by two kinds of texts, and recalls of captioned stills."""
    model.eval()
    result: dict[str, Any] = dict(texts=dict(cfg.texts))
    for kind in (LABELLED, UNSEEN):
        loader = dict(dataset=cfg.tests[kind], batch_size=64, num_workers=0)
        videos = Videos(loader['dataset'])
        made = encode_videos(videos, lambda batch: [embed_items(model, batch)], loader)
        (items,) = made.stacked()
        for role, way in cfg.texts.items():
            result[f'{kind}_{role}'] = _top1(items, classes_of(videos), kind, class_rows(model, cfg, way, kind))
    captions = dict(dataset=cfg.tests['captions'], batch_size=64, num_workers=0)
    recalls = evaluate_retrieval(model, captions, ks=(1, 5)).recalls
    result.update({name: recalls[name].value for name in RECALLS})
    return result


def class_rows(model: nn.Module, cfg: Config, way: str, kind: str) -> Tensor:
    """The rows (K, D) of classes, by the trained text tower."""
    named, glossed = texts(way, kind)
    glosses, templates = find_glosses(glossed, named), resolve_templates(head_of(cfg).classifier.templates)
    return ensemble(embed_prompts(text_encoder(model), templates, named, glosses), glosses)


def _top1(items: Tensor, labels: Sequence[int], kind: str, rows: Tensor) -> dict[str, float]:
    """Top-1 on all classes of a kind, and on the halves of them with all competing."""
    cosines = functional.normalize(items, dim=-1) @ functional.normalize(rows.to(items), dim=-1).T
    scores = Scores(cosines.numpy(), np.array(labels), tuple(names(kind)))
    half = len(scores.class_names) // 2
    parts = zip(HALVES, (scores.class_names[:half], scores.class_names[half:]), strict=True)
    return dict(all=scores.top(1), **{name: scores.top1_of(part) for name, part in parts})


def _accuracy(kind: str, part: str = 'all', role: str = 'own') -> Any:
    """An accuracy in per cent."""
    return lambda result: 100 * result[f'{kind}_{role}'][part]


def _recall(name: str) -> Any:
    """A recall in per cent."""
    return lambda result: 100 * result[name]


def score(result: Mapping[str, Any]) -> float:
    """What rates are chosen by: the mean of both accuracies and of recall at 1, of which both ways count half."""
    recall = (result['text_to_item_r1'] + result['item_to_text_r1']) / 2
    return 100 * float(np.mean([result[f'{LABELLED}_own']['all'], result[f'{UNSEEN}_own']['all'], recall]))


_CHANCE = {kind: 100 / len(PAIRS[kind]) for kind in (LABELLED, UNSEEN)}
MEASURES = dict(
    seen=Measure('60 labelled classes', _accuracy(LABELLED), ' points', chance=_CHANCE[LABELLED]),
    unseen=Measure('20 unseen classes', _accuracy(UNSEEN), ' points', chance=_CHANCE[UNSEEN]),
    ir1=Measure('IR@1', _recall('text_to_item_r1'), ' points'),
    ir5=Measure('IR@5', _recall('text_to_item_r5'), ' points'),
    tr1=Measure('TR@1', _recall('item_to_text_r1'), ' points'),
    tr5=Measure('TR@5', _recall('item_to_text_r5'), ' points'),
    seen_captioned=Measure(
        'labelled, captioned', _accuracy(LABELLED, 'captioned'), ' points', chance=_CHANCE[LABELLED]
    ),
    seen_new=Measure('labelled, never captioned', _accuracy(LABELLED, 'new'), ' points', chance=_CHANCE[LABELLED]),
    unseen_captioned=Measure('unseen, captioned', _accuracy(UNSEEN, 'captioned'), ' points', chance=_CHANCE[UNSEEN]),
    unseen_new=Measure('unseen, never captioned', _accuracy(UNSEEN, 'new'), ' points', chance=_CHANCE[UNSEEN]),
    other_seen=Measure(
        '60 labelled, other texts', _accuracy(LABELLED, role='other'), ' points', chance=_CHANCE[LABELLED]
    ),
    other_unseen=Measure('20 unseen, other texts', _accuracy(UNSEEN, role='other'), ' points', chance=_CHANCE[UNSEEN]),
    score=Measure('score', score, ' points'),
)


def derived(results: Results) -> Results:
    """The model of captions alone, which no class text trained, by definitions; and the means over the mixtures."""
    found = {
        row_of(100, 'glosses'): {seed: _exchanged(run) for seed, run in results.get(row_of(100, 'names'), {}).items()}
    }
    for way in ('names', ENRICHED):
        parts = [results.get(row_of(share, way), {}) for share in MIXTURES]
        seeds = sorted(set.intersection(*map(set, parts)))
        found[f'mixtures-{way}'] = {seed: _mean([part[seed] for part in parts]) for seed in seeds}
    return {row: runs for row, runs in found.items() if runs}


def _exchanged(run: Mapping[str, Any]) -> dict[str, Any]:
    """A result with the texts that were its own and the others in each other's place."""
    swapped = {f'{kind}_{role}': run[f'{kind}_{other}'] for kind in (LABELLED, UNSEEN) for role, other in _ROLES}
    return {**run, **swapped}


_ROLES = (('own', 'other'), ('other', 'own'))


def _mean(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of what several runs measured."""
    lists = [f'{kind}_{role}' for kind in (LABELLED, UNSEEN) for role, _ in _ROLES]
    means = {name: {part: _over(run[name][part] for run in runs) for part in runs[0][name]} for name in lists}
    return dict(means, **{name: _over(run[name] for run in runs) for name in RECALLS})


def _over(numbers: Any) -> float:
    return float(np.mean(list(numbers)))
