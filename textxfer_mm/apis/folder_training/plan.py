"""What is going to be done, in a few lines."""

from collections.abc import Iterator

from textxfer_mm.apis.folder_training.building import FEW_SHOTS
from textxfer_mm.apis.folder_training.encoder import Encoder
from textxfer_mm.apis.folder_training.folds import Validation
from textxfer_mm.apis.folder_training.videos import LabelledVideos
from textxfer_mm.errors import first_few, shown


def plan_lines(
    videos: LabelledVideos, encoder: Encoder, validation: Validation, rule: str | None, groups: int, finetune: bool
) -> Iterator[str]:
    """Yield the lines.

    Args:
        videos: The videos.
        encoder: The encoder.
        validation: The folds.
        rule: What tells groups, as it was given.
        groups: How many groups there are.
        finetune: Whether the whole model is trained too.
    """
    pairs = zip(videos.class_names, videos.counts, strict=True)
    named = first_few((f'{name} ({count})' for name, count in pairs), 8)
    yield f'videos:      {len(videos.paths):,} of {len(videos.class_names)} classes: {named}'
    for path, reason in list(videos.left_out.items())[:20]:
        yield f'left out:    {shown(path)}: {shown(reason)}'
    if len(videos.left_out) > 20:
        yield f'left out:    {len(videos.left_out) - 20} more'
    yield f'model:       {encoder.start.title}; it stays as it is, and encodes each video once'
    few = min(videos.counts) < FEW_SHOTS
    by_names = not encoder.text_reason
    tried = [
        *(['zero-shot by the class names'] if by_names else []),
        'linear probe',
        *(['class prototypes'] if few else []),
        *(['cosine classifier from the text rows'] if by_names else []),
        *([] if encoder.temporal_reason else ['temporal module on frame features']),
        *(['Tip-Adapter'] if few and by_names else []),
        *(['whole model, fine-tuned'] if finetune else []),
    ]
    yield f'candidates:  {", ".join(tried)}'
    if encoder.text_reason:
        yield f'             none by class names: {encoder.text_reason}'
    elif encoder.temporal_reason:
        yield f'             no temporal module: {encoder.temporal_reason}'
    if not few:
        yield f'             no prototypes and Tip-Adapter, which are for classes of fewer than {FEW_SHOTS} videos'
    if not finetune:
        yield '             the whole model is not trained: there is no GPU for it, or not wanted (--finetune)'
    kept = (
        f'{groups:,} groups, which stay on one side' if rule else 'each video on its own (--groups keeps some together)'
    )
    yield f'validation:  {validation.about}; {kept}' if not videos.sides else f'validation:  {validation.about}'
