"""Test pipelines as plain data for :class:`~textxfer_mm.exported.inputs.ExportedInputs`; unknown steps are refused."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from textxfer_mm.apis.prediction_inputs import NUM_FRAMES
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.exported.inputs import ExportedInputs
from textxfer_mm.exported.pixels import INTERPOLATIONS

Step = Mapping[str, Any]

#: Steps that say nothing of pixels: they open, decode and pack, which the run time does in its own way.
_OPENING = ('ExactVideoInit', 'TolerantDecordInit', 'DecordInit', 'PyAVInit', 'LoadImageFromFile')
#: Options of these, with the values that the run time knows.
_AS_LOADED = dict(imdecode_backend='cv2', color_type='color', to_float32=False)
_DECODING = ('ExactVideoDecode', 'TolerantDecordDecode', 'DecordDecode', 'PyAVDecode')
_PACKING = ('PackActionInputs', 'PackInputs')
#: The options of steps that choose frames, with the only value of those that have one.
_SAMPLING: Mapping[str, Mapping[str, Any]] = dict(
    UniformSample=dict(clip_len=..., num_clips=..., test_mode=True),
    SegmentStartSample=dict(clip_len=..., num_clips=...),
    SampleFrames=dict(
        **dict(clip_len=..., frame_interval=..., num_clips=..., twice_sample=..., out_of_bound_opt=...),
        **dict(target_fps=..., temporal_jitter=False, keep_tail_frames=..., test_mode=True),
    ),
)
#: Sampling options that testing does not read.
_UNREAD = ('test_mode', 'temporal_jitter', 'keep_tail_frames')
#: Sizes of videos (h, w) that tell whether all give frames of one size.
_PROBES = ((480, 640), (640, 480), (512, 512), (301, 437))


def plan_of(pipeline: Sequence[Step], *, images: bool) -> dict[str, Any]:
    """Describe a test pipeline as plain data.

    Args:
        pipeline: The steps, as configs.
        images: Whether the model is one of images.

    Raises:
        UserError: A step is unknown here, is random, or has an option that is; it is named.
    """
    plan: dict[str, Any] = dict(images=images, sample=None, steps=[], clip_len=None)
    if images:
        plan['sample'] = dict(type='UniformSample', clip_len=NUM_FRAMES)
    for step in _flat(pipeline):
        kind = _kind(step)
        if kind in _SAMPLING and not images:
            plan['sample'] = _sampling(step, kind)
        elif kind in _PIXELS:
            plan['steps'].append(_PIXELS[kind](step, images))
        elif kind == 'FormatShape':
            _refuse_others(step, kind, dict(input_format=..., collapse=False))
            if step['input_format'] not in ('NCTHW', 'NCHW'):
                raise UserError(f'The pipeline cannot be exported: FormatShape(input_format={step["input_format"]!r}).')
            plan['clip_len'] = plan['sample']['clip_len'] if step['input_format'] == 'NCTHW' else None
        elif kind in _OPENING:
            if step.get('io_backend', 'disk') != 'disk' or (kind == 'LoadImageFromFile') != images:
                raise _unknown(step, kind)
            for option, usual in _AS_LOADED.items():
                if step.get(option, usual) != usual:
                    raise UserError(f'The pipeline cannot be exported: {kind}({option}={step[option]!r}).')
        elif kind in _DECODING:
            if step.get('mode', 'accurate') != 'accurate':
                raise UserError(f'The pipeline cannot be exported: {kind}(mode={step["mode"]!r}) gives other frames.')
        elif not (kind in _PACKING or _does_nothing(step, kind)):
            raise _unknown(step, kind)
    if plan['sample'] is None:
        raise UserError(f'The pipeline cannot be exported: none of its steps chooses frames ({first_few(_SAMPLING)}).')
    return plan


def frame_shape(plan: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of what the pipeline makes of a video: (V, 3, T, H, W), or (V, 3, H, W).

    Raises:
        UserError: It depends on the size of the video.
    """
    inputs, shapes, failures = ExportedInputs(plan), set(), []
    for height, width in _PROBES:
        try:
            shapes.add(inputs(np.zeros((1, height, width, 3), np.uint8)).shape)
        except ValueError as error:  # some pipelines take no portrait videos
            failures.append(error)
    if not shapes:
        raise UserError(f'The pipeline cannot be exported: {failures[0]}.') from failures[0]
    if len(shapes) > 1:
        sizes = first_few(sorted(f'{shape[-1]} x {shape[-2]}' for shape in shapes))
        raise UserError(
            f'The pipeline cannot be exported: the size of its frames depends on the video ({sizes}). End it in a step '
            'that cuts out one size, such as CenterCrop, or resize with keep_ratio=False.'
        )
    return shapes.pop()


