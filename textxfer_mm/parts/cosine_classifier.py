"""The classifier of every head of this package, whatever framework it is for: class rows, projection and cosine logits.

A head is equipped with it, and then owns its modules: they lie beside what else the head has, so that checkpoints of
all heads name them alike (``class_rows.*``, ``projection.*``, ``cosine.*``).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from mmengine.logging import MessageHub
from torch import Tensor, nn

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.template_rows import TemplateRows
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.cosine import CosineLogits
from textxfer_mm.layers.pooling import FEATURE_CHOICES, Features, pool_features
from textxfer_mm.parts.building import build_classifier_source
from textxfer_mm.parts.projections import build_projection

#: What :func:`equip` is given for the scale where nothing is said of it.
_UNSCALED = dict(init_scale=None, max_scale=None, learn_scale=True, test_scale=100.0)


class Equipped(Protocol):
    """A head after :func:`equip`."""

    in_channels: int
    feature: str
    class_rows: ClassRows
    projection: nn.Module
    dropout: nn.Dropout
    cosine: CosineLogits


def equip(
    head: nn.Module,
    in_channels: int,
    make_rows: Callable[..., ClassRows],
    multi_label: bool,
    /,
    *,
    num_classes: int | None = None,
    embed_dims: int | None = None,
    projection: str | dict[str, Any] | None = None,
    feature: str = 'auto',
    dropout_ratio: float = 0.0,
    init_scale: float | None = None,
    max_scale: float | None = None,
    learn_scale: bool = True,
    test_scale: float | None = 100.0,
    init_bias: float = -10.0,
    normalize: bool = True,
) -> None:
    """Give a head its class rows, projection, dropout and cosine logits; the options below are those of all heads.

    Args:
        head: The head.
        in_channels: The width of the pooled features.
        make_rows: Makes the class rows, given ``num_classes`` and ``embed_dims``.
        multi_label: Whether several classes may be present, each on its own.
        num_classes: K; ``None`` counts the class names. Given, it must agree with them.
        embed_dims: D; ``None`` asks the classifier. Needed where there is a projection and the encoder is not at hand.
        projection: ``None``, ``'linear'``, ``'mlp'`` or a config dict; needed when ``in_channels`` differs from D.
        feature: Which feature to take where the backbone returns several, see
            :func:`~textxfer_mm.layers.pooling.pool_features`.
        dropout_ratio: Dropout on the pooled features, before the projection.
        init_scale: The scale at the start of training; ``None`` takes 100, what CLIP's own training ends at, and 10 for
            several labels, whose sigmoids would saturate.
        max_scale: The most the scale may become in training; ``None`` sets no limit.
        learn_scale: Whether the scale is trained.
        test_scale: The scale in evaluation (released code: 100); ``None`` takes the trained one, as multi-label heads
            always do.
        init_bias: The initial value of the trained scalar bias of multi-label heads; ignored otherwise.
        normalize: ``False`` takes Eq. 3 of Text4Vis at its word, W g(x): features of any length, rows of length one as
            all classifiers are saved, and no scale. The options of the scale are refused then.

    Raises:
        UserError: An option is unknown or has no effect, or widths or class counts disagree.
    """
    require_choice(head, feature=(feature, FEATURE_CHOICES))
    width = embed_dims or (in_channels if projection is None else None)
    head.class_rows = make_rows(num_classes=num_classes, embed_dims=width)
    if embed_dims not in (None, head.class_rows.embed_dims):
        raise UserError(
            f'embed_dims={embed_dims}, but the classifier is {head.class_rows.embed_dims} wide: leave it out.'
        )
    head.in_channels, head.feature = in_channels, feature
    head.projection = build_projection(projection, in_channels, head.class_rows.embed_dims)
    head.dropout = nn.Dropout(dropout_ratio)
    bias = init_bias if multi_label else None
    if normalize:
        head.cosine = CosineLogits(
            init_scale=(10.0 if multi_label else 100.0) if init_scale is None else init_scale,
            max_scale=max_scale,
            learn_scale=learn_scale,
            test_scale=None if multi_label else test_scale,
            init_bias=bias,
        )
        return
    given = dict(init_scale=init_scale, max_scale=max_scale, learn_scale=learn_scale, test_scale=test_scale)
    for option, value in given.items():
        if value != _UNSCALED[option]:
            raise UserError(
                f'{option}={value} has no effect with normalize=False: the logits of Eq. 3 have no scale. Leave one '
                'of the two out.'
            )
    head.cosine = CosineLogits(init_scale=1.0, learn_scale=False, test_scale=None, init_bias=bias, normalize=False)


def embed(head: Equipped, feats: Features) -> Tensor:
    """Pool and project: features of any kind -> (rows, D), un-normalised.

    Raises:
        UserError: The features are not ``in_channels`` wide.
    """
    x = pool_features(feats, head.feature)  # (rows, in_channels)
    if x.shape[1] != head.in_channels:
        raise UserError(
            f'{type(head).__name__} has in_channels={head.in_channels}, but the features are {x.shape[1]} wide.'
        )
    return head.projection(head.dropout(x))  # (rows, D)


def classify(head: Equipped, embeddings: Tensor, training: bool) -> Tensor:
    """Classify embeddings (N, D) -> logits (N, K) in float32, with rows and scale of training or testing."""
    rows = head.class_rows.training_rows() if training else head.class_rows.testing_rows()
    return head.cosine(embeddings, rows, training)


def maker_of_rows(
    classifier: dict[str, Any],
    *,
    frozen: bool,
    train_templates: str | Sequence[str] | None,
    template_seed: int | None,
) -> Callable[..., ClassRows]:
    """What makes the rows of a classifier source: frozen or trained, by one template or by one that is drawn.

    Args:
        classifier: A classifier source or its config, e.g. ``dict(type='TextClassifier', class_names='kinetics400',
            encoder=dict(type='CLIPTextEncoder', arch='ViT-B-16-quickgelu', pretrained='openai'))``.
        frozen: Keeps the rows fixed; ``False`` trains them from their initial value (supp. Table 2).
        train_templates: A template set or several templates of which one is drawn at each training iteration, the same
            for all classes (Table 4, "multiple"; :class:`~textxfer_mm.classifiers.template_rows.TemplateRows`);
            testing uses the classifier's own. ``None`` trains with the classifier's own as well.
        template_seed: The seed of these draws, which are the same on all ranks; 0 unless given.

    Raises:
        UserError: The classifier is wrong, or the options exclude each other.
    """
    source = build_classifier_source(classifier)
    if train_templates is None:
        if template_seed is not None:
            raise UserError(f'template_seed={template_seed} has no effect without train_templates: leave it out.')
        return partial(ClassRows, source, frozen=frozen)
    if not frozen:
        raise UserError(
            'train_templates gives training its classifiers, frozen=False trains one itself: take one of the two.'
        )
    return partial(TemplateRows, source, train_templates, seed=template_seed or 0, iteration=training_iteration)


def training_iteration() -> int | None:
    """The iteration of the runner that is training now; None where none is."""
    hub = MessageHub.get_current_instance()
    return int(hub.get_info('iter')) if hub.get_info('loop_stage') == 'train' else None


def require_choice(head: nn.Module, **options: tuple[Any, tuple[Any, ...]]) -> None:
    """Refuse an option whose value is none of its choices.

    Args:
        head: Named in the message.
        options: The value and the choices of each option.

    Raises:
        UserError: With the nearest choices.
    """
    for option, (value, choices) in options.items():
        if value not in choices:
            raise UserError(f'Unknown {option}={value!r} of {type(head).__name__}.{nearest(str(value), choices)}')


def refuse_options(head: nn.Module, given: Iterable[str], refused: Iterable[str], reason: str) -> None:
    """Refuse shared options that a head would not read.

    Args:
        head: Named in the message.
        given: The names of the options that were given.
        refused: Those that the head does not take.
        reason: Why, for the message.

    Raises:
        UserError: Some of them were given; the first is named.
    """
    option = next((option for option in refused if option in given), None)
    if option is not None:
        raise UserError(f'{type(head).__name__} takes no {option}: {reason}.')
