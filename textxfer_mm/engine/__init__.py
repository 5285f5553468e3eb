"""Hooks, optimizer wrapper, checkpoint files and what the scripts in ``tools/`` share."""
