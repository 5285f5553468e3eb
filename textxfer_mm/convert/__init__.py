"""Converting checkpoints: those of Text4Vis, OpenAI, open_clip and ActionCLIP to ours, and back to Text4Vis'."""

from textxfer_mm.convert.conversion import Conversion, convert_checkpoint
from textxfer_mm.convert.reverse import reverse_checkpoint
from textxfer_mm.convert.source_files import SOURCES
from textxfer_mm.convert.summary import fitting_configs, report

__all__ = ['SOURCES', 'Conversion', 'convert_checkpoint', 'fitting_configs', 'report', 'reverse_checkpoint']
