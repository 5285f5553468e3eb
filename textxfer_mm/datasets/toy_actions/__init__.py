"""Toy actions: short videos of drawn people, rendered on the spot, for trying everything without a download."""

from textxfer_mm.datasets.toy_actions.clip import ACTIONS, Clip, render_clip
from textxfer_mm.datasets.toy_actions.files import render_toy_actions
from textxfer_mm.datasets.toy_actions.motions import SEEN_ACTIONS, UNSEEN_ACTIONS

__all__ = ['ACTIONS', 'SEEN_ACTIONS', 'UNSEEN_ACTIONS', 'Clip', 'render_clip', 'render_toy_actions']
