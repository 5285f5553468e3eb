"""Converting checkpoints: those of Text4Vis, OpenAI, open_clip and ActionCLIP to ours, and back to Text4Vis'."""

from textxfer_mm.apis.convert.conversion import Conversion, convert_checkpoint
from textxfer_mm.apis.convert.report import fitting_configs, report
from textxfer_mm.apis.convert.reverse import reverse_checkpoint
from textxfer_mm.apis.convert.source_files import SOURCES

__all__ = ['SOURCES', 'Conversion', 'convert_checkpoint', 'fitting_configs', 'report', 'reverse_checkpoint']
