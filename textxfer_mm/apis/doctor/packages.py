"""Checks of the installed packages: versions against what this package declares, and whether they import."""

import importlib
import importlib.metadata
import sys
import warnings

from textxfer_mm.apis.doctor.check import Check, described

#: The packages worth a row, by distribution, with the module that shows whether they work.
MODULES = {
    'torch': 'torch',
    'torchvision': 'torchvision',
    'setuptools': 'pkg_resources',
    'mmengine': 'mmengine',
    'mmcv-lite': 'mmcv',
    'mmaction2': 'mmaction',
    'mmpretrain': 'mmpretrain',
    'open-clip-torch': 'open_clip',
    'timm': 'timm',
    'av': 'av',
    'sentence-transformers': 'sentence_transformers',
    'gradio': 'gradio',
    'onnxruntime': 'onnxruntime',
    'onnxscript': 'onnxscript',
    'ray': 'ray',
}
#: Those of them that are optional, with the extra that brings them.
EXTRAS = {
    'sentence-transformers': 'language',
    'gradio': 'web',
    'onnxruntime': 'onnx',
    'onnxscript': 'onnx',
    'ray': 'ray',
}
#: Larger distributions of the same module, which serve as well.
FULL = {'mmcv-lite': 'mmcv', 'onnxruntime': 'onnxruntime-gpu'}
#: Forks of OpenMMLab's packages, by the package whose module they bring.
FORKS = {'mmcv-lite': 'onedl-mmcv', 'mmengine': 'onedl-mmengine', 'mmpretrain': 'onedl-mmpretrain'}
OPENCV = ('opencv-python', 'opencv-contrib-python', 'opencv-python-headless', 'opencv-contrib-python-headless')
OPENCV_CURE = (
    'apt-get install libgl1 libglib2.0-0, or without a desktop: pip uninstall -y opencv-python opencv-contrib-python '
    '&& pip install opencv-python-headless'
)


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, None without it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def declared_requirements() -> dict[str, str]:
    """Return what this package declares, of extras as well: ``{canonical name: version range}``.

    Empty where this package is not installed (run from a checkout) or ``packaging`` is missing.
    """
    try:
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name

        lines = importlib.metadata.requires('textxfer_mm') or []
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return {}
    declared: dict[str, str] = {}
    for line in sorted(lines, key=lambda line: 'extra ==' in line):  # what is always needed decides
        requirement = Requirement(line)
        declared.setdefault(canonicalize_name(requirement.name), str(requirement.specifier))
    return declared


def check_packages() -> list[Check]:
    """Check every package of :data:`MODULES`, and whether this package itself is installed."""
    declared = declared_requirements()
    checks = [check_package(name, module, declared.get(name, '')) for name, module in MODULES.items()]
    if not declared:
        cure = 'pip install -e . -c requirements/constraints.txt'
        checks.insert(0, Check('textxfer_mm', 'note', 'not installed, so version ranges are not checked', cure))
    return checks


def check_package(distribution: str, module: str, specifier: str = '') -> Check:
    """Check that a package is there, in the supported range, and imports.

    Args:
        distribution: Name on the package index.
        module: The module to import.
        specifier: Supported versions, e.g. ``>=2.6``; '' for any.
    """
    names = (distribution, *(table[distribution] for table in (FULL, FORKS) if distribution in table))
    name = next((name for name in names if installed_version(name)), distribution)
    version = installed_version(name)
    cure = f'pip install "{distribution}{specifier}"'
    if version is None:
        if distribution in EXTRAS:
            cure = f'pip install "textxfer_mm[{EXTRAS[distribution]}]"'
            return Check(distribution, 'note', 'not installed, optional', cure)
        return Check(distribution, 'problem', 'not installed', cure)
    found = f'{version}' if name == distribution else f'{name} {version}'
    if specifier and not in_range(version, specifier) and name not in (FORKS['mmengine'], FORKS['mmpretrain']):
        return Check(distribution, 'problem', f'{found}, supported: {specifier}', cure)
    error = import_error(module)
    if error is not None:
        return Check(distribution, 'problem', f'{found} does not import: {described(error)}', import_cure(error, cure))
    if name == FORKS.get(distribution):
        advice = f'install this package with --no-deps, else pip adds {distribution} beside it'
        return Check(distribution, 'note', f'{found}, a fork', advice)
    return Check(distribution, 'ok', found)


def check_forks() -> list[Check]:
    """Report forks that are installed beside the package they replace: both fill one folder."""
    checks = []
    for name, fork in FORKS.items():
        originals = [other for other in (name, FULL.get(name, name)) if installed_version(other)]
        if originals and installed_version(fork):
            found = f'{originals[0]} and {fork} are both installed and fill one folder'
            cure = f'pip uninstall -y {fork} && pip install --force-reinstall --no-deps {originals[0]}'
            checks.append(Check(fork, 'problem', found, cure))
    return checks


def check_opencv() -> Check:
    """Check that ``cv2`` works; MMEngine and MMAction2 pull in two distributions that share its files."""
    copies = {name: version for name in OPENCV if (version := installed_version(name))}
    found = ', '.join(f'{name} {version}' for name, version in copies.items()) or 'not installed'
    error = import_error('cv2')
    if error is not None:
        return Check('opencv', 'problem', f'{found}: {described(error)}', import_cure(error, OPENCV_CURE))
    name = next((name for name in reversed(OPENCV) if name in copies), OPENCV[0])
    repair = f'pip install --force-reinstall --no-deps {name}'
    if not hasattr(sys.modules['cv2'], '__version__'):
        return Check('opencv', 'problem', f'{found}: files are missing after one copy was uninstalled', repair)
    if len(set(copies.values())) > 1:
        return Check('opencv', 'note', f'{found}: copies of different versions overwrite each other', repair)
    return Check('opencv', 'ok', found)


def check_registration() -> Check:
    """Check that everything of this package registers, and name the repairs of upstream packages in use."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            importlib.import_module('textxfer_mm').register_all_modules()
            importlib.import_module('mmaction.models')
            dependency = importlib.import_module('mmaction.utils.dependency')
        except Exception as error:
            cure = import_cure(error, 'solve the problems above first; else report this line')
            return Check('registration', 'problem', described(error), cure)
    drn = sys.modules.get('mmaction.models.localizers.drn')
    repairs = ['localizer DRN, which the wheel lacks'] if drn and getattr(drn, '__file__', None) is None else []
    if not dependency.WITH_MULTIMODAL:
        repairs.append('multimodal models switched off')
    return Check('registration', 'ok', f'registered; mmaction2 repaired: {", ".join(repairs) or "nothing to repair"}')


def in_range(version: str, specifier: str) -> bool:
    """Say whether a version is in a range such as ``>=2.6,<3``; local parts as in ``2.6.0+cu124`` do not count."""
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)


def import_error(module: str) -> Exception | None:
    """Import a module and return what it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            importlib.import_module(module)
        except Exception as error:
            return error
    return None


def import_cure(error: Exception, default: str) -> str:
    """Return the cure for the well-known import errors, else the default."""
    message = str(error)
    if message.startswith("No module named 'cv2'"):
        return 'pip install opencv-python'
    known = {
        ('libGL', 'libgthread', 'libglib', 'libxcb', 'cv2'): OPENCV_CURE,
        ('pkg_resources',): 'pip install "setuptools>=77.0.3,<82"',
        ('importlib_metadata',): 'pip install importlib-metadata',
        (
            'torchvision::',
            'operator torchvision',
        ): 'pip install torch torchvision (together: their versions must match)',
    }
    return next((cure for words, cure in known.items() if any(word in message for word in words)), default)
