"""Files that the user names: configs, checkpoints, videos. Light, so that a mistyped path is told of at once."""

import importlib.util
import re
from pathlib import Path

from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.files import config_dir

URL = re.compile(r'^[\w.+-]+://')
CONFIG_SUFFIXES = ('.py', '.json', '.yml', '.yaml')
#: The dataloaders of a config.
SPLITS = ('train', 'val', 'test')
WEIGHT_SUFFIXES = ('.pt', '.pth', '.bin', '.safetensors')
#: What ``textxfer export`` writes: for onnxruntime, or for PyTorch.
ONNX, PT2 = '.onnx', '.pt2'
EXPORTED_SUFFIXES = (ONNX, PT2)
#: Kinds of devices that PyTorch, or a plugin of it that MMEngine knows, runs on.
DEVICES = ('cpu', 'cuda', 'mps', 'xpu', 'npu', 'mlu', 'musa', 'hpu', 'xla')
VIDEO_SUFFIXES = (
    *('.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v', '.mpg', '.mpeg', '.flv', '.wmv', '.3gp', '.3g2', '.gif', '.ogv'),
    *('.ts', '.mts', '.m2ts', '.vob', '.asf', '.divx', '.f4v', '.mxf'),
)
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm')


def find_config(path: str | Path) -> Path:
    """Return the file of a config; a path relative to the shipped configs works as well.

    Raises:
        UserError: There is no such file; the nearest names are listed.
    """
    path = Path(path).expanduser()
    file = path if path.is_file() else config_dir() / path
    if not file.is_file():
        raise UserError(f'config {path} does not exist.{_similar_config(path)}')
    return file


def _similar_config(path: Path) -> str:
    """Name configs that may have been meant: in the same folder, else among the shipped ones."""
    siblings = [p.name for p in path.parent.glob('*.py')] if path.parent.is_dir() else []
    if siblings:
        return nearest(path.name, siblings)
    shipped = config_dir()
    names = [str(p.relative_to(shipped)) for p in shipped.rglob('*.py') if '_base_' not in p.relative_to(shipped).parts]
    return nearest(str(path), names)


def require_checkpoint(path: str | Path) -> Path | None:
    """Return the local file of ``path``, or None for a URL.

    Raises:
        UserError: There is no such file, or it is an exported model.
    """
    refuse_exported(path)
    if URL.match(str(path)):
        return None
    return require_file(path, 'checkpoint', '*.pth')


def require_file(path: str | Path, kind: str, pattern: str) -> Path:
    """Return a file that must be there.

    Args:
        path: The file.
        kind: What it is, for the message.
        pattern: Matches the files beside it that may have been meant.

    Raises:
        UserError: There is no such file, but perhaps a folder; the nearest names are listed.
    """
    file = Path(path).expanduser()
    if not str(path):
        raise UserError(f'the path of the {kind} is empty (an unset shell variable?); give a file.')
    if file.is_dir():
        inside = first_few(sorted(p.name for p in file.glob(pattern)))
        raise UserError(f'{kind} {path} is a folder; give a file{f" of it: {inside}" if inside else ""}.')
    if not file.is_file():
        siblings = [p.name for p in file.parent.glob(pattern)] if file.parent.is_dir() else []
        raise UserError(f'{kind} {path} does not exist.{nearest(file.name, siblings)}')
    return file


def require_weights(weights: str, option: str) -> None:
    """Check weights that look like a file (a slash, or the suffix of weights) and not like the name of some.

    Args:
        weights: A file, or a name such as ``openai``.
        option: What gave it, for the message.

    Raises:
        UserError: There is no such file; the nearest names are listed.
    """
    if not URL.match(weights) and ('/' in weights or Path(weights).suffix.lower() in WEIGHT_SUFFIXES):
        require_file(weights, option, '*.*')


def find_clip_folder(model: str) -> Path | None:
    """Return the folder that a CLIP model was given as, or None for the name of an open_clip model.

    Such a name is that of a file in its package; open_clip is not imported.

    Raises:
        UserError: It is neither; the nearest names are listed.
    """
    refuse_exported(model)
    package = importlib.util.find_spec('open_clip')
    configs = Path(package.submodule_search_locations[0]) / 'model_configs'
    known = {path.stem for path in configs.glob('*.json')}
    if not known or model.replace('/', '-') in known:
        return None
    path = Path(model).expanduser()
    if not model or not path.exists():
        if '/' in model and path.parent.is_dir():
            siblings = [folder.name for folder in path.parent.iterdir() if folder.is_dir()]
            raise UserError(f'The folder {path} of a CLIP model does not exist.{nearest(path.name, siblings)}')
        raise UserError(f'Unknown CLIP architecture {model!r}.{nearest(model, known)}')
    if not path.is_dir():
        raise UserError(
            f'The CLIP model {model} is a file. Give the folder that holds it with its open_clip_config.json, or the '
            'name of an open_clip model and the file as its pretrained weights.'
        )
    return path


