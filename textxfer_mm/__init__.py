"""textxfer_mm: recognition with the embeddings of class names as frozen classifiers, as a plugin for MMAction2.

``custom_imports = dict(imports=['textxfer_mm'])`` in a config is all it takes to register everything. Only the
``textxfer`` console script registers later, when a subcommand needs it: ``textxfer --help`` must not pay for torch.
"""

import os
import sys

from textxfer_mm.version import __version__

__all__ = ['__version__', 'register_all_modules']


def register_all_modules() -> None:
    """Repair the released upstream packages and register every class of this package; calling it twice is harmless."""
    import textxfer_mm.registry
    import textxfer_mm.datasets
    import textxfer_mm.engine
    import textxfer_mm.models  # noqa: F401


if os.path.basename(sys.argv[0] if sys.argv else '') not in ('textxfer', 'textxfer.exe'):
    register_all_modules()