def _flat(pipeline: Sequence[Step]) -> Iterator[Step]:
    """The steps, with those inside ``TolerantDecode``."""
    for step in pipeline:
        plain = {key: value for key, value in step.items() if key != '_scope_'}  # of a config by another's `_base_`
        yield from _flat(plain['transforms']) if _kind(plain) == 'TolerantDecode' else [plain]


def _kind(step: Step) -> str:
    """The type of a step without the scope of its registry."""
    return str(step['type']).rpartition('.')[2]


def _unknown(step: Step, kind: str) -> UserError:
    known = first_few([*_SAMPLING, *_PIXELS], 20)
    options = ', '.join(f'{key}={value!r}' for key, value in step.items() if key != 'type')
    return UserError(
        f'The pipeline cannot be exported: its step {kind}({options}) is none that exported models know ({known}).'
    )


def _does_nothing(step: Step, kind: str) -> bool:
    return kind == 'Flip' and step.get('flip_ratio') == 0


def _refuse_others(step: Step, kind: str, allowed: Mapping[str, Any]) -> None:
    """Refuse options that are unknown, or have another value than the one that there is."""
    for key, value in step.items():
        if key != 'type' and (key not in allowed or allowed[key] not in (..., value)):
            raise UserError(f'The pipeline cannot be exported: exported models know no {kind}({key}={value!r}).')


def _sampling(step: Step, kind: str) -> dict[str, Any]:
    allowed = _SAMPLING[kind]
    _refuse_others(step, kind, allowed)
    if 'test_mode' in allowed and not step.get('test_mode', False):
        raise UserError(f'The pipeline cannot be exported: {kind} is random without test_mode=True.')
    return dict(type=kind) | {key: value for key, value in step.items() if key not in ('type', *_UNREAD)}


def _pair(size: Any) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


def _interpolation(step: Step, kind: str, backend: str) -> dict[str, str]:
    name = step.get('interpolation', 'bilinear')
    if name not in INTERPOLATIONS.get(backend, ()):
        raise UserError(f'The pipeline cannot be exported: {kind} interpolates by {name!r} of {backend!r}.')
    return dict(interpolation=name, backend=backend)


def _resize(step: Step, images: bool) -> dict[str, Any]:
    own = dict(clip_object_border=..., backend=...) if images else dict(lazy=False)
    _refuse_others(step, 'Resize', dict(scale=..., keep_ratio=..., interpolation=...) | own)
    keep_ratio, scale = step.get('keep_ratio', not images), step['scale']
    scale = scale if isinstance(scale, float) else _pair(scale)
    drawn = _interpolation(step, 'Resize', step.get('backend', 'cv2'))
    return dict(type='Resize', scale=scale, keep_ratio=keep_ratio, **drawn)


def _resize_edge(step: Step, images: bool) -> dict[str, Any]:
    _refuse_others(step, 'ResizeEdge', dict(scale=..., edge=..., backend=..., interpolation=...))
    drawn = _interpolation(step, 'ResizeEdge', step.get('backend', 'cv2'))
    return dict(type='ResizeEdge', scale=step['scale'], edge=step.get('edge', 'short'), **drawn)


def _center_crop(step: Step, images: bool) -> dict[str, Any]:
    own = dict(auto_pad=False, pad_cfg=..., clip_object_border=...) if images else dict(lazy=False)
    _refuse_others(step, 'CenterCrop', dict(crop_size=...) | own)
    return dict(type='CenterCropImage' if images else 'CenterCrop', crop_size=_pair(step['crop_size']))


def _several_crops(step: Step, images: bool) -> dict[str, Any]:
    kind = _kind(step)
    _refuse_others(step, kind, dict(crop_size=...))
    size = step['crop_size']
    return dict(type=kind, crop_size=size if kind == 'FullResThreeCrop' else _pair(size))


def _pillow_resize(step: Step, images: bool) -> dict[str, Any]:
    _refuse_others(step, 'PillowResize', dict(short_side=...))
    return dict(type='PillowResize', short_side=step['short_side'])


#: What describes the steps that resize and crop.
_PIXELS: Mapping[str, Callable[[Step, bool], dict[str, Any]]] = dict(
    Resize=_resize,
    ResizeEdge=_resize_edge,
    PillowResize=_pillow_resize,
    CenterCrop=_center_crop,
    ThreeCrop=_several_crops,
    TenCrop=_several_crops,
    FullResThreeCrop=_several_crops,
)
