"""Registers everything when it is imported: what ``custom_imports`` of a config names."""

from textxfer_mm import register_all_modules

register_all_modules()
