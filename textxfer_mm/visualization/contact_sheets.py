"""A contact sheet: thumbnails with a caption each, in rows."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import replacing
from textxfer_mm.visualization.lettering import fitting, font_of

#: Width and height of a thumbnail, room around it, letters, and tiles in a row.
_WIDTH, _HEIGHT, _ROOM, _LETTERS, _COLUMNS = 256, 192, 12, 14, 4
_LINE = round(1.4 * _LETTERS)
_PAPER, _INK, _FAINT, _GREY = (255, 255, 255), (20, 20, 20), (110, 110, 110), (225, 225, 225)


class Tile(NamedTuple):
    """A thumbnail.

    Attributes:
        pixels: RGB (H, W, 3), uint8; None where there is no picture.
        heading: The first line of its caption.
        caption: The second, whose end is kept where it is cut, as that of a path.
        instead: What is written where there is no picture.
    """

    pixels: np.ndarray | None
    heading: str
    caption: str
    instead: str = ''


def draw_contact_sheet(path: str | os.PathLike, tiles: Sequence[Tile], title: str) -> Path:
    """Draw thumbnails to a PNG file; it appears whole or not at all.

    Args:
        path: The file to write.
        tiles: The thumbnails, row by row.
        title: What is written above them.

    Raises:
        UserError: There are none.
    """
    if not tiles:
        raise UserError('A contact sheet needs one picture at least.')
    columns = min(_COLUMNS, len(tiles))
    step = _WIDTH + _ROOM, _HEIGHT + 2 * _LINE + _ROOM
    top = 2 * _ROOM + round(1.6 * _LINE)
    size = max(columns, 2) * step[0] + _ROOM, top + -(-len(tiles) // columns) * step[1]
    sheet = Image.new('RGB', size, _PAPER)
    draw, large = ImageDraw.Draw(sheet), font_of(round(1.4 * _LETTERS))
    draw.text((_ROOM, _ROOM), fitting(shown(title), large, size[0] - 2 * _ROOM), fill=_INK, font=large)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        _draw_tile(sheet, draw, tile, _ROOM + column * step[0], top + row * step[1])
    with replacing(path) as part:
        sheet.save(part, format='PNG')
    return Path(path)


def _draw_tile(sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, left: int, top: int) -> None:
    """Draw a thumbnail as large as it can be, in the middle of its place, and its caption below."""
    font = font_of(_LETTERS)
    draw.rectangle((left, top, left + _WIDTH - 1, top + _HEIGHT - 1), fill=_GREY)
    if tile.pixels is None:
        text = fitting(shown(tile.instead), font, _WIDTH - _ROOM)
        draw.text((left + _ROOM / 2, top + _HEIGHT / 2 - _LINE / 2), text, fill=_FAINT, font=font)
    else:
        picture = Image.fromarray(tile.pixels)
        scale = min(_WIDTH / picture.width, _HEIGHT / picture.height)
        picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
        sheet.paste(picture, (left + (_WIDTH - picture.width) // 2, top + (_HEIGHT - picture.height) // 2))
    below = top + _HEIGHT + _LETTERS // 4
    caption = fitting(shown(tile.caption), font, _WIDTH, keep_end=True)
    draw.text((left, below), fitting(shown(tile.heading), font, _WIDTH), fill=_INK, font=font)
    draw.text((left, below + _LINE), caption, fill=_FAINT, font=font)
