"""Class rows of learned prompts (CoOp: Zhou et al., 2022; Text4Vis, Table 4 "learnable" and supp. B.4, Eq. 1)."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.ensembles import mean_of_normalised
from textxfer_mm.classifiers.sources import TextClassifier, if_known
from textxfer_mm.classifiers.stored_rows import StoredRows
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.text.encoding import isolated, require_chunk_size
from textxfer_mm.text.glosses.prompts import senses_of
from textxfer_mm.text.glosses.table import Glosses
from textxfer_mm.text.learnable_prompts import CLASS_POSITIONS, LearnablePrompts, before_name

DEFAULT_NUM_CONTEXT = 4
_INIT_STD = 0.02
#: Classes of a forward pass without gradient.
_EXPORT_CHUNK = 256


class PromptSource:
    """The classifier source behind learned prompts: class names and encoder of a text classifier, but no template.

    The tower is loaded when it is first needed, and shared by the copies of a model (moving averages): it is frozen.

    Args:
        classifier: Gives class names and encoder.
        num_context: M.
        class_specific: Whether each class has its own context.
        class_position: See :class:`LearnablePrompts`.
        suffix: See :class:`LearnablePrompts`.

    Raises:
        UserError: Another kind of classifier, an encoder without a tower, or an unknown position.
    """

    def __init__(
        self, classifier: TextClassifier, *, num_context: int, class_specific: bool, class_position: str, suffix: str
    ):
        if not isinstance(classifier, TextClassifier) or not callable(getattr(classifier.encoder, 'tower', None)):
            raise UserError(
                'Learnable prompts are read by a text tower: the classifier is a TextClassifier with an encoder such '
                f'as CLIPTextEncoder, got {type(classifier).__name__}.'
            )
        if class_position not in CLASS_POSITIONS:
            raise UserError(f'Unknown class_position={class_position!r}.{nearest(class_position, CLASS_POSITIONS)}')
        self.classifier = classifier
        self.num_context = num_context
        self.class_specific = class_specific
        self.class_position = class_position
        self.suffix = suffix
        self._prompts: LearnablePrompts | None = None
        self._labels: tuple[tuple[str, ...], Glosses] = ((), ())

    def __deepcopy__(self, memo: dict[int, Any]) -> 'PromptSource':
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""
        return self.classifier.class_names

    @property
    def templates(self) -> tuple[str, ...]:
        """The form of the prompts, e.g. ``('[V1] [V2] [V3] [V4] {}.',)``."""
        context = [f'[V{i + 1}]' for i in range(self.num_context)]
        before = before_name(self.num_context, self.class_position)
        return (' '.join([*context[:before], '{}', *context[before:]]) + self.suffix,)

    @property
    def glosses(self) -> Glosses:
        """The glosses of the classifier, which stand at the end of the prompts."""
        return self.classifier.glosses

    @property
    def encoder_id(self) -> str:
        """The encoder's, and that the prompts were learned."""
        return f'{self.classifier.encoder_id}/learned-{"class-prompts" if self.class_specific else "prompt"}'

    @property
    def embed_dims(self) -> int:
        """D, the width of the text encoder."""
        return self.classifier.embed_dims

    @property
    def token_width(self) -> int:
        """W, the width of a context vector."""
        return self.classifier.encoder.token_width

    def prompts(self, class_names: Sequence[str], glosses: Glosses = ()) -> LearnablePrompts:
        """The prompts of K classes, one for each gloss; loads the tower at the first call."""
        labels = tuple(class_names), glosses
        if self._prompts is None or self._labels != labels:
            tower = self.classifier.encoder.tower() if self._prompts is None else self._prompts.tower.cpu()
            owners = senses_of(glosses) if glosses else range(len(class_names))
            self._prompts = LearnablePrompts(
                tower,
                [class_names[k] for k in owners],
                num_context=self.num_context,
                class_position=self.class_position,
                suffix=self.suffix,
                glosses=[gloss for own in glosses for gloss in own or ('',)],
            )
            self._labels = labels
        return self._prompts

    def encode(
        self, context: Tensor, class_names: Sequence[str], glosses: Glosses, chunk_size: int | None = None
    ) -> Tensor:
        """Read the prompts of a context.

        Args:
            context: (M, W), shared, or (K, M, W), one for each class.
            class_names: K names.
            glosses: K tuples of glosses, or ``()``.
            chunk_size: Prompts of a forward pass.

        Returns:
            (K, D), of any norm, with gradient to the context; with glosses the mean of the normalised embeddings.
        """
        prompts = self.prompts(class_names, glosses).to(context.device)
        if glosses and context.dim() == 3:
            context = context[senses_of(glosses)]  # (S, M, W)
        rows = prompts.encode(context, chunk_size)  # (S, D)
        return mean_of_normalised(rows[None], glosses) if glosses else rows

    def build(self, context: Tensor, class_names: Sequence[str], glosses: Glosses = ()) -> ClassifierBundle:
        """Make the classifier of a context (M, W) or (K, M, W), without gradient and in float32."""
        with isolated(context.device):
            rows = self.encode(context.detach(), class_names, glosses, _EXPORT_CHUNK)
        labels = dict(class_names=class_names, templates=self.templates, encoder_id=self.encoder_id)
        return ClassifierBundle.from_rows(rows, glosses=glosses, **labels)


