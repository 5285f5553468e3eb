"""What ``tools/analysis_tools`` show: the cost of a model, the classes it knows, the runs that were logged."""
