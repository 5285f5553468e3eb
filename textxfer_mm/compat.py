"""Repairs of released upstream packages."""


def apply() -> None:
    """Apply every repair."""
