"""Losses as plain functions of tensors, and the one differentiable gather of the project."""
