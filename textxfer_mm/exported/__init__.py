"""Exported models at run time: files of ``textxfer export`` recognise with NumPy, OpenCV, PyAV and onnxruntime alone.

Nothing here imports MMAction2, MMEngine, MMCV or PyTorch, which a ``.pt2`` file alone needs.
"""
