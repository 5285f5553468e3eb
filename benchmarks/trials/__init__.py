"""Runs that are killed, starved and fed with rubbish: what ``benchmarks/robustness.py`` tries."""
