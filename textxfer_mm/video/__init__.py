"""Video files: what is in them, and the frames that were asked for. Plain NumPy over PyAV."""
