"""The page: its sentences, and what gives its numbers."""

from dataclasses import replace

from harness.claims import Results
from harness.page import Page
from harness.provenance import cost_in_words
from harness.report import seeds_in_words
from harness.statistics import PairedInterval, seeds_of
from harness.training import Experiment
from mmengine.registry import init_default_scope

from pages.unified_ratios.configs import BASE, CONTEXT, LABELLED, UNSEEN, Scale, adapt, locate, prepare
from pages.unified_ratios.measures import MEASURES, derived, measure
from pages.unified_ratios.rows import SETTINGS
from pages.unified_ratios.tables import FALSIFIERS, TABLES
from pages.unified_ratios.words import OBJECTS, VERBS, definitions, names, words_of
from textxfer_mm.datasets import scene_datasets
from textxfer_mm.datasets.scene_datasets import PAIRS
from textxfer_mm.registry import DATASETS


def introduction(results: Results, scale: Scale) -> list[str]:
    """What this page is, and what it is not."""
    seen, unseen = len(PAIRS[LABELLED]), len(PAIRS[UNSEEN])
    return [
        '# Captions and labels in any ratio, with a small dual tower',
        '',
        'This page is written by `benchmarks/unified_ratios.py` from the results of its runs: no sentence that judges '
        'a number was written by hand. It asks at small scale what [iCLIP](iclip.md) asks in its supplementary Table '
        '1: a dual tower is trained from scratch on images of which a share has captions and the others labels. The '
        'tower is that of [the tables with a small CLIP](small_clip.md), the images are rendered stills.',
        '',
        '**These are not the numbers of the paper, and no evidence on ImageNet or MSCOCO**, whose numbers stand in the '
        'column "paper" (zero-shot ImageNet-1K; recall at 1 by text, IR, and by image, TR): here are '
        f'{scale.stills:,} stills instead of 14 million, {_steps(scale)} steps instead of 32 passes, and batches of '
        f'{scale.batch} instead of 4,096, so that where a tenth of them has captions, {scale.batch / 10:g} are told '
        'apart on average.',
        '',
        '    python benchmarks/unified_ratios.py',
        '',
        'does all of it again, resumes where it was stopped, and writes this page; with `--report-only` it writes the '
        'page from the results that are there (`benchmarks/results/unified_ratios.jsonl`).',
        '',
        '## How to read it',
        '',
        f'Labelled stills are of {seen} classes, a verb and an object such as "{names(LABELLED)[0]}". Captions tell of '
        f'{len(PAIRS["captioned"])} such pairs, half of these {seen} among them, and of colours, places and people, in '
        'many ways and with parts unsaid. Ratios give the share of captions first, as the paper does. A run has '
        f'{scale.stills:,} different stills whatever its ratio, {scale.passes} passes over them, and the ratio in '
        'every batch.',
        '',
        f'Numbers are mean ± standard deviation over {seeds_in_words(results)}, in per cent: top-1 on '
        f'{seen * scale.test} stills of the {seen} labelled classes (chance {100 / seen:.1f}) and on '
        f'{unseen * scale.unseen} of {unseen} unseen ones, which have no labels and of which captions tell half '
        f'(chance {100 / unseen:.0f}), by the texts of the classes; and recall at 1 and 5 among {scale.captions} '
        f'stills and their captions, of stills by captions (IR) and of captions by stills (TR) (chance at 1 '
        f'{100 / scale.captions:.1f}). {_ceilings(results, scale)}Test stills are of the style of the training stills.',
        '',
        'A seed stands for other stills, other initial weights and other draws; the rows of a seed share its stills, '
        'so differences are paired by seed. They count as resolved where their 95 % interval (Student, over the seeds) '
        'does not hold zero; with few seeds it is wide. If nothing differed, about '
        f'{_claims() / 20:.0f} of the {_claims()} comparisons below would still be resolved.',
        '',
        *_words(),
    ]


