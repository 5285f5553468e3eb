"""Draws rendered scenes, captioned stills above and clips below: ``draw_scenes.py FILE.png``."""

import argparse
import sys
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from textxfer_mm.datasets.rendered_scenes import Scene, caption, render_clip, render_still, sample_captioned
from textxfer_mm.engine.launch import run_tool
from textxfer_mm.files import replacing, require_png

COLUMNS, STILL_ROWS = 8, 2
CLIPS = (
    ('throwing', 'car', 'yellow', 'on a beach', 'man'),
    ('climbing up', 'ladder', 'white', 'at night', 'child'),
    ('climbing down', 'ladder', 'red', 'in the desert', 'woman'),
)


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument('file', type=Path, help='a PNG file')
    file = parser.parse_args().file
    require_png(file, 'FILE')
    matplotlib.use('agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(STILL_ROWS + len(CLIPS), COLUMNS, figsize=(9, 6.4), dpi=92, layout='constrained')
    rng = np.random.default_rng(7)
    for axis in axes[:STILL_ROWS].flat:
        scene = sample_captioned(rng)
        axis.imshow(render_still(scene, rng))
        axis.set_title('\n'.join(textwrap.wrap(caption(scene, rng), 20)), fontsize=7, va='bottom')
    for row, parts in zip(axes[STILL_ROWS:], CLIPS, strict=True):
        scene = Scene(*parts)
        for axis, frame in zip(row, render_clip(scene, rng, frames=COLUMNS), strict=True):
            axis.imshow(frame)
        row[0].set_title(scene.action, fontsize=8, loc='left')
    for axis in axes.flat:
        axis.set_axis_off()
    figure.canvas.draw()
    image = Image.fromarray(np.array(figure.canvas.buffer_rgba())[..., :3])
    with replacing(file) as part:
        image.quantize(128, dither=Image.Dither.NONE).save(part, optimize=True)  # a third of the bytes


if __name__ == '__main__':
    sys.exit(run_tool(main))
