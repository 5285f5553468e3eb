"""What happens when in a long video: scores of windows that slide over it, and the segments they make."""

from textxfer_mm.apis.timelines.run import Timeline, timeline
from textxfer_mm.apis.timelines.segments import Segment
from textxfer_mm.apis.timelines.writing import as_csv, as_dict, as_webvtt

__all__ = ['Segment', 'Timeline', 'as_csv', 'as_dict', 'as_webvtt', 'timeline']
