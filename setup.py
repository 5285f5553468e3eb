"""Packaging of textxfer_mm: requirements from ``requirements/``, and the ``.mim`` folder that OpenMIM looks for."""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PACKAGE = 'textxfer_mm'
MIM_ITEMS = ('configs', 'tools', 'model-index.yml')


def read_version() -> str:
    """Return the version without importing the package, which would need its dependencies."""
    return re.search(r"__version__ = '([^']+)'", (ROOT / PACKAGE / 'version.py').read_text(encoding='utf-8')).group(1)


def read_requirements(name: str) -> list[str]:
    """Return the requirements listed in ``requirements/{name}.txt`` and in the files it includes with ``-r``."""
    requirements = []
    for line in (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines():
        line = line.split('#')[0].strip()
        if line.startswith('-r '):
            requirements += read_requirements(Path(line[3:].strip()).stem)
        elif line:
            requirements.append(line)
    return requirements


def read_extras() -> dict[str, list[str]]:
    """Return one extra for each file of ``requirements/`` but those of the runtime and two that are no extras."""
    names = sorted(path.stem for path in (ROOT / 'requirements').glob('*.txt'))
    return {name: read_requirements(name) for name in names if name not in ('runtime', 'constraints', 'exported')}


def add_mim_extension(package_dir: Path, link: bool) -> None:
    """Put ``configs``, ``tools`` and ``model-index.yml`` under ``{package_dir}/.mim``, where OpenMIM looks for them.

    Args:
        package_dir: The package that is installed: the source tree's for an editable install, the build tree's else.
        link: Symbolic links instead of copies, so that an editable install sees every change. Falls back to copies
            where the system refuses links.
    """
    mim_dir = package_dir / '.mim'
    shutil.rmtree(mim_dir, ignore_errors=True)
    mim_dir.mkdir(parents=True)
    for item in MIM_ITEMS:
        source, target = ROOT / item, mim_dir / item
        if link:
            try:
                target.symlink_to(os.path.relpath(source, mim_dir))
                continue
            except OSError:
                pass
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
        else:
            shutil.copy2(source, target)


class BuildWithMim(build_py):
    """``build_py`` is the one step that wheels, plain installs and today's editable installs all go through.

    The usual recipe looks for ``develop`` on the command line, which pip no longer puts there, and copies into the
    source tree, where stale copies stay behind.
    """

    def run(self) -> None:
        """Build the package, then add the ``.mim`` folder."""
        super().run()
        package_dir = ROOT / PACKAGE if self.editable_mode else Path(self.build_lib) / PACKAGE
        add_mim_extension(package_dir, link=self.editable_mode)


setup(
    name=PACKAGE,
    version=read_version(),
    description='Recognition with text embeddings as frozen classifiers: Text4Vis, MultiTrain and iCLIP for MMAction2',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    keywords='action recognition, video, CLIP, vision-language models, zero-shot, few-shot, MMAction2, OpenMMLab',
    license_expression='Apache-2.0',
    license_files=['LICENSE', f'{PACKAGE}/text/glosses/tables/WORDNET_LICENSE.txt'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Typing :: Typed',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    # namespace: folders of data count as packages too
    packages=find_namespace_packages(include=[PACKAGE, f'{PACKAGE}.*'], exclude=['*.__pycache__']),
    include_package_data=True,
    python_requires='>=3.10',
    install_requires=read_requirements('runtime'),
    extras_require=read_extras(),
    entry_points=dict(console_scripts=[f'textxfer = {PACKAGE}.cli.main:main']),
    cmdclass=dict(build_py=BuildWithMim),
    zip_safe=False,
)
