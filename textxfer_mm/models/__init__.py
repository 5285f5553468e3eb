"""Registered models: backbones and necks."""

from textxfer_mm.models import backbones, necks

__all__ = ['backbones', 'necks']
