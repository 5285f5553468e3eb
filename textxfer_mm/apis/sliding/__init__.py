"""Windows that slide over a video: which frames each takes, and what a model makes of them, each frame once."""

from textxfer_mm.apis.sliding.encoders import Encoder, encoder_of
from textxfer_mm.apis.sliding.plan import FrameBuffer, Plan, over_windows

__all__ = ['Encoder', 'FrameBuffer', 'Plan', 'encoder_of', 'over_windows']
