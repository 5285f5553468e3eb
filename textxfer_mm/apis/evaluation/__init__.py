"""Evaluation: any protocol, from features that are encoded once."""

from textxfer_mm.apis.evaluation.run import evaluate

__all__ = ['evaluate']
