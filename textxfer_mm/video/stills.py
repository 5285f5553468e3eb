"""Images in files, as frames."""

from pathlib import Path

import numpy as np


def read_image(path: str | Path) -> np.ndarray:
    """Read an image, upright, as RGB (H, W, 3) of type uint8.

    Raises:
        OSError: There is no image in the file.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError  # here, as few read images

    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert('RGB'))
    except FileNotFoundError as error:
        raise OSError('missing file') from error
    except UnidentifiedImageError as error:
        raise OSError('no image of a known format, or its header is damaged') from error
