"""Class rows: where they come from, and the modules that own, train, save and replace them. Plain PyTorch."""
