"""Graphs as files: ``torch.export``, then ``.pt2`` as it is or ``.onnx`` by PyTorch's exporter."""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from textxfer_mm.errors import NotAtHandError, UserError, first_line, shown
from textxfer_mm.files import require_new_file, require_writable_file
from textxfer_mm.inputs import EXPORTED_SUFFIXES, ONNX, is_exported

#: A file of protobuf, which ``.onnx`` is, holds 2 GiB; of these the network itself takes no more than the last MiB.
_MOST_BYTES = 2**31 - 2**20
#: Loggers of the exporter, which tell of each step.
_TALKING = ('torch.onnx', 'onnxscript', 'onnx_ir', 'torch.export', 'torch._export')


def require_out(path: str | Path, option: str, overwrite: bool) -> Path:
    """Check, before any work is done, that a file can be exported to.

    Raises:
        UserError: Its suffix is none of exported files, it is there already, it cannot be written, or a package that
            is needed is missing (``NotAtHandError``).
    """
    file = Path(path).expanduser()
    if not is_exported(file):
        raise UserError(f'{option} {shown(path)}: exported models end in {" or ".join(EXPORTED_SUFFIXES)}.')
    require_writable_file(file, option)
    require_new_file(file, overwrite)
    if file.suffix.lower() == ONNX:
        _require_onnx()
    return file


def _require_onnx() -> None:
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        try:
            __import__(package)
        except ImportError as error:
            raise NotAtHandError(
                f'Exporting to {ONNX} needs {package}: pip install "textxfer_mm[onnx]". A .pt2 file does not.'
            ) from error


def write_graph(
    graph: nn.Module,
    example: Sequence[Tensor],
    shapes: Sequence[Mapping[int, Dim]],
    output: str,
    file: Path,
    metadata: Mapping[str, str],
) -> None:
    """Export a graph to a file.

    Args:
        graph: In evaluation mode; its inputs go by the names of the arguments of ``forward``.
        example: Inputs; what is free is 2 or more.
        shapes: For each input the axes that are free.
        output: What its output is called.
        file: The file, ``.onnx`` or ``.pt2``.
        metadata: What it says of itself.

    Raises:
        UserError: An operator cannot be exported (it is named), or the weights are too large for the format.
    """
    with _quiet():
        program = _program(graph, example, shapes)
        if file.suffix.lower() != ONNX:
            with file.open('wb') as stream:  # by its path it would be named inside after a file that is renamed
                torch.export.save(program, stream, extra_files=dict(metadata))
            return
        try:
            exported = torch.onnx.export(program, dynamo=True, verbose=False, output_names=[output])
        except Exception as error:  # the exporter's own have no common class
            raise UserError(f'The model cannot be exported to {ONNX}: {_why(error)}.') from error
        _name_axes(exported.model, shapes)
        _save(exported.model, file, metadata)


def _save(model: Any, file: Path, metadata: Mapping[str, str]) -> None:
    """Write an ONNX graph to one file, with its weights in it; PyTorch's own ``save`` makes two of 1.5 GiB and more.

    Raises:
        UserError: It is too large for one file. What counts is what the graph holds: not the text tower beside it.
    """
    import onnx_ir

    weights = sum(each.const_value.nbytes for each in model.graph.initializers.values() if each.const_value is not None)
    if weights + sum(len(value.encode()) for value in metadata.values()) > _MOST_BYTES:
        raise UserError(f'The weights take {weights / 2**30:.2f} GiB, and one {ONNX} file holds 2: export to .pt2.')
    model.metadata_props.update(metadata)
    onnx_ir.save(model, str(file))


def _program(graph: nn.Module, example: Sequence[Tensor], shapes: Sequence[Mapping[int, Dim]]) -> Any:
    """The graph as ``torch.export`` sees it.

    Raises:
        UserError: It depends on the values of tensors, or fixes what was to be free.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operator is none of ONNX
    try:
        with torch.no_grad():
            return torch.export.export(graph, tuple(example), dynamic_shapes=tuple(shapes), strict=False)
    except Exception as error:  # whatever the model's own code makes of symbolic shapes
        raise UserError(f'The model cannot be exported: {_why(error)}.') from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _name_axes(model: Any, shapes: Sequence[Mapping[int, Dim]]) -> None:
    """Give the free axes of the inputs of an ONNX graph the names that they were given, wherever they occur."""
    import onnx_ir

    names = {
        each.shape[axis].value: dim.__name__
        for each, own in zip(model.graph.inputs, shapes, strict=True)
        for axis, dim in own.items()
        if isinstance(each.shape[axis], onnx_ir.SymbolicDim)
    }
    values = [*model.graph.inputs, *(output for node in model.graph for output in node.outputs)]
    for value in values:
        if value.shape is None:
            continue
        for axis, dim in enumerate(value.shape):
            if isinstance(dim, onnx_ir.SymbolicDim) and dim.value in names:
                value.shape[axis] = onnx_ir.SymbolicDim(names[dim.value])


def _why(error: BaseException) -> str:
    """The operator that cannot be exported, or else what the innermost error says."""
    causes = [error]
    while (inner := causes[-1].__cause__ or causes[-1].__context__) is not None and inner not in causes:
        causes.append(inner)
    for cause in causes:
        found = re.search(r"No (?:ONNX|decompositions?)[^<\n]*<\w+\(op='([\w.]+)'|(?:operator|Unsupported)[^\n]*?"
                          r"((?:aten|torchvision|_C)[.:]+\w[\w.]*)", str(cause))  # fmt: skip
        if found:
            return f'its operator {found[1] or found[2]} is none that can be exported'
    found = re.search(r'^  - (.+)$', str(error), re.MULTILINE)  # torch.export lists what it found below its first line
    return (found[1] if found else first_line(causes[-1])).rstrip('.')


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling of its steps."""
    loggers = [logging.getLogger(name) for name in _TALKING]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