def require_device_name(device: str, option: str) -> None:
    """Check the form of a device's name; whether the machine has it is known only to torch.

    Raises:
        UserError: It is no name of a device.
    """
    if not re.fullmatch(rf'({"|".join(DEVICES)})(:\d+)?', device):
        raise UserError(f'{option} {device} is no device; give {", ".join(DEVICES)}, or one by its number: cuda:0.')


def require_seconds(value: float | None, option: str, *, may_be_zero: bool = False) -> None:
    """Refuse what is no length of time; None is let pass.

    Raises:
        UserError: It is below 0, not finite, or 0 where it must not be.
    """
    if value is None or 0 < value < float('inf') or (may_be_zero and value == 0):
        return
    wanted = 'seconds, 0 for none' if may_be_zero else 'seconds above 0'
    raise UserError(f'{option} {value:g} is no length of time: give {wanted}.')


def require_threshold(value: float | None, option: str) -> None:
    """Refuse a threshold that is no score; None is let pass.

    Raises:
        UserError: It is not between 0 and 1.
    """
    if value is not None and not 0 <= value <= 1:
        raise UserError(f'{option} {value:g} is no score: scores are from 0 to 1, and so is the threshold.')


def require_cosine(value: float | None, option: str) -> None:
    """Refuse a threshold that is no cosine; None is let pass.

    Raises:
        UserError: It is not between -1 and 1.
    """
    if value is not None and not -1 <= value <= 1:
        raise UserError(f'{option} {value:g} is no score: scores are cosines, from -1 to 1.')


def find_query_file(query: str | Path) -> Path | None:
    """The video or image that is searched with, or None for a text.

    A :class:`Path`, and what ends like the name of a video or an image, is a file.

    Raises:
        UserError: There is no such file, it is no video and no image by its name, or the text is empty.
    """
    text = str(query).strip()
    if not text or text == '.':
        raise UserError('The query is empty: give a text such as "a person falls down", or a video or image.')
    media = (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)
    file = Path(text).expanduser()
    if not text.lower().endswith(media):
        if isinstance(query, Path) or ('/' in text and file.is_file()):
            raise UserError(f'The query {text} is neither a video nor an image by its name.')
        return None
    if file.is_dir():
        raise UserError(f'The query {text} is a folder; give a video or an image.')
    if not file.is_file():
        beside = [path.name for path in file.parent.iterdir()] if file.parent.is_dir() else []
        likely = [name for name in beside if name.lower().endswith(media)]
        raise UserError(f'The query {text} does not exist.{nearest(file.name, likely)}')
    return file


def is_exported(path: str | Path | None) -> bool:
    """Whether a path has the suffix of what ``textxfer export`` writes."""
    return path is not None and Path(path).suffix.lower() in EXPORTED_SUFFIXES


def refuse_exported(path: str | Path) -> None:
    """Refuse an exported model where another one is wanted.

    Raises:
        UserError: It is one, by its suffix.
    """
    if is_exported(path):
        raise UserError(
            f'{path} is an exported model, by which `textxfer predict --model` alone recognises: give the checkpoint '
            'that it was made from.'
        )


def is_image(path: str | Path) -> bool:
    """Whether a file has the suffix of an image; that of an animation (.gif) is one of a video."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def find_videos(path: str | Path) -> list[Path]:
    """Return the video itself, or the videos of a folder, sorted by name; hidden ones (``._a.mp4``) are left out.

    Raises:
        UserError: There is nothing at the path, or no video in the folder.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        missing = 'is neither a file nor a folder' if path.exists() else 'does not exist'
        raise UserError(f'{path} {missing}. Give a video file or a folder of videos.')

    def wanted(file: Path) -> bool:
        return file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith('.') and file.is_file()

    found = sorted(filter(wanted, path.iterdir()))
    if not found:
        deeper = sum(map(wanted, path.rglob('*')))
        raise UserError(
            f'The folder {path} holds no video ({", ".join(VIDEO_SUFFIXES)}).'
            + (f' Its subfolders hold {deeper}: give one of them.' if deeper else '')
        )
    return found
