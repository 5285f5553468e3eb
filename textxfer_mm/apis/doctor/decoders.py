"""The check of decord, which two distributions bring under one name."""

import platform
import sys

from textxfer_mm.apis.doctor.check import Check, described
from textxfer_mm.apis.doctor.packages import (
    declared_requirements,
    import_cure,
    import_error,
    in_range,
    installed_version,
)

NAMES = ('decord', 'decord2')


def decord_of(system: str = sys.platform, machine: str | None = None) -> str:
    """Return the distribution that has wheels for a platform, as ``requirements/runtime.txt`` chooses it.

    Args:
        system: ``sys.platform`` there.
        machine: ``platform.machine()`` there; None for this one.
    """
    machine = platform.machine() if machine is None else machine
    return 'decord' if system == 'win32' or (system, machine) == ('linux', 'x86_64') else 'decord2'


def check_decord(right: str | None = None) -> Check:
    """Check that decord is there once, in a supported version, and imports.

    Args:
        right: The distribution for this platform, see :func:`decord_of`.
    """
    right = right or decord_of()
    versions = {name: version for name in NAMES if (version := installed_version(name))}
    ranges = {name: declared_requirements().get(name, '') for name in NAMES}
    install = f'pip install "{right}{ranges[right]}"'
    if not versions:
        return Check('decord', 'problem', 'not installed', install)
    found = ' and '.join(f'{name} {version}' for name, version in versions.items())
    anew = f'pip uninstall -y {" ".join(versions)} && {install}'
    if len(versions) > 1:
        return Check('decord', 'problem', f'{found} are both installed and fill one folder', anew)
    ((name, version),) = versions.items()
    error = import_error('decord')
    if error is not None:
        cure = import_cure(error, f'pip install --force-reinstall --no-deps "{right}{ranges[right]}"')
        return Check('decord', 'problem', f'{found} does not import: {described(error)}', cure)
    if not hasattr(sys.modules['decord'], 'VideoReader'):  # an empty folder imports, too
        lost = f'{found}: files are missing after the other distribution was uninstalled'
        return Check('decord', 'problem', lost, f'pip install --force-reinstall --no-deps "{right}{ranges[right]}"')
    if ranges[name] and not in_range(version, ranges[name]):
        return Check('decord', 'problem', f'{found}, supported: {ranges[name]}', anew)
    if name != right:
        return Check('decord', 'note', f'{found} works, but pip will add {right} beside it', anew)
    return Check('decord', 'ok', found if name == 'decord2' else version)
