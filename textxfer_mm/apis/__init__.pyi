"""The names of the library and where they come from: read by type checkers, and by ``__init__.py`` itself."""

from textxfer_mm.apis.classification_sets import evaluate_sets as evaluate_sets
from textxfer_mm.apis.classification_sets import sets_table as sets_table
from textxfer_mm.apis.evaluation import evaluate as evaluate
from textxfer_mm.apis.exported_recognizer import ExportedRecognizer as ExportedRecognizer
from textxfer_mm.apis.exporting.export import export_model as export_model
from textxfer_mm.apis.feature_extraction import extract_features as extract_features
from textxfer_mm.apis.inference import load_recognizer as load_recognizer
from textxfer_mm.apis.interpolation import Interpolation as Interpolation
from textxfer_mm.apis.interpolation import interpolate as interpolate
from textxfer_mm.apis.interpolation_sweep import sweep as sweep
from textxfer_mm.apis.media_files import find_media as find_media
from textxfer_mm.apis.model_configs import (
    clip_zero_shot_config as clip_zero_shot_config,
)
from textxfer_mm.apis.model_configs import (
    config_of_checkpoint as config_of_checkpoint,
)
from textxfer_mm.apis.model_configs import (
    load_config as load_config,
)
from textxfer_mm.apis.predictions import VideoFailure as VideoFailure
from textxfer_mm.apis.predictions import VideoPrediction as VideoPrediction
from textxfer_mm.apis.recognizer import Recognizer as Recognizer
from textxfer_mm.apis.recognizer import predict_videos as predict_videos
from textxfer_mm.apis.retrieval import Retrieval as Retrieval
from textxfer_mm.apis.retrieval import evaluate_retrieval as evaluate_retrieval
from textxfer_mm.apis.scoring import score_videos as score_videos
from textxfer_mm.apis.search import VideoSearch as VideoSearch
from textxfer_mm.apis.search import save_contact_sheet as save_contact_sheet
from textxfer_mm.apis.timelines import Segment as Segment
from textxfer_mm.apis.timelines import Timeline as Timeline
from textxfer_mm.apis.timelines import timeline as timeline
from textxfer_mm.inputs import find_videos as find_videos
