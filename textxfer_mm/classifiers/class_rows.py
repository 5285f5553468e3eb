"""Class rows as a module: one matrix with its names, made from a source, kept in checkpoints, trained and replaced."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.distinct import require_distinct
from textxfer_mm.classifiers.sources import ClassifierSource, if_known
from textxfer_mm.classifiers.stored_rows import (
    FILLED,
    METADATA,
    WEIGHT,
    StoredRows,
    leave_out_tower,
    pack_metadata,
    unpack_metadata,
)
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.layers.watch import Watch
from textxfer_mm.text.glosses.table import Glosses

logger = logging.getLogger(__name__)


class ClassRows(nn.Module):
    """One matrix of class rows (K, D), with class names, templates and the id of what made it.

    Nothing is encoded at construction. The rows are made by the source at ``init_weights()`` or when they are first
    needed, unless a checkpoint brought them: with it they load where neither the text encoder nor the file of class
    names is at hand. A checkpoint's rows are taken when the source asks for the same names, templates and encoder, or
    when it cannot say. Otherwise the source's replace them, with a line in the log: that is zero-shot recognition.

    The rows are a buffer, or a parameter where they are trained. Rows that something else moves (a text tower, learned
    prompts) are a buffer too; the subclasses say what moves them (:meth:`moved_by`), and they are made again when they
    are out of date and wanted: for testing, for :meth:`bundle`, or when the state is saved.

    Args:
        source: Where the rows come from.
        num_classes: K; None counts the class names. It is needed where these are not at hand.
        embed_dims: D, for where the source does not know it.
        frozen: Keeps the rows as they are; False trains them from their initial value (Text4Vis, supp. Table 2).

    Raises:
        UserError: K disagrees with the class names, or K or D cannot be known.
    """

    weight: Tensor

    def __init__(
        self,
        source: ClassifierSource,
        *,
        num_classes: int | None = None,
        embed_dims: int | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        self.source = source
        self.frozen = frozen
        self.embed_dims: int = if_known(source, 'embed_dims') or embed_dims
        if self.embed_dims is None:
            raise UserError(
                "The width of the classifier's encoder cannot be known here, because it is not at hand: give "
                'embed_dims=..., and a checkpoint will load without it.'
            )
        names = if_known(source, 'class_names')
        if names is None and num_classes is None and not frozen:
            names = source.class_names  # says what is missing: the optimizer needs the rows' number now
        if names is not None and num_classes not in (None, len(names)):
            raise UserError(
                f'num_classes={num_classes}, but the classifier has {len(names)} class names ({first_few(names)}). '
                'Drop num_classes or give the list that belongs to this dataset.'
            )
        self.num_classes = num_classes or 0
        if names is not None:
            told = {name: if_known(source, name) or () for name in ('templates', 'glosses')}
            self._describe(names, told['templates'], if_known(source, 'encoder_id') or '', told['glosses'])
        else:
            self.class_names, self.templates, self.encoder_id, self.glosses = (), (), '', ()
        rows = torch.zeros(self.num_classes, self.embed_dims)
        if frozen:
            self.register_buffer('weight', rows)
        else:
            self.weight = nn.Parameter(rows)
        # A buffer, so that moving averages copy it together with the rows, which they do behind this module's back.
        self.register_buffer('filled', torch.tensor(False))
        self._is_filled = False
        self._watch = Watch()
        self._adopted = False
        self._was_moved = False
        self._given_classes = num_classes
        self.register_load_state_dict_post_hook(_after_load)

    def moved_by(self) -> Iterable[Tensor]:
        """The tensors whose change puts the rows out of date."""
        return ()

    def make(self) -> ClassifierBundle:
        """Make the rows, without gradient.

        Raises:
            UserError: What makes them is not at hand.
        """
        return self.source.build()

    @property
    def takes_other_names(self) -> bool:
        """Whether :meth:`make_for` can make rows of other class names."""
        return self.frozen and hasattr(self.source, 'renamed')

    def make_for(
        self, class_names: Sequence[str], *, warn: Callable[[str], object] = logger.warning
    ) -> ClassifierBundle:
        """Make the rows of other class names, without glosses; what there is stays.

        Nothing of it goes to the cache: whoever asks for names of the moment keeps what he needs.

        Args:
            class_names: K names.
            warn: Told each warning, such as of names that the text encoder does not know; by default they are logged.

        Raises:
            UserError: What makes them takes no other names, or is not at hand; or the names cannot be told apart.
        """
        if not self.takes_other_names:
            why = f'they come from a {type(self.source).__name__}' if self.frozen else 'they were trained for its own'
            raise UserError(f'The class rows of this model cannot be made for other class names: {why}.')
        made = self._make_for(tuple(class_names))
        require_distinct(made, self.reader(), warn=warn)
        return made

    def _make_for(self, class_names: tuple[str, ...]) -> ClassifierBundle:
        source = self.source.renamed(class_names)
        source.use_cache = False
        return source.build()

    def reader(self) -> Any:
        """The text encoder that reads the class names, if there is one."""
        return getattr(self.source, 'encoder', None)

    @property
    def how_they_train(self) -> str:
        """What becomes of the rows in training, for the log."""
        return 'frozen' if self.frozen else 'trained'

    @property
    def are_trained(self) -> bool:
        """Whether training moves the rows, so that the features may not fit other ones."""
        return not self.frozen

    def training_rows(self, classes: Tensor | None = None) -> Tensor:
        """The rows that a training step compares with, with gradient to what is trained.

        Args:
            classes: The classes (n,) that are wanted, on any device; None wants all.

        Returns:
            (n, D) or (K, D), of any norm.
        """
        self.fill()
        return self.weight if classes is None else self.weight[classes.to(self.weight.device)]

    def testing_rows(self) -> Tensor:
        """The rows (K, D) of testing, without gradient unless they are a parameter; up to date."""
        self.refresh()
        return self.weight

    def init_weights(self) -> None:
        """Make the rows unless they are there; MMEngine calls it."""
        self.fill()

    @property
    def is_filled(self) -> bool:
        """Whether there are rows."""
        self._is_filled = self._is_filled or (not self.filled.is_meta and bool(self.filled))
        return self._is_filled

    def fill(self) -> None:
        """Make the rows unless they are there.

        Raises:
            UserError: What makes them is not at hand, or cannot tell some of the class names apart.
        """
        if not self.is_filled:
            made = self.make()
            require_distinct(made, self.reader(), trained=self._was_moved)
            self.replace(made)
            self._announce()

    def refresh(self) -> None:
        """Make the rows if there are none or they are out of date."""
        self.fill()
        if not self._watch.is_unchanged(self._watched()):
            self.replace(self.make())

    def replace(self, bundle: ClassifierBundle) -> None:
        """Take other rows; they stay until training moves what moves them.

        Args:
            bundle: K may be another, unless the rows are trained.

        Raises:
            UserError: Another width D, or another K for rows that are trained.
        """
        if bundle.embed_dims != self.embed_dims:
            raise UserError(
                f'The class rows of this model are {self.embed_dims} wide, those by {bundle.encoder_id} '
                f'{bundle.embed_dims}. Use the text encoder the model was trained with.'
            )
        if not self.frozen and bundle.num_classes != self.num_classes:
            raise UserError(
                f'Class rows that are trained for {self.num_classes} classes cannot become rows of '
                f'{bundle.num_classes}.'
            )
        # A first forward in inference mode must leave a buffer that training can use.
        with torch.inference_mode(False), torch.no_grad():
            if self.weight.shape == bundle.weight.shape:
                self.weight.copy_(bundle.weight)
            else:
                self.weight = bundle.weight.to(self.weight, copy=True)
            self.filled.fill_(True)
        self._is_filled = True
        self._describe(bundle.class_names, bundle.templates, bundle.encoder_id, bundle.glosses)
        self._watch.remember(self._watched())

    def bundle(self) -> ClassifierBundle:
        """The rows as they are now, for saving or showing."""
        rows = self.testing_rows().detach()
        labels = dict(class_names=self.class_names, templates=self.templates, encoder_id=self.encoder_id)
        return ClassifierBundle.from_rows(rows, glosses=self.glosses, **labels)

    def get_extra_state(self) -> Tensor:
        """Names, templates, glosses, encoder id, and whether the rows were trained, saved beside the matrix."""
        metadata = dict(
            class_names=self.class_names,
            templates=self.templates,
            encoder_id=self.encoder_id,
            glosses=self.glosses,
            trained=self.are_trained,
        )
        return pack_metadata(metadata).to(self.weight.device)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what :meth:`get_extra_state` gave."""
        held = unpack_metadata(state)
        self._describe(held['class_names'], held['templates'], held['encoder_id'], held.get('glosses', ()))

    def _names(self) -> tuple[str, ...]:
        """The names of the rows, or of those that are to be made."""
        return self.class_names or self.source.class_names

    def _glosses(self) -> Glosses:
        """The glosses behind the names of :meth:`_names`."""
        return self.glosses if self.class_names else getattr(self.source, 'glosses', ())

    def _describe(
        self, class_names: Iterable[str], templates: Iterable[str], encoder_id: str, glosses: Iterable[Iterable[str]]
    ) -> None:
        self.class_names, self.templates, self.encoder_id = tuple(class_names), tuple(templates), encoder_id
        self.glosses: Glosses = tuple(map(tuple, glosses))
        self.num_classes = len(self.class_names)

    def _watched(self) -> list[Tensor]:
        """What tells whether the rows are those that were made: what moves them, and themselves."""
        movers = list(self.moved_by())
        return [] if not movers or self.weight.is_meta else [*movers, self.weight]

    def train(self, mode: bool = True) -> 'ClassRows':
        """Switch the mode; moving averages swap weights unseen, but before they do."""
        self._watch.doubt()
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> 'ClassRows':
        """Move or cast as every module does; rows that were up to date before still are."""
        was_meta, up_to_date = self.weight.is_meta, self._watch.is_unchanged(self._watched())
        super()._apply(*args, **kwargs)
        if was_meta and not self.weight.is_meta:  # memory that nobody has written to
            with torch.no_grad():
                self.filled.zero_()
            self._is_filled = False
        elif up_to_date:
            self._watch.remember(self._watched())
        return self

    def _announce(self, origin: str = '') -> None:
        prompts = f' x {len(self.templates)} template(s)' if self.templates else ''
        prompts += f', {sum(map(bool, self.glosses))} with glosses' if self.glosses else ''
        logger.info(
            'Classifier%s: %d classes (%s)%s, D = %d, by %s, %s.',
            *(origin, self.num_classes, first_few(self.class_names), prompts, self.embed_dims, self.encoder_id),
            self.how_they_train,
        )

    def _save_to_state_dict(self, *args: Any) -> None:
        if self.is_filled:  # the optimizer may have stepped since the last pass
            self._watch.doubt()
            self.refresh()
        super()._save_to_state_dict(*args)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        held = StoredRows.read(state_dict, prefix)
        if 'tower' not in dict(self.named_children()):
            leave_out_tower(state_dict, prefix)
        if held is not None:
            held.require_fit(self.embed_dims, self._given_classes, self.source)
        self._adopted = held is not None and held.suits(self.source, lambda: self.doubts_about(held))
        if not self._adopted:  # keep ours: the base class then finds what is already here
            own = {WEIGHT: self.weight.detach().clone(), FILLED: self.filled.clone(), METADATA: self.get_extra_state()}
            state_dict.update({prefix + name: value for name, value in own.items()})
        elif self.frozen:
            self.weight = torch.empty_like(held.weight, device=self.weight.device)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def doubts_about(self, held: StoredRows) -> str:
        """Why features that were trained against the held rows may not fit those that replace them."""
        return held.doubts_about(self.source)


def _after_load(rows: ClassRows, incompatible: Any) -> None:
    """A checkpoint's rows belong to what moves them in it, which has been loaded by now too."""
    rows._watch.doubt()
    rows._was_moved = bool(list(rows.moved_by()))
    if rows._adopted:
        rows._watch.remember(rows._watched())
        if not rows._is_filled:
            rows._is_filled = True
            rows._announce(' of the checkpoint')
    rows._adopted = False