def _words() -> list[str]:
    """Where the definitions come from."""
    defined = words_of([*definitions(LABELLED), *definitions(UNSEEN)])
    captions = words_of([caption for seed in range(3) for caption in _captions(seed, 1000)])
    known = sorted(defined & captions)
    example = PAIRS[LABELLED][0]
    return [
        '## The definitions',
        '',
        'They were written for this page by whoever knew what is drawn: no dictionary defines a rendered action. Each '
        'is put together of one for the verb and one for the object, and so are those of unseen classes. For "'
        f'{names(LABELLED)[0]}" it is "{definitions(LABELLED)[0]}" (the verb: "{VERBS[example[0]][1].format("...")}", '
        f'the object: "{OBJECTS[example[1]][1]}"). Of their {len(defined)} words captions have {len(known)} '
        f'({", ".join(known)}): they tell in other words what is seen. What definitions can do where '
        'names are already phrases of the captions is little; the table of names in other words asks where they are '
        'not. How iCLIP joins a name and its definition, and whether it does so in testing, its papers do not say; '
        'here it is "a video of a person {name}. {definition}", in both.',
        '',
    ]


def fine_print(results: Results, scale: Scale) -> list[str]:
    """Settings, machine, versions and time."""
    return [
        '## Settings',
        '',
        'The config is `configs/iclip/iclip_clip-rn-w16_2xb64-8e_rendered-scenes.py` on one process: a ResNet of 1.4 '
        f'million weights on crops of 64 pixels, a text transformer of two layers that reads {CONTEXT} tokens, '
        'L = L_cls + L_con, each the mean over its own samples of the batch, one learned temperature. '
        f'{_steps(scale)} steps of {scale.batch} stills, AdamW, weight decay 0.1, {scale.warmup} steps of warm-up, '
        f'cosine decay, gradients clipped at 1, float32; learning rate {scale.lr:g} of mixtures, '
        f'{scale.captions_lr:g} of captions alone and {scale.labels_lr:g} of labels alone. The rates were chosen [with '
        'seeds that are not reported, after a first choice had failed](unified_ratios_rates.md), and the claims above '
        'were written before any reported seed was run.',
        '',
        cost_in_words({row: found for row, found in results.items() if row in SETTINGS}),
    ]


def _steps(scale: Scale) -> int:
    return scale.stills // scale.batch * scale.passes


def _claims() -> int:
    return sum(len(table.claims) for table in TABLES)


def _ceilings(results: Results, scale: Scale) -> str:
    """What equal captions allow at most; ties count against the query."""
    found = [_captions(seed, scale.captions) for seed in seeds_of(results)]
    if not found:
        return ''
    alone = sum(captions.count(one) == 1 for captions in found for one in captions)
    different = sum(len(set(captions)) for captions in found)
    total = scale.captions * len(found)
    return (
        'Ties count against the query, and some stills have equal captions: at most '
        f'{100 * alone / total:.1f} % (TR) and {100 * different / total:.1f} % (IR) can be right at 1. '
    )


def _captions(seed: int, length: int) -> list[str]:
    """The captions of the test stills of a seed."""
    init_default_scope('mmaction')
    stills = DATASETS.build(dict(type='CaptionedScenes', length=length, split='test', seed=seed, pipeline=[]))
    return [stills.get_data_info(index)['caption'] for index in range(length)]


EXPERIMENT = Experiment(
    base=BASE,
    settings=SETTINGS,
    scale=Scale(),
    adapt=adapt,
    data=lambda root, seed, scale, say: prepare(root, seed, scale, say, replace(EXPERIMENT, scale=scale)),
    locate=locate,
    measure=measure,
    keyed=('texts', 'tests'),
    version=dict(scenes=scene_datasets.FORMAT, recipe=1),
)

PAGE = Page(
    name='unified_ratios',
    work=EXPERIMENT,
    measures=MEASURES,
    tables=TABLES,
    columns=('seen', 'unseen', 'ir1', 'ir5', 'tr1', 'tr5'),
    introduction=introduction,
    fine_print=fine_print,
    rule=PairedInterval(),
    seeds=(0, 1, 2),
    falsifiers=FALSIFIERS,
    derive=derived,
)
