"""textxfer_mm: recognition with the embeddings of class names as frozen classifiers, as a plugin for MMAction2.

Importing the package registers and patches nothing. ``custom_imports = dict(imports=['textxfer_mm.register'])`` in a
config is all it takes to register everything, and so is ``import textxfer_mm.register`` in a script.
"""

from textxfer_mm.version import __version__

__all__ = ['__version__', 'register_all_modules']


def register_all_modules() -> None:
    """Repair the released upstream packages and register every class of this package; calling it twice is harmless."""
    import textxfer_mm.registry
    import textxfer_mm.datasets.captioned
    import textxfer_mm.datasets.class_subset
    import textxfer_mm.datasets.feature_dataset
    import textxfer_mm.datasets.few_shot
    import textxfer_mm.datasets.label_fraction
    import textxfer_mm.datasets.one_dataset_batches
    import textxfer_mm.datasets.ratio_samplers
    import textxfer_mm.datasets.scene_datasets
    import textxfer_mm.datasets.transforms_image
    import textxfer_mm.datasets.transforms_released
    import textxfer_mm.datasets.transforms_repeat
    import textxfer_mm.datasets.transforms_timm
    import textxfer_mm.datasets.transforms_tolerant
    import textxfer_mm.engine.hooks
    import textxfer_mm.engine.multi_dataset_metric
    import textxfer_mm.engine.optim_wrappers
    import textxfer_mm.image
    import textxfer_mm.models  # noqa: F401
    from textxfer_mm import compat_datasets
    from textxfer_mm.compat import accept_bfloat16_scores
    from textxfer_mm.datasets.transforms_video import repair_inferencers
    from textxfer_mm.engine.checkpoint import read_checkpoints_of_mmengine
    from textxfer_mm.log_bridge import forward_to_mmengine

    accept_bfloat16_scores()
    compat_datasets.apply()
    repair_inferencers()
    read_checkpoints_of_mmengine()
    forward_to_mmengine()
