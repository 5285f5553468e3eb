"""Writes the tables of the configs' READMEs from their metafiles: ``readme_tables.py [--check]``.

A metafile whose collection has ``Metadata: Tables`` gets them between two markers of the README beside it: a table for
each of the paper's, a line for each of its rows (``Metadata: Rows`` of the models), the metrics it prints as columns.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = '<!-- tables: begin -->', '<!-- tables: end -->'


def render(metafile: dict[str, Any]) -> str:
    """Return the tables of a metafile as Markdown.

    Args:
        metafile: Its content; ``Collections[0].Metadata.Tables`` maps the name of a table to its ``Title`` and the
            ``Metrics`` that are its columns.
    """
    tables = metafile['Collections'][0]['Metadata']['Tables']
    return '\n\n'.join(_table(name, table, metafile['Models']) for name, table in tables.items())


def _table(name: str, table: dict[str, Any], models: list[dict[str, Any]]) -> str:
    """One table: models that share a row (the splits of a dataset) share a line."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for model in models:
        label = model['Metadata'].get('Rows', {}).get(name)
        if label is not None:
            rows.setdefault(label, []).append(model)
    columns = ['row', *(_column(metric) for metric in table['Metrics']), 'our numbers', 'config']
    lines = [f'### {name}: {table["Title"]}', '', _line(columns), _line(['---'] * len(columns))]
    return '\n'.join(lines + [_line(_cells(label, members, table['Metrics'])) for label, members in rows.items()])


def _cells(label: str, members: list[dict[str, Any]], metrics: list[str]) -> list[str]:
    found = _metrics(members[0])
    links = ', '.join(f'[{_short(model, members)}]({Path(model["Config"]).name})' for model in members)
    return [label, *(_number(metric, found[metric]) for metric in metrics), _ours(members), links]


def _metrics(model: dict[str, Any]) -> dict[str, Any]:
    """All metrics of a model, over its results."""
    return {key: value for result in model.get('Results', []) for key, value in result['Metrics'].items()}


def _ours(members: list[dict[str, Any]]) -> str:
    """What we measured: metrics that are not the paper's."""
    own = [(k, v) for model in members for k, v in _metrics(model).items() if not k.startswith('Paper')]
    return ', '.join(f'{key}: {_number(key, value)}' for key, value in own) or 'none: not trained by us'


def _short(model: dict[str, Any], members: list[dict[str, Any]]) -> str:
    """The name of a config without what all of them share; of several in a row, the last part alone."""
    name = model['Name'].removesuffix('-rgb').removesuffix('_kinetics400').removeprefix('text4vis_')
    name = name.removeprefix('multitrain_')
    return name.rsplit('_', 1)[-1] if len(members) > 1 else name


def _column(metric: str) -> str:
    """Name a column: ``Paper Top 1 Accuracy (1 view)`` is ``paper: top-1 (1 view)``."""
    for long, short in (('Paper ', 'paper: '), ('Top 1 Accuracy', 'top-1'), ('Top 5 Accuracy', 'top-5')):
        metric = metric.replace(long, short)
    return metric


def _number(metric: str, value: float) -> str:
    return f'{value:.2f}' if 'Top' in metric else f'{value:g}' if value % 1 else f'{value:.1f}'


def _line(cells: list[str]) -> str:
    return f'| {" | ".join(cells)} |'


def updated(readme: str, tables: str) -> str:
    """Return a README with its tables replaced.

    Raises:
        ValueError: It has no markers.
    """
    if BEGIN not in readme or END not in readme:
        raise ValueError(f'the README has no {BEGIN} and {END}')
    before, rest = readme.split(BEGIN, 1)
    return f'{before}{BEGIN}\n\n{tables}\n\n{END}{rest.split(END, 1)[1]}'


def main(argv: list[str] | None = None) -> int:
    """Write the tables of all metafiles that have some, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument('--check', action='store_true', help='write nothing; exit with 1 if a README is out of date')
    args = parser.parse_args(argv)
    stale = []
    for path in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
        metafile = yaml.safe_load((ROOT / path).read_text())
        if 'Tables' not in metafile['Collections'][0].get('Metadata', {}):
            continue
        readme = (ROOT / path).with_name('README.md')
        text = readme.read_text()
        new = updated(text, render(metafile))
        if new != text:
            stale.append(str(readme.relative_to(ROOT)))
            if not args.check:
                readme.write_text(new)
    for name in stale:
        print(f'{name} is out of date: run python tools/misc/readme_tables.py' if args.check else f'wrote {name}')
    return int(args.check and bool(stale))


if __name__ == '__main__':
    sys.exit(main())
