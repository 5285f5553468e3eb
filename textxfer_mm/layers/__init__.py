"""Plain ``nn.Module`` layers without a registry: temporal modules, cosine logits, projections."""