class PromptRows(ClassRows):
    """Rows of the prompts ``[V1] ... [VM] {class name}.`` with learned vectors V, read by a frozen text tower.

    In training the tower is evaluated once a step, for all classes, with gradient to the context alone; it is no part
    of the state. Matrix and context of a checkpoint belong together, so that it tests without the text encoder. Other
    class names than the checkpoint's are put behind its shared context, for which the tower is needed.

    Args:
        classifier: A ``TextClassifier``; its encoder reads the prompts, its templates are not used. Its glosses stand
            behind the suffix.
        num_context: M, the number of context vectors; None takes the number of ``init_words``, or 4.
        class_specific: Learns a context for each class, instead of one for all.
        class_position: Where the class name stands: ``'end'``, ``'middle'`` (behind M // 2 vectors) or ``'front'``.
        init_words: Words that the context starts as, e.g. ``'a video of a'``; None draws it from N(0, 0.02).
        suffix: The text at the end of the prompt; CoOp's code ends with ``'.'``, Eq. 1 with the class name (``''``).
        chunk_size: Classes of a forward pass of the tower in training; activations are then computed twice instead of
            kept. None does all classes at once.
        num_classes: See :class:`ClassRows`.
        embed_dims: See :class:`ClassRows`.

    Raises:
        UserError: The classifier has no tower, options disagree, or (when the tower is loaded) prompts are longer than
            its context length.
    """

    source: PromptSource

    def __init__(
        self,
        classifier: TextClassifier,
        *,
        num_context: int | None = None,
        class_specific: bool = False,
        class_position: str = 'end',
        init_words: str | None = None,
        suffix: str = '.',
        chunk_size: int | None = None,
        num_classes: int | None = None,
        embed_dims: int | None = None,
    ) -> None:
        _check_texts(init_words, suffix)
        if num_context is None:
            num_context = len(init_words.split()) if init_words else DEFAULT_NUM_CONTEXT
        if not isinstance(num_context, int) or num_context < 1:
            raise UserError(f'num_context is a whole number of at least 1, got {num_context!r}.')
        source = PromptSource(
            classifier,
            num_context=num_context,
            class_specific=class_specific,
            class_position=class_position,
            suffix=suffix,
        )
        super().__init__(source, num_classes=num_classes, embed_dims=embed_dims)
        self.init_words = init_words
        self.chunk_size = require_chunk_size(chunk_size)
        shape = (num_context, if_known(source, 'token_width') or 0)
        if class_specific:
            shape = (self.num_classes, *shape)
        self.context = nn.Parameter(torch.empty(shape).normal_(std=_INIT_STD))  # (M, W) or (K, M, W)
        self._starts_as_words = init_words is not None

    def moved_by(self) -> Iterable[Tensor]:
        """The context."""
        return (self.context,)

    def make(self) -> ClassifierBundle:
        """Read the prompts of the context as it is now.

        Raises:
            UserError: The tower is not at hand, or a prompt is too long.
        """
        return self.source.build(self.context, self._names(), self._glosses())

    @property
    def takes_other_names(self) -> bool:
        """A context that all classes share can stand before any name."""
        return not self.source.class_specific

    def _make_for(self, class_names: tuple[str, ...]) -> ClassifierBundle:
        return self.source.build(self.context, class_names)

    def reader(self) -> Any:
        """The encoder behind the prompts."""
        return self.source.classifier.encoder

    @property
    def how_they_train(self) -> str:
        """What becomes of the rows in training, for the log."""
        return 'made of a learned context'

    def init_weights(self) -> None:
        """Start the context from words where it shall, and make the rows unless they are there."""
        self._start_from_words()
        super().init_weights()

    def fill(self) -> None:
        """Do the same where there are no rows; the context of a moving average that was given rows is left alone."""
        if not self.is_filled:
            self._start_from_words()
        super().fill()

    def _start_from_words(self) -> None:
        if self._starts_as_words:
            prompts = self.source.prompts(self._names(), self._glosses())
            words = prompts.word_embeddings(self.init_words, self.source.num_context)  # (M, W)
            with torch.inference_mode(False), torch.no_grad():
                self.context.copy_(words.expand_as(self.context))
            self._starts_as_words = False

    def training_rows(self, classes: Tensor | None = None) -> Tensor:
        """The tower's rows (n, D), with gradient to the context; see :meth:`ClassRows.training_rows`."""
        self.fill()
        rows = self.source.encode(self.context, self._names(), self._glosses(), self.chunk_size)  # (K, D)
        return rows if classes is None else rows[classes.to(rows.device)]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        context = state_dict.get(f'{prefix}context')
        if context is not None:
            self._check_context(context, StoredRows.read(state_dict, prefix))
            if not self.context.numel():  # the width is the checkpoint's: the encoder is not at hand
                self.context = nn.Parameter(torch.empty_like(context, device=self.context.device))
            self._starts_as_words = False
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_context(self, context: Tensor, held: StoredRows | None) -> None:
        """Refuse a checkpoint's context that is not one of these prompts, with its class names."""
        names = held.class_names if held is not None else ()
        asked = if_known(self.source, 'class_names')
        if self.source.class_specific and context.dim() == 3 and asked is not None and asked != names:
            raise UserError(
                "The checkpoint's context is specific to its classes and cannot be put around other class names: "
                f'{first_few(asked)}. Train with class_specific=False for that.'
            )
        if self.context.numel() and context.shape != self.context.shape:
            raise UserError(
                f"The checkpoint's context is {tuple(context.shape)}, this head's {tuple(self.context.shape)}: another "
                'num_context, class_specific or text tower. Use the config the checkpoint was trained with.'
            )


def _check_texts(init_words: Any, suffix: Any) -> None:
    """Refuse what cannot be put into a prompt."""
    if not isinstance(suffix, str) or not isinstance(init_words, str | None):
        raise UserError(f'init_words and suffix are text, got init_words={init_words!r} and suffix={suffix!r}.')
    if init_words is not None and not init_words.split():
        raise UserError('init_words are empty; leave them out to start from random vectors.')
