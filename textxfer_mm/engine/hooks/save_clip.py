"""The tower that is being pre-trained as a CLIP model of open_clip, beside the checkpoints."""

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from textxfer_mm.engine.clip_export import export_clip, exported_arch
from textxfer_mm.registry import HOOKS
from textxfer_mm.text.clip_folders import require_dtype

#: The folder, in the work dir.
FOLDER = 'open_clip'


@HOOKS.register_module()
class SaveCLIPHook(Hook):
    """Writes ``<work_dir>/open_clip`` with each checkpoint: the towers and the scale in open_clip's local form.

    The folder (``open_clip_config.json`` and ``open_clip_model.safetensors``) holds the weights of the newest
    checkpoint, those of the moving average where there is one. It is written before the checkpoint, so that a run that
    has its last checkpoint has it too, whenever it was stopped. It is read by
    ``open_clip.create_model_from_pretrained('local-dir:FOLDER')``, ``textxfer predict --model FOLDER``, and, the file
    of the weights as ``pretrained`` and the ``model_cfg`` as ``arch``, by ``CLIPBackbone`` and ``CLIPTextEncoder``.

    Args:
        dtype: What the weights are written in: ``'float32'``, or ``'float16'``, which takes half the space.

    Raises:
        UserError: The dtype is unknown; when training begins: the model is no CLIP and nothing else, see
            :func:`~textxfer_mm.engine.clip_export.exported_arch`.
    """

    priority = 'LOWEST'  # after EMAHook has put its weights into what is saved, and after FiniteLossHook

    def __init__(self, dtype: str = 'float32') -> None:
        require_dtype(dtype)
        self.dtype = dtype

    def before_train(self, runner: Runner) -> None:
        """Refuse a model that could not be saved, before it is trained."""
        exported_arch(_bare(runner))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Write the folder; MMEngine calls it in the first process."""
        export_clip(_bare(runner), checkpoint['state_dict'], Path(runner.work_dir) / FOLDER, self.dtype)


def _bare(runner: Runner) -> Any:
    """The model without the wrapper of distributed training."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
