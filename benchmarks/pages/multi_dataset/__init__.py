"""The page docs/multi_dataset_tables.md: MultiTrain with the quick start's model on three small sets of toy actions."""
