"""Rendered scenes as datasets: captioned stills, and classes of stills or clips; nothing is downloaded or decoded."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from mmengine.dataset import BaseDataset

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
from textxfer_mm.files import replacing
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
        seed: Seed of the scenes.
        split: ``'train'``, ``'val'`` or ``'test'``: other scenes of the same kind.
        frames: T, the frames of a scene; 1 renders stills.
        size: Height and width in pixels.
        look: ``'plain'`` or ``'shifted'``.
        cache_dir: Folder that keeps what was rendered, uncompressed (12 kB a frame of 64 pixels); None keeps nothing.
        indices: Which of the scenes to take, as in every dataset of MMEngine; None takes all.
        test_mode: As in every dataset of MMEngine.

    Raises:
        UserError: An option is out of range.
    """

    def __init__(
        self,
        pipeline: Sequence[dict[str, Any]],
        *,
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
            if value not in choices:
                raise UserError(f'{type(self).__name__}: unknown {name}={value!r}.{nearest(str(value), choices)}')
        for name, value, least in (('seed', seed, 0), ('frames', frames, 1), ('size', size, 16)):
            if not isinstance(value, int) or value < least:
                raise UserError(f'{type(self).__name__}: {name} is a whole number from {least} on, got {value!r}.')
        self.seed, self.split, self.frames, self.size, self.look = seed, split, frames, size, look
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self._kept: np.ndarray | None = None
        super().__init__(ann_file='', pipeline=list(pipeline), indices=indices, test_mode=test_mode)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """One scene: ``array`` (T, H, W, 3) RGB uint8, ``total_frames``, ``filename``, and its label or caption."""
        info = super().get_data_info(idx)
        scene, index = Scene(**info.pop('scene')), info.pop('index')
        array = self._render(scene, index) if self.cache_dir is None else np.array(self._frames()[index])
        facts = dict(total_frames=self.frames, start_index=0, modality='RGB', filename=f'{self.split}-{index}')
        return dict(info, array=array, **facts)

    def _key(self, index: int) -> list[int]:
        """What seeds a scene."""
        return [self.seed, SPLITS.index(self.split), *hashlib.sha256(self._name().encode()).digest()[:4], index]

    def _name(self) -> str:
        """What tells this kind of scenes from others."""
        raise NotImplementedError

    def _render(self, scene: Scene, index: int) -> np.ndarray:
        rng, options = np.random.default_rng([*self._key(index), 1]), dict(size=self.size, look=LOOKS[self.look])
        if self.frames == 1:
            return render_still(scene, rng, **options)[None]
        return render_clip(scene, rng, frames=self.frames, **options)

    def _frames(self) -> np.ndarray:
        """The rendered frames (n, T, H, W, 3) on disk; whoever comes first renders them, others wait."""
        if self._kept is None:
            scenes = [Scene(**entry['scene']) for entry in self.load_data_list()]  # all, also those of a subset
            facts = [FORMAT, self._name(), self.seed, self.split, self.frames, self.size, self.look, len(scenes)]
            digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
            file = self.cache_dir / f'{self.split}-{digest}.npy'
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_suffix('.lock')):
                if not file.exists():
                    with replacing(file) as part:
                        np.save(part, np.stack([self._render(scene, index) for index, scene in enumerate(scenes)]))
            self._kept = np.load(file, mmap_mode='r')
        return self._kept


@DATASETS.register_module()
class CaptionedScenes(_Rendered):
    """Stills of scenes that captions may tell of, each with a ``caption``; a quarter of the pairs never appears.

    Args:
        pipeline: See :class:`_Rendered`; ``PackActionInputs(meta_keys=('caption',))`` at its end hands the captions on.
        length: How many there are.
        shuffled: Whether every still gets the caption of another one: a control that teaches nothing.
        options: See :class:`_Rendered`.
    """

    def __init__(
        self, pipeline: Sequence[dict[str, Any]], *, length: int, shuffled: bool = False, **options: Any
    ) -> None:
        if not isinstance(length, int) or length < 1:
            raise UserError(f'CaptionedScenes: length is a number of stills, at least 1; got {length!r}.')
        self.length, self.shuffled = length, shuffled
        super().__init__(pipeline, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Draw the scenes and their captions."""
        entries = []
        for index in range(self.length):
            rng = np.random.default_rng([*self._key(index), 0])
            scene = sample_captioned(rng)
            entries.append(dict(index=index, scene=vars(scene), caption=caption(scene, rng)))
        if self.shuffled:
            captions = [entry['caption'] for entry in entries]
            order = np.random.default_rng([*self._key(self.length), 2]).permutation(self.length)
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
        for kind in kinds:
            if kind not in PAIRS:
                raise UserError(f'SceneClasses: unknown kind {kind!r}.{nearest(str(kind), PAIRS)}')
        if not isinstance(per_class, int) or per_class < 1:
            raise UserError(f'SceneClasses: per_class is a number of scenes, at least 1; got {per_class!r}.')
        self.kinds, self.per_class = tuple(kinds), per_class
        super().__init__(pipeline, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Draw the scenes, class by class."""
        entries = []
        for label, (verb, thing) in enumerate(pair for kind in self.kinds for pair in PAIRS[kind]):
            for _ in range(self.per_class):
                index = len(entries)
                rng = np.random.default_rng([*self._key(index), 0])
                entries.append(dict(index=index, scene=vars(Scene.sample(rng, verb, thing)), label=label))
        return entries

    def _name(self) -> str:
        return '-'.join(self.kinds)


def scene_class_names(*kinds: str) -> list[str]:
    """The class names of :class:`SceneClasses` with the same kinds, in the order of the labels."""
    return [action(*pair) for kind in kinds for pair in PAIRS[kind]]
