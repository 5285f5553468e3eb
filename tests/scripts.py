"""Scripts of the checkout as modules: what lies in ``tools`` and ``benchmarks`` is no package."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def load_script(path: str) -> ModuleType:
    """Run a script, named from the root of the checkout, as a module of its own."""
    spec = importlib.util.spec_from_file_location(path.removesuffix('.py').replace('/', '_'), ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
