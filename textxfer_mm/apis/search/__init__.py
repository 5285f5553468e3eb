"""Which of my videos, and where in them: an index of moments that is built once, and asked by texts and by videos."""

from textxfer_mm.apis.search.query_vectors import require_text
from textxfer_mm.apis.search.results import Found, Hit, as_csv, as_dict
from textxfer_mm.apis.search.run import VideoSearch
from textxfer_mm.apis.search.sheet import save_contact_sheet

__all__ = ['Found', 'Hit', 'VideoSearch', 'as_csv', 'as_dict', 'require_text', 'save_contact_sheet']
