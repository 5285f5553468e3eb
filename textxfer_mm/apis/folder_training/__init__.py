"""From a folder of videos to a model: what ``textxfer train`` does."""

from textxfer_mm.apis.folder_training.run import train_folder
from textxfer_mm.apis.folder_training.settings import TrainingSettings

__all__ = ['TrainingSettings', 'train_folder']
