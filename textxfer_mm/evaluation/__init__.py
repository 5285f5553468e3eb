"""Protocols as pure functions of scores and labels, and the metrics that register them."""
