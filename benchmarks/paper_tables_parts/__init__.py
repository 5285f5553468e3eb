"""The parts of ``benchmarks/paper_tables.py``: settings, data, one training run, the queue, and the report."""
