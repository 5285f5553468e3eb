"""The head that learns the words around the class names instead of being given a template."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.errors import UserError
from textxfer_mm.models.building import build_classifier_source
from textxfer_mm.models.heads.classifier_state import if_known, unpack_metadata
from textxfer_mm.models.heads.text_embedding_head import TextEmbeddingHead
from textxfer_mm.registry import MODELS
from textxfer_mm.text.learnable_prompts import LearnablePrompts, PromptSource

DEFAULT_NUM_CONTEXT = 4
_INIT_STD = 0.02


@MODELS.register_module()
class LearnablePromptHead(TextEmbeddingHead):
    """:class:`TextEmbeddingHead` whose prompts are ``[V1] ... [VM] {class name}.`` with learned vectors V.

    CoOp (Zhou et al., 2022; Text4Vis, Table 4 "learnable" and supp. B.4, Eq. 1). The text tower is frozen and no part
    of the state; in training it is evaluated once a step, for all classes, with gradient to the context alone. In
    testing the matrix of the learned prompts is used, and no tower.

    The matrix is made of the context again whenever the context has changed and the matrix is wanted: in evaluation,
    in :meth:`bundle`, and when the state is saved. So the matrix and the context of a checkpoint always belong
    together, and the checkpoint tests and predicts without the text encoder. Other class names than the checkpoint's
    are put behind its shared context, for which the tower is needed.

    Args:
        in_channels: width of the pooled features.
        classifier: a ``TextClassifier`` or its config; its encoder reads the prompts, its templates are not used.
        num_context: M, the number of context vectors; ``None`` takes the number of ``init_words``, or 4.
        class_specific: learn a context for each class, instead of one for all.
        class_position: where the class name stands: ``'end'``, ``'middle'`` (behind M // 2 vectors) or ``'front'``.
        init_words: words that the context starts as, e.g. ``'a video of a'``; ``None`` draws it from N(0, 0.02).
        suffix: text at the end of the prompt; CoOp's code ends with ``'.'``, Eq. 1 with the class name (``''``).
        text_batch_size: classes a forward pass of the tower in training; activations are then computed twice instead of
            kept. ``None`` does all classes at once.
        num_classes: this and the further arguments are those of ``TextEmbeddingHead``.
        embed_dims: see there.
        projection: see there.
        feature: see there.
        num_segments: see there.
        dropout_ratio: see there.
        init_scale: see there.
        learn_scale: see there.
        test_scale: see there.
        init_bias: see there.
        loss_cls: see there.
        multi_class: see there.
        label_smooth_eps: see there.
        topk: see there.
        average_clips: see there.
        init_cfg: see there.

    Raises:
        UserError: the classifier has no tower, options disagree, or (when the tower is loaded) prompts are longer than
            its context length.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        num_context: int | None = None,
        class_specific: bool = False,
        class_position: str = 'end',
        init_words: str | None = None,
        suffix: str = '.',
        text_batch_size: int | None = None,
        num_classes: int | None = None,
        embed_dims: int | None = None,
        projection: str | dict[str, Any] | None = None,
        feature: str = 'auto',
        num_segments: int | None = None,
        dropout_ratio: float = 0.0,
        init_scale: float | None = None,
        learn_scale: bool = True,
        test_scale: float | None = 100.0,
        init_bias: float = -10.0,
        loss_cls: dict[str, Any] | None = None,
        multi_class: bool = False,
        label_smooth_eps: float = 0.0,
        topk: int | tuple[int, ...] = (1, 5),
        average_clips: str | None = 'feature',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        _check_texts(init_words, suffix)
        if num_context is None:
            num_context = len(init_words.split()) if init_words else DEFAULT_NUM_CONTEXT
        counts = [num_context] if text_batch_size is None else [num_context, text_batch_size]
        if not all(isinstance(count, int) and count >= 1 for count in counts):
            raise UserError(
                'num_context and text_batch_size are whole numbers of at least 1, got '
                f'{num_context!r} and {text_batch_size!r}.'
            )
        source = PromptSource(
            build_classifier_source(classifier),
            num_context=num_context,
            class_specific=class_specific,
            class_position=class_position,
            suffix=suffix,
        )
        super().__init__(
            in_channels,
            source,
            num_classes=num_classes,
            embed_dims=embed_dims,
            projection=projection,
            feature=feature,
            num_segments=num_segments,
            dropout_ratio=dropout_ratio,
            init_scale=init_scale,
            learn_scale=learn_scale,
            test_scale=test_scale,
            init_bias=init_bias,
            loss_cls=loss_cls,
            multi_class=multi_class,
            label_smooth_eps=label_smooth_eps,
            topk=topk,
            average_clips=average_clips,
            init_cfg=init_cfg,
        )
        self.init_words = init_words
        self.text_batch_size = text_batch_size
        self._register_context()
        if isinstance(classifier, Mapping) and 'templates' in classifier:
            print_log(
                f'LearnablePromptHead uses no template: those of the classifier ({classifier["templates"]}) have no '
                f'effect, the prompt is {source.templates[0]}',
                logger='current',
            )

    def _register_context(self) -> None:
        source = self.source
        shape = (source.num_context, if_known(source, 'token_width') or 0)
        if source.class_specific:
            shape = (self.num_classes or 0, *shape)
        self.context = nn.Parameter(torch.empty(shape).normal_(std=_INIT_STD))  # (M, W) or (K, M, W)
        self._context_is_set = self.init_words is None
        self._made: tuple[Tensor, Tensor] | None = None  # the context and the matrix that was made of it
        self._is_loading = False

    def class_embeddings(self, training: bool) -> Tensor:
        """(K, D): in training the tower's, with gradient to the context; in testing the matrix made of the context."""
        if training:
            return self._prompts().to(self.context.device).encode(self.context, self.text_batch_size)
        self.refresh()
        return self.classifier

    @property
    def how_it_trains(self) -> str:
        """What becomes of the matrix in training, for the log."""
        return 'made of a learned context'

    def fetch_weights(self) -> None:
        """Load the tower, start the context from words where it shall, and make the matrix."""
        prompts = self._prompts()
        if not self._context_is_set:
            words = prompts.word_embeddings(self.init_words, self.source.num_context)  # (M, W)
            with torch.inference_mode(False), torch.no_grad():
                self.context.copy_(words.expand_as(self.context))
            self._context_is_set = True
        self.refresh()
        self.announce()

    def refresh(self) -> None:
        """Make the matrix of the context, unless it is; moving averages write over either of them on their own."""
        now = self.context.detach(), self.classifier
        if self._made is None or not all(torch.equal(then.to(x), x) for then, x in zip(self._made, now, strict=True)):
            self.set_classifier(self.source.build(now[0], self._prompts().class_names))

    def set_classifier(self, bundle: ClassifierBundle) -> None:
        """Take a classifier, which stays until the context changes; see :class:`ClassifierState`."""
        super().set_classifier(bundle)
        self.classifier_adopted()

    def bundle(self) -> ClassifierBundle:
        """The classifier of the prompts as they are now, for saving or showing."""
        self.ensure_weights()
        self.refresh()
        return super().bundle()

    def classifier_adopted(self) -> None:
        """A checkpoint's matrix was made of its context, or a given one stands for it: remember both."""
        self._made = self.context.detach().clone(), self.classifier.clone()

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if self.source.is_loaded and not self._is_loading:  # the optimizer may have stepped since the last pass
            self.refresh()
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        context = state_dict.get(f'{prefix}context')
        if context is not None:
            self._check_context(context, state_dict.get(f'{prefix}_extra_state'))
            if not self.context.numel():  # the width is the checkpoint's: the encoder is not at hand
                self.context = nn.Parameter(torch.empty_like(context, device=self.context.device))
            self._context_is_set = True
        self._is_loading = True
        try:
            super()._load_from_state_dict(state_dict, prefix, *args)
        finally:
            self._is_loading = False

    def _prompts(self) -> LearnablePrompts:
        return self.source.prompts(self.class_names or self.source.class_names)

    def _check_context(self, context: Tensor, packed: Tensor | None) -> None:
        """Refuse a checkpoint's context that is not one of this head's, with its class names."""
        held = unpack_metadata(packed)['class_names'] if packed is not None else []
        asked = if_known(self.source, 'class_names')
        if self.source.class_specific and context.dim() == 3 and asked is not None and list(asked) != list(held):
            raise UserError(
                "The checkpoint's context is specific to its classes and cannot be put around other class names: "
                f'{", ".join(asked[:3])}{", ..." if len(asked) > 3 else ""}. Train with class_specific=False for that.'
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
