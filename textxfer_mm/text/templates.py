"""Prompt templates: named sets of strings with one ``{}`` where the class name goes."""

from collections.abc import Iterator, Mapping, Sequence

from textxfer_mm.errors import UserError, nearest

_MEDIA = ('photo', 'video', 'example', 'demonstration')
_VERBS = ('', 'using ', 'doing ', 'during ', 'performing ', 'practicing ')

_QUALITIES = ('', 'blurry ', 'black and white ', 'low contrast ', 'high contrast ', 'bad ', 'good ')

_IMAGENET = 'imagenet'
_WRITTEN_OUT: dict[str, tuple[str, ...]] = {
    # The bare name: a row of Text4Vis's ablation, and what X-CLIP and ILA use.
    'class_name': ('{}',),
    # Text4Vis, on all its datasets.
    'text4vis': ('a video of a person {}.',),
    # OpenAI CLIP, data/prompts.md, Kinetics700: 4 media x (bare name + 6 persons). Open-VCLIP averages these too.
    'clip_kinetics': tuple(
        template
        for medium in _MEDIA
        for template in (f'a {medium} of {{}}.', *(f'a {medium} of a person {verb}{{}}.' for verb in _VERBS))
    ),
    # OpenAI CLIP, data/prompts.md, UCF101: 6 verbs x 2 articles x 4 media.
    'clip_ucf101': tuple(
        f'a {medium} of {article} person {verb}{{}}.'
        for verb in _VERBS
        for article in ('a', 'the')
        for medium in _MEDIA
    ),
    # OpenAI CLIP, data/prompts.md, CIFAR10 and CIFAR100, as in MMPretrain's OPENAI_CIFAR100_PROMPT.
    'clip_cifar': tuple(
        template
        for article in ('a', 'the')
        for template in (
            *(f'a {quality}photo of {article} {{}}.' for quality in _QUALITIES),
            *(f'a photo of {article} {size} {{}}.' for size in ('small', 'big')),
        )
    ),
    # OpenAI CLIP, data/prompts.md: nine of the sets of Kornblith et al., all but Birdsnap's as in the package
    # clip-benchmark 1.6.2 (MIT).
    'clip_food101': ('a photo of {}, a type of food.',),
    'clip_birdsnap': ('a photo of a {}, a type of bird.',),
    'clip_sun397': tuple(f'a photo of {article} {{}}.' for article in ('a', 'the')),
    'clip_stanford_cars': (
        'a photo of a {}.',
        'a photo of the {}.',
        'a photo of my {}.',
        'i love my {}!',
        *(f'a photo of my {state} {{}}.' for state in ('dirty', 'clean', 'new', 'old')),
    ),
    'clip_fgvc_aircraft': tuple(f'a photo of {article} {{}}, a type of aircraft.' for article in ('a', 'the')),
    'clip_dtd': tuple(
        f'a photo of {article} {{}} {kind}.'
        for article in ('a', 'the')
        for kind in ('texture', 'pattern', 'thing', 'object')
    ),
    'clip_oxford_pets': ('a photo of a {}, a type of pet.',),
    'clip_caltech101': tuple(
        template
        for article in ('a', 'the')
        for template in (
            f'a photo of {article} {{}}.',
            f'a painting of {article} {{}}.',
            f'{article} plastic {{}}.',
            *(f'a {medium} of {article} {{}}.' for medium in ('sculpture', 'sketch', 'tattoo')),
            f'{article} toy {{}}.',
            f'a rendition of {article} {{}}.',
            *(f'{article} {kind} {{}}.' for kind in ('embroidered', 'cartoon')),
            f'{article} {{}} in a video game.',
            *(f'{article} {kind} {{}}.' for kind in ('plushie', 'origami')),
            *(f'{medium} of {article} {{}}.' for medium in ('art', 'graffiti', 'a drawing', 'a doodle')),
        )
    ),
    'clip_flowers102': ('a photo of a {}, a type of flower.',),
    # ActionCLIP, utils/Text_Prompt.py.
    'actionclip': (
        'a photo of action {}',
        'a picture of action {}',
        'Human action of {}',
        '{}, an action',
        '{} this is an action',
        '{}, a video of action',
        'Playing action of {}',
        '{}',
        'Playing a kind of action, {}',
        'Doing a kind of action, {}',
        'Look, the human is {}',
        'Can you recognize the action of {}?',
        'Video classification of {}',
        'A video of {}',
        'The man is {}',
        'The woman is {}',
    ),
    # BIKE.
    'bike': ('This is a video about {}',),
    # ViFi-CLIP; also the plain prompt of CLIP.
    'vifi': ('a photo of a {}.',),
}


class _TemplateSets(Mapping[str, tuple[str, ...]]):
    """The sets above, and OpenAI CLIP's 80 templates of ImageNet, for which open_clip is imported when asked."""

    def __getitem__(self, name: str) -> tuple[str, ...]:
        if name != _IMAGENET:
            return _WRITTEN_OUT[name]
        from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

        return tuple(template('{}') for template in OPENAI_IMAGENET_TEMPLATES)

    def __contains__(self, name: object) -> bool:
        return name == _IMAGENET or name in _WRITTEN_OUT

    def __iter__(self) -> Iterator[str]:
        yield from (*_WRITTEN_OUT, _IMAGENET)

    def __len__(self) -> int:
        return len(_WRITTEN_OUT) + 1


#: Template sets by name. The grammar ("a example") is that of the originals.
TEMPLATES: Mapping[str, tuple[str, ...]] = _TemplateSets()


def resolve_templates(spec: str | Sequence[str]) -> tuple[str, ...]:
    """Return the templates that ``spec`` stands for.

    Args:
        spec: The name of a set in :data:`TEMPLATES`, one template, or several templates.

    Returns:
        M templates, each with exactly one ``{}``.

    Raises:
        UserError: The name is unknown, a template has no ``{}`` or more than one, or occurs twice.
    """
    if isinstance(spec, str):
        if spec in TEMPLATES:
            return TEMPLATES[spec]
        if '{' not in spec:
            raise UserError(
                f'{spec!r} is neither a set of templates nor a template: a template has {{}} where the class name '
                f'goes.{nearest(spec, TEMPLATES)}'
            )
        spec = (spec,)
    templates = tuple(spec)
    if not templates:
        raise UserError('The list of templates is empty; the bare class name is the template {}.')
    for template in templates:
        if not isinstance(template, str) or template.count('{}') != 1:
            raise UserError(f'A template has exactly one {{}} where the class name goes; got {template!r}.')
    repeated = sorted({template for template in templates if templates.count(template) > 1})
    if repeated:
        raise UserError(f'Templates occur more than once: {", ".join(map(repr, repeated))}.')
    return templates


def fill(templates: Sequence[str], names: Sequence[str]) -> list[list[str]]:
    """Return the prompts as M lists (one per template) of K prompts (one per class)."""
    return [[template.replace('{}', name) for name in names] for template in templates]
