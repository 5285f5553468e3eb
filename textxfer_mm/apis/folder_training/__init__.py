"""From a folder of videos to a model: what ``textxfer train`` does."""

from textxfer_mm.apis.folder_training.run import TrainingSettings, train_folder

__all__ = ['TrainingSettings', 'train_folder']
