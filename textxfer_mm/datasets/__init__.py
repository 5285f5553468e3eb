"""Datasets and transforms. The modules that register import mmaction; the toy actions do not."""
