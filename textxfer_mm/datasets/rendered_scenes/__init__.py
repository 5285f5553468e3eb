"""Rendered scenes: captioned stills to pre-train a small CLIP on, and clips of actions to recognise with it."""

from textxfer_mm.datasets.rendered_scenes.render import PLAIN, SHIFTED, Look, render_clip, render_still
from textxfer_mm.datasets.rendered_scenes.words import (
    Scene,
    caption,
    is_captioned,
    sample_captioned,
)

__all__ = [
    'PLAIN',
    'SHIFTED',
    'Look',
    'Scene',
    'caption',
    'is_captioned',
    'render_clip',
    'render_still',
    'sample_captioned',
]
