"""The plot of the pre-trainings."""

from pathlib import Path

from harness.claims import Results

from pages.small_clip.measures import SEEN
from textxfer_mm.visualization.figures import new_figure, save_figure

TITLES = {
    'tower-main': 'ResNet',
    'tower-second': 'ResNet, another seed',
    'tower-vit': 'vision transformer',
    'tower-shuffled': 'ResNet, shuffled captions',
}


def plot_pretraining(file: Path, results: Results) -> bool:
    """Plot zero-shot accuracies over the captions seen; returns whether there was anything to plot."""
    curves = {title: run['validations'] for row, title in TITLES.items() for run in results.get(row, {}).values()}
    if not curves:
        return False
    figure = new_figure(6.5, 4.2)
    axes = figure.subplots()
    for title, points in curves.items():
        axes.plot([n / 1000 for n, _ in points], [100 * m['acc/top1'] for _, m in points], marker='o', label=title)
    axes.axhline(100 / SEEN, color='grey', linestyle=':', label='chance')
    axes.set(xlabel='captions seen (thousands)', ylabel='zero-shot top-1 on 60 classes (%)', ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, file)
    return True
