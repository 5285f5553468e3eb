"""Networks of exported files, ready to run: ``.onnx`` by onnxruntime, ``.pt2`` by PyTorch."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from textxfer_mm.errors import NotAtHandError, UserError, first_line, shown
from textxfer_mm.exported.description import DESCRIPTION, ROWS
from textxfer_mm.inputs import EXPORTED_SUFFIXES, ONNX, is_exported, require_file


class Session(Protocol):
    """A network that is ready to run.

    Attributes:
        metadata: What its file says of itself.
    """

    metadata: Mapping[str, str]

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Run it on its inputs, in their order."""


def open_session(path: str | Path, device: str | None = None, threads: int | None = None) -> Session:
    """Open an exported file.

    Args:
        path: The file.
        device: 'cpu' or 'cuda', with a number or without; None takes the CPU.
        threads: How many compute; None takes the default of the library.

    Raises:
        UserError: There is no such file, it is of another kind or damaged, the library that runs it is missing
            (``NotAtHandError``), or the device is not there.
    """
    file = Path(path).expanduser()
    if not is_exported(file):
        raise UserError(f'{shown(path)}: exported models end in {" or ".join(EXPORTED_SUFFIXES)}.')
    require_file(file, 'exported file', f'*{file.suffix}')
    make = _OnnxSession if file.suffix.lower() == ONNX else _TorchSession
    return make(file, device or 'cpu', threads)


class _OnnxSession:
    """A network of onnxruntime; see :class:`Session`."""

    def __init__(self, file: Path, device: str, threads: int | None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise NotAtHandError(
                f'{shown(file)} is run by onnxruntime, which is not installed: pip install "textxfer_mm[onnx]".'
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        kind, _, number = device.partition(':')
        provider = f'{kind.upper()}ExecutionProvider'
        if provider not in onnxruntime.get_available_providers():
            found = ', '.join(onnxruntime.get_available_providers())
            raise UserError(f'device {device} is none of this onnxruntime, which has {found}.')
        providers = [(provider, dict(device_id=int(number)))] if number else [provider]
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers)
        except Exception as error:  # onnxruntime's own have no common class
            raise UserError(f'{shown(file)} is no network that onnxruntime can run: {first_line(error)}') from error
        self.metadata = self._session.get_modelmeta().custom_metadata_map
        self._names = [each.name for each in self._session.get_inputs()]

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Run it."""
        return self._session.run(None, dict(zip(self._names, inputs, strict=True)))[0]


class _TorchSession:
    """A network of ``torch.export``; see :class:`Session`."""

    def __init__(self, file: Path, device: str, threads: int | None) -> None:
        try:
            import torch
        except ImportError as error:
            raise NotAtHandError(
                f'{shown(file)} is run by PyTorch, which is not installed: pip install torch.'
            ) from error
        _refuse_code(file)
        extra = {DESCRIPTION: '', ROWS: ''}
        try:
            program = torch.export.load(str(file), extra_files=extra)
            module = program.module()
        except Exception as error:  # whatever a damaged file leads to
            raise UserError(f'{shown(file)} cannot be loaded by torch.export: {first_line(error)}') from error
        try:
            self._module = module.to(device)
        except (RuntimeError, AssertionError) as error:  # what PyTorch was built without, or has no room for
            raise UserError(f'{shown(file)} cannot be put on device {device}: {first_line(error)}') from error
        if threads is not None:
            torch.set_num_threads(threads)
        self.metadata, self._device = extra, device

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Run it."""
        import torch

        with torch.inference_mode():
            tensors = [torch.from_numpy(np.ascontiguousarray(each)).to(self._device) for each in inputs]
            return self._module(*tensors).cpu().numpy()


def _refuse_code(file: Path) -> None:
    """Refuse a file that could run code of its author: ``torch.export.load`` unpickles what it finds.

    Raises:
        UserError: It holds compiled code or pickles of more than tensors, or is no archive of ``torch.export``.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names) or any(name != name.lower() for name in map(_inside, names)):
                raise UserError(f'{shown(file)} names its parts as torch.export does not: it is not read.')
            if not any(name.endswith('archive_format') for name in names):
                raise UserError(f'{shown(file)} is no file of torch.export.')
            for name in names:
                if '/data/aotinductor/' in name or '/custom_obj' in name:
                    raise UserError(f'{shown(file)} holds code or objects of its author, which are not run: {name}.')
                if name.endswith('.json') and _says_pickle(json.loads(archive.read(name))):
                    raise UserError(f'{shown(file)} holds pickled weights, which could run code: {name}.')
                if name.endswith(('.pt', '.pth', '.pkl')):
                    _require_tensors(archive.read(name), f'{shown(file)} ({name})')
    except UserError:
        raise
    except Exception as error:  # whatever a damaged file leads to
        raise UserError(f'{shown(file)} is no file of torch.export, or is damaged: {first_line(error)}.') from error


def _inside(name: str) -> str:
    """The name of a part without the folder all parts are in, which is called as the file was."""
    return name.partition('/')[2]


def _require_tensors(pickled: bytes, name: str) -> None:
    """Refuse a pickle of more than tensors.

    Raises:
        UserError: It is one, or damaged.
    """
    import torch

    try:
        torch.load(io.BytesIO(pickled), weights_only=True)
    except Exception as error:  # whatever a damaged file leads to
        raise UserError(
            f'{name} holds a pickle of more than tensors, which could run code: it is not loaded.'
        ) from error


def _says_pickle(node: Any) -> bool:
    """Whether a list of weights says that some are pickled."""
    if isinstance(node, Mapping):
        return bool(node.get('use_pickle')) or any(map(_says_pickle, node.values()))
    return isinstance(node, list) and any(map(_says_pickle, node))
