"""Rendered scenes as datasets: captioned stills, and classes of stills or clips; nothing is downloaded or decoded."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from textxfer_mm.datasets.frame_cache import FrameCache, in_order
from textxfer_mm.datasets.rendered_scenes.render import PLAIN, SHIFTED, render_clip, render_still
from textxfer_mm.datasets.rendered_scenes.words import (
    CAPTIONED_PAIRS,
    MOTION_PAIRS,
    SEEN_PAIRS,
    UNSEEN_PAIRS,
    Scene,
    action,
    caption,
    sample_captioned,
)
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.registry import DATASETS

#: Raised when the drawing changes, so that older caches are not read.
FORMAT = 1
PAIRS = dict(captioned=CAPTIONED_PAIRS, seen=SEEN_PAIRS, unseen=UNSEEN_PAIRS, motion=MOTION_PAIRS)
LOOKS = dict(plain=PLAIN, shifted=SHIFTED)
SPLITS = ('train', 'val', 'test')


class _Rendered(BaseDataset):
    """What both datasets share: scenes are rendered when they are asked for, or once into a file that is kept.

    Args:
        pipeline: Steps of a pipeline that begins with ``UniformSample`` and ``ArrayDecode``.
        total: How many scenes there are.
        seed: Seed of the scenes.
        split: ``'train'``, ``'val'`` or ``'test'``: other scenes of the same kind.
        frames: T, the frames of a scene; 1 renders stills.
        size: Height and width in pixels.
        look: ``'plain'`` or ``'shifted'``.
        cache_dir: Folder that keeps what was rendered, uncompressed (12 kB a frame of 64 pixels); None keeps nothing.
        indices: Which of the scenes to take, as in every dataset of MMEngine; None takes all.
        test_mode: As in every dataset of MMEngine.

    Raises:
        UserError: An option is out of range, or the cache cannot be written or read.
    """

    def __init__(
        self,
        pipeline: Sequence[dict[str, Any]],
        *,
        total: int,
        seed: int = 0,
        split: str = 'train',
        frames: int = 1,
        size: int = 64,
        look: str = 'plain',
        cache_dir: str | Path | None = None,
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
    ) -> None:
        for name, value, choices in (('look', look, LOOKS), ('split', split, SPLITS)):
            if not isinstance(value, str) or value not in choices:
                raise UserError(f'{type(self).__name__}: unknown {name}={value!r}.{nearest(str(value), choices)}')
        for name, value, least in (('seed', seed, 0), ('frames', frames, 1), ('size', size, 16)):
            self._require_whole(name, value, least)
        self.total, self.seed, self.split, self.frames, self.size, self.look = total, seed, split, frames, size, look
        self._cache: FrameCache | None = None
        if cache_dir is not None:
            facts = [FORMAT, type(self).__name__, self._name(), seed, split, frames, size, look, total]
            digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
            self._cache = FrameCache(Path(cache_dir).expanduser() / f'{split}-{digest}.npy')
        super().__init__(ann_file='', pipeline=list(pipeline), indices=indices, test_mode=test_mode)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of a scene without its frames: ``scene``, ``index`` in the whole list, label or caption."""
        info = super().get_data_info(idx)
        facts = dict(total_frames=self.frames, start_index=0, modality='RGB')
        return dict(info, filename=f'{self.split}-{info["index"]}', **facts)

    def prepare_data(self, idx: int) -> Any:
        """Hand a scene with its frames, ``array`` (T, H, W, 3) RGB uint8, to the pipeline."""
        info = self.get_data_info(idx)
        return self.pipeline(dict(info, array=self._frames(Scene(**info['scene']), info['index'])))

    @classmethod
    def _require_whole(cls, name: str, value: Any, least: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UserError(f'{cls.__name__}: {name} is a whole number from {least} on, got {value!r}.')

    def _key(self, index: int) -> list[int]:
        """What seeds a scene."""
        return [self.seed, SPLITS.index(self.split), *hashlib.sha256(self._name().encode()).digest()[:4], index]

    def _name(self) -> str:
        """What tells this kind of scenes from others."""
        raise NotImplementedError

    def _frames(self, scene: Scene, index: int) -> np.ndarray:
        """The frames of a scene, the caller's own: what a pipeline writes into them goes no further."""
        if self._cache is None:
            return self._render(scene, index)
        return np.array(self._cache.frames(self._shape(), self._render_all)[index])

    def fill_cache(self, processes: int = 1) -> None:
        """Render the whole list, also that of which this is a subset, into the cache, unless that was done.

        Args:
            processes: How many render at once.

        Raises:
            UserError: There is no ``cache_dir``, or it cannot be written to.
        """
        if self._cache is None:
            raise UserError(f'{type(self).__name__}: fill_cache renders into a cache_dir, and there is none.')
        self._cache.frames(self._shape(), lambda: self._render_all(processes))

    def _shape(self) -> tuple[int, ...]:
        """The shape of all frames of the whole list."""
        return self.total, self.frames, self.size, self.size, 3

    def _render_all(self, processes: int = 1) -> Iterator[np.ndarray]:
        """Render the whole list in its order."""
        entries = self.load_data_list()
        return in_order(
            lambda n: self._render(Scene(**entries[n]['scene']), entries[n]['index']), self.total, processes
        )

    def _render(self, scene: Scene, index: int) -> np.ndarray:
        rng, options = np.random.default_rng([*self._key(index), 1]), dict(size=self.size, look=LOOKS[self.look])
        if self.frames == 1:
            return render_still(scene, rng, **options)[None]
        return render_clip(scene, rng, frames=self.frames, **options)


@DATASETS.register_module()
class CaptionedScenes(_Rendered):
    """Stills of scenes that captions may tell of, each with a ``caption``; a quarter of the pairs never appears.

    Args:
        pipeline: See :class:`_Rendered`; ``PackActionInputs(meta_keys=('caption',))`` at its end hands the captions on.
        length: How many there are.
        shuffled: Whether captions change places with those of other stills, as a control.
        options: See :class:`_Rendered`.
    """

    def __init__(
        self, pipeline: Sequence[dict[str, Any]], *, length: int, shuffled: bool = False, **options: Any
    ) -> None:
        self._require_whole('length', length, 1)
        self.shuffled = shuffled
        super().__init__(pipeline, total=length, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Draw the scenes and their captions."""
        entries = []
        for index in range(self.total):
            rng = np.random.default_rng([*self._key(index), 0])
            scene = sample_captioned(rng)
            entries.append(dict(index=index, scene=vars(scene), caption=caption(scene, rng)))
        if self.shuffled:
            captions = [entry['caption'] for entry in entries]
            order = np.random.default_rng([*self._key(self.total), 2]).permutation(self.total)
            entries = [dict(entry, caption=captions[n]) for entry, n in zip(entries, order, strict=True)]
        return entries

    def _name(self) -> str:
        return 'captioned'


@DATASETS.register_module()
class SceneClasses(_Rendered):
    """Scenes of classes such as 'lifting a ball', with a ``label``; colour, place, person and look vary.

    Args:
        pipeline: See :class:`_Rendered`.
        kinds: Of ``'seen'`` (60 classes, the last 30 never captioned), ``'unseen'`` (20, the last 10 never captioned),
            ``'motion'`` (10 that differ in motion only) and ``'captioned'`` (all 144 pairs that captions may tell of);
            the classes of several follow each other.
        per_class: Scenes a class.
        options: See :class:`_Rendered`.

    Raises:
        UserError: A kind is unknown, or an option out of range.
    """

    def __init__(
        self, pipeline: Sequence[dict[str, Any]], *, kinds: Sequence[str] = ('seen',), per_class: int, **options: Any
    ) -> None:
        pairs = _pairs_of(kinds)
        self._require_whole('per_class', per_class, 1)
        self.kinds, self.per_class = tuple(kinds), per_class
        super().__init__(pipeline, total=per_class * len(pairs), **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Draw the scenes, class by class."""
        entries = []
        for label, (verb, thing) in enumerate(_pairs_of(self.kinds)):
            for _ in range(self.per_class):
                index = len(entries)
                rng = np.random.default_rng([*self._key(index), 0])
                entries.append(dict(index=index, scene=vars(Scene.sample(rng, verb, thing)), label=label))
        return entries

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of a scene, for ``ClassBalancedDataset``."""
        return [self.get_data_info(idx)['label']]

    def _name(self) -> str:
        return '-'.join(self.kinds)


def scene_class_names(*kinds: str) -> list[str]:
    """The class names of :class:`SceneClasses` with the same kinds, in the order of the labels.

    Raises:
        UserError: A kind is unknown or there twice, or there is none.
    """
    return [action(*pair) for pair in _pairs_of(kinds)]


def _pairs_of(kinds: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of some kinds, one after another."""
    if isinstance(kinds, str) or not isinstance(kinds, Sequence) or not kinds:
        raise UserError(f'SceneClasses: kinds is a list of at least one of {", ".join(PAIRS)}; got {kinds!r}.')
    for number, kind in enumerate(kinds):
        if not isinstance(kind, str) or kind not in PAIRS:
            raise UserError(f'SceneClasses: unknown kind {kind!r}.{nearest(str(kind), PAIRS)}')
        if kind in kinds[:number]:
            raise UserError(f'SceneClasses: kinds has {kind!r} twice, and each class has one label.')
    return [pair for kind in kinds for pair in PAIRS[kind]]
