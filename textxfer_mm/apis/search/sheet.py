"""The contact sheet of a search: the middle frame of each moment that was found."""

import os
from pathlib import Path

import numpy as np

from textxfer_mm.apis.clocks import clock
from textxfer_mm.apis.prediction_inputs import read_image
from textxfer_mm.apis.search.results import Found, Hit
from textxfer_mm.errors import first_line
from textxfer_mm.inputs import is_image
from textxfer_mm.video.guard import open_video
from textxfer_mm.video.unreadable import UnreadableVideoError
from textxfer_mm.visualization.contact_sheets import Tile, draw_contact_sheet


def save_contact_sheet(found: Found, path: str | os.PathLike) -> Path:
    """Draw what was found to a PNG file; of a query that is a video or an image, its own middle comes first.

    A file that is gone since is a grey field that says so.

    Args:
        found: What a search found.
        path: The file to write.

    Raises:
        UserError: Nothing was found, or the file cannot be written.
    """
    tiles = [_tile(hit, rank) for rank, hit in enumerate(found.hits, 1)]
    if found.is_file:
        pixels, instead = _picture(found.query, None)
        tiles.insert(0, Tile(pixels, 'query', Path(found.query).name, instead))
    return draw_contact_sheet(path, tiles, Path(found.query).name if found.is_file else found.query)


def _tile(hit: Hit, rank: int) -> Tile:
    pixels, instead = _picture(hit.path, (hit.start + hit.end) / 2)
    times = '' if is_image(hit.path) else f'   {clock(hit.start)} to {clock(hit.end)}'
    return Tile(pixels, f'{rank}.   {hit.score:.3f}{times}', hit.name, instead)


def _picture(path: str, seconds: float | None) -> tuple[np.ndarray | None, str]:
    """The frame that is shown at a time, by default in the middle, or why there is none."""
    try:
        if is_image(path):
            return read_image(path), ''
        reader = open_video(path)
        times = reader.seconds()
        number = len(times) // 2 if seconds is None else max(int(np.searchsorted(times, seconds, side='right')) - 1, 0)
        return reader.read(np.array([number]))[0], ''
    except UnreadableVideoError as error:
        return None, str(error)
    except (OSError, ValueError) as error:
        return None, first_line(error)
