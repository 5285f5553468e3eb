"""Metafiles, headers and READMEs say the same, and what they say of the paper is what the paper says."""

import ast
import re
import runpy
from pathlib import Path

import pytest
import yaml
from tiny_configs import CONFIGS, ROOT

REPO = ROOT.parent
TOOL = runpy.run_path(str(REPO / 'tools' / 'misc' / 'readme_tables.py'))

#: All numbers of the paper, typed from its tables, in the order of ``METRICS``; what a config of ours reproduces.
#: Kinetics-400, 8 frames unless the name says otherwise.
PAPER = {
    # Table 5 (the first two columns are in Tables 1 to 4, 6, supplementary 2 too; Table 6 has 3.3 V100-days)
    'rn50_ttrans_8xb32-u8-30e': [74.26, 91.67, 75.50, 92.61],
    'rn50_ttrans_8xb16-u16-30e': [74.81, 92.20, 75.94, 93.00],
    'vit-b-32_ttrans_8xb32-u8-30e': [77.97, 93.80, 79.57, 94.70],
    'vit-b-32_ttrans_8xb16-u16-30e': [79.17, 94.24, 80.37, 94.95],
    'vit-b-16_ttrans_8xb32-u8-30e': [81.52, 95.49, 82.65, 96.25, 3.3],
    'vit-b-16_ttrans_8xb16-u16-30e': [82.34, 95.71, 83.15, 96.25],
    'vit-l-14_ttrans_32xb8-u8-30e': [84.82, 96.59, 85.83, 97.05],
    'vit-l-14_ttrans_32xb8-u16-30e': [85.85, 96.47, 86.36, 96.88],
    'vit-l-14_ttrans_32xb8-u32-30e': [86.39, 96.75, 87.09, 97.06],
    'vit-l-14-336_ttrans_32xb2-acc4-u8-30e': [84.94, 96.55, 86.23, 97.11],
    'vit-l-14-336_ttrans_32xb2-acc4-u16-30e': [86.05, 96.92, 86.63, 97.27],
    'vit-l-14-336_ttrans_64xb1-acc4-u32-30e': [86.60, 97.00, 87.30, 97.46],
    # Table 1
    'vit-b-16_ttrans_random_8xb32-u8-30e': [59.30],
    'vit-b-16_ttrans_orthogonal_8xb32-u8-30e': [59.44],
    'vit-b-16_ttrans_distilbert_8xb32-u8-30e': [81.45],
    'vit-b-16_ttrans_lda_8xb32-u8-30e': [80.77],
    # Table 2
    'rn50_tap_8xb32-u8-30e': [71.20, 90.37],
    'rn50_t1d_8xb32-u8-30e': [67.18, 88.45],
    'vit-b-16_tap_8xb32-u8-30e': [80.13, 94.98],
    'vit-b-16_token-t1d_8xb32-u8-30e': [80.42, 95.03],
    # Table 3
    'vit-b-16_tap_vision-only_8xb32-u8-30e': [75.27],
    'vit-b-16-in21k_tap_vision-only_8xb32-u8-30e': [74.78],
    'vit-b-16-in21k_tap_8xb32-u8-30e': [75.63],
    # Table 4
    'vit-b-16_ttrans_class-name_8xb32-u8-30e': [81.37],
    'vit-b-16_ttrans_multiple-templates_8xb32-u8-30e': [80.88],
    'vit-b-16_ttrans_learnable-prompt_8xb32-u8-30e': [81.22],
    # Table 6, with V100-days
    'vit-b-16_ttrans_matching-online-gather_8xb32-u8-30e': [81.15, 95.42, 6.7],
    'vit-b-16_ttrans_matching-offline-gather_8xb32-u8-30e': [80.73, 95.36, 6.6],
    'vit-b-16_ttrans_matching-online_8xb32-u8-30e': [77.77, 94.79, 3.5],
    'vit-b-16_ttrans_matching-offline_8xb32-u8-30e': [76.13, 94.57, 3.3],
    # Table 8
    'vit-b-16_tap_1-shot_8xb32-u8-200e': [63.16],
    'vit-b-16_tap_3-shot_8xb32-u8-200e': [67.50],
    'vit-b-16_tap_5-shot_8xb32-u8-200e': [69.89],
    'vit-b-16_tap_1-shot_8xb32-u8-200e_ucf101-split1': [88.77],
    'vit-b-16_tap_3-shot_8xb32-u8-200e_ucf101-split1': [92.78],
    'vit-b-16_tap_5-shot_8xb32-u8-200e_ucf101-split1': [93.87],
    'vit-b-16_tap_8xb32-u8-30e_ucf101-split1': [95.24],
    'vit-b-16_tap_1-shot_8xb32-u8-200e_hmdb51-split1': [65.17],
    'vit-b-16_tap_3-shot_8xb32-u8-200e_hmdb51-split1': [69.99],
    'vit-b-16_tap_5-shot_8xb32-u8-200e_hmdb51-split1': [71.03],
    'vit-b-16_tap_8xb32-u8-30e_hmdb51-split1': [73.18],
    # Table 9, without training and with it
    'vit-b-16_tap_seen300_8xb32-u8-5e': [63.35, 66.38],
    'vit-b-16_tap_8xb32-u8-5e': [63.01, 74.67],
    # Supplementary Table 2
    'vit-b-16_ttrans_unfrozen_8xb32-u8-30e': [79.16, 93.55],
    # MultiTrain, supplementary Table 3
    'multitrain_mvitv2-s_64xb8-16x4-200e': [78.8, 93.5],
    'multitrain_mvitv2-s-in21k-p_64xb8-16x4-75e': [80.6, 94.7],
    # Supplementary Table 1, mean class accuracy over three splits
    **{f'vit-l-14_ttrans_8xb16-u8-30e_ucf101-split{split}': [98.2] for split in (1, 2, 3)},
    **{f'vit-l-14_ttrans_8xb16-u8-30e_hmdb51-split{split}': [79.0] for split in (1, 2, 3)},
    # Tables 10 and 12, ImageNet; the first number without training; behind the accuracies FLOPs, parameters, A100-days
    'vit-b-16_8xb16-10e_in1k': [66.73, 82.25, 96.82, 11.3, 57.3, 0.5],
    'vit-l-14_8xb16-10e_in1k': [86.47, 98.11, 51.9, 202.1, 2.0],
    'vit-l-14-336_8xb16-10e_in1k': [87.12, 98.33, 116.5, 202.1, 5.7],
    'vit-b-16_1-shot_8xb16-200e_in1k': [71.50],
    'vit-b-16_3-shot_8xb16-200e_in1k': [73.64],
    'vit-b-16_5-shot_8xb16-200e_in1k': [74.99],
    'vit-b-16_vision-only_1-shot_8xb16-200e_in1k': [4.71],
    'vit-b-16_vision-only_3-shot_8xb16-200e_in1k': [30.44],
    'vit-b-16_vision-only_5-shot_8xb16-200e_in1k': [41.70],
    'vit-b-16_vision-only_8xb16-10e_in1k': [79.70],
    # Table 11, without training and with it
    'vit-b-16_seen600_8xb16-10e_in1k': [70.28, 72.62],
    # iCLIP, supplementary Tables 1 (YFCC-14M, ImageNet-21K), 2 and 3
    'clip_swin-t_yfcc100_32xb128-32e': [30.1, 12.5, 21.2],
    'iclip_swin-t_yfcc90-in21k10_32xb128-32e': [40.9, 13.9, 25.5],
    'iclip_swin-t_yfcc75-in21k25_32xb128-32e': [43.9, 15.2, 27.5],
    'iclip_swin-t_yfcc50-in21k50_32xb128-32e': [45.9, 15.5, 27.2, 31.9, 49.8],
    'iclip_swin-t_yfcc25-in21k75_32xb128-32e': [44.8, 14.1, 27.1],
    'iclip_swin-t_yfcc10-in21k90_32xb128-32e': [44.2, 14.9, 25.9],
    'unicl_swin-t_yfcc50-in21k50_32xb128-32e': [12.5, 21.2, 21.5, 37.9],
    'unicl_swin-t_yfcc-in21k_32xb128-32e': [17.7, 28.0, 34.0, 50.3],
    'iclip_swin-t_yfcc-in21k_32xb128-32e': [18.5, 30.7, 37.1, 55.7],
    'iclip_swin-b_yfcc-in21k_32xb128-32e': [
        82.7,
        94.8,
        78.4,
        48.5,
        62.9,
        63.1,
        8.4,
        84.5,
        62.9,
        87.9,
        92.1,
        81.3,
        70.6,
    ],
}

#: The paper's metrics in metafiles, in the order in which tables here and headers of configs have them.
#: The columns of iCLIP's supplementary Table 3.
SETS = (
    *('Food101', 'CIFAR10', 'CIFAR100', 'Birdsnap', 'SUN397', 'Stanford Cars', 'FGVC Aircraft', 'VOC2007', 'DTD'),
    *('Oxford Pets', 'Caltech101', 'Flowers102', 'Average'),
)
METRICS = (
    *(f'Paper Top {k} Accuracy ({views})' for views in ('1 view', '4x3 views') for k in (1, 5)),
    'Paper V100 Days',
    'Paper Mean Class Accuracy (3 splits)',
    'Paper Top 1 Accuracy (zero-shot, untrained)',
    'Paper Top 1 Accuracy (zero-shot, trained)',
    *(f'Paper Top {k} Accuracy' for k in (1, 5)),
    *('Paper FLOPs (G)', 'Paper Params (M)', 'Paper A100 Days'),
    *(f'Paper {data} {way}' for data in ('COCO', 'Flickr30K') for way in ('IR', 'TR')),
    *(f'Paper {name}' for name in SETS),
)

#: How many rows of each table are ours to reproduce.
ROWS = {
    'Table 10': 8,
    'Table 10 (0-shot)': 1,
    'Table 11': 1,
    'Table 12': 3,
    'Table 1': 5,
    'Table 2': 6,
    'Table 3': 4,
    'Table 4': 4,
    'Table 5': 12,
    'Table 6': 5,
    'Table 7': 2,
    'Table 8': 12,
    'Table 9': 2,
    'Supplementary Table 1': 2,
    'Supplementary Table 2': 2,
    'Figure 1': 2,
    'Figure 3': 8,
    'Figure 4': 2,
}


def models():
    """All models of all metafiles."""
    index = yaml.safe_load((REPO / 'model-index.yml').read_text())
    return [m for path in index['Import'] for m in yaml.safe_load((REPO / path).read_text())['Models']]


def metrics(model):
    return {k: v for result in model.get('Results', []) for k, v in result['Metrics'].items()}


def of_the_paper():
    """The metafiles whose collections have the paper's tables."""
    return [yaml.safe_load((ROOT / folder / 'metafile.yml').read_text()) for folder in ('text4vis', 'image')]


def test_metafiles_list_every_config():
    assert sorted(m['Config'].removeprefix('configs/') for m in models()) == CONFIGS
    assert all(Path(m['Config']).stem == m['Name'] for m in models())


@pytest.mark.parametrize('model', models(), ids=lambda model: model['Name'])
def test_numbers_are_the_papers(model):
    """The metafile, the header of the config, and the table in this file agree."""
    found = metrics(model)
    assert {key for key in found if key.startswith('Paper')} <= set(METRICS)
    claimed = [found[key] for key in METRICS if key in found]
    name = model['Name'].removeprefix('text4vis_').removesuffix('-rgb').removesuffix('_kinetics400')
    assert claimed == PAPER.get(name, [])
    header = ast.get_docstring(ast.parse((REPO / model['Config']).read_text()))
    in_header = re.search(r"Paper's numbers:(.*?)Command:", header, re.DOTALL)
    assert [float(n) for n in re.findall(r'\d+\.\d+', in_header[1] if in_header else '')] == claimed
    assert all(str(number) in header for number in found.values())
    for table, row in model['Metadata'].get('Rows', {}).items():
        assert f'{table}, {row}' in ' '.join(header.split())


def test_no_number_of_the_paper_is_left_out():
    named = {m['Name'].removeprefix('text4vis_').removesuffix('-rgb').removesuffix('_kinetics400') for m in models()}
    assert set(PAPER) <= named


def test_every_row_of_every_table_has_a_config():
    rows = {}
    for metafile in of_the_paper():
        tables = metafile['Collections'][0]['Metadata']['Tables']
        rows |= {table: set() for table in tables}
        for model in metafile['Models']:
            for table, row in model['Metadata'].get('Rows', {}).items():
                rows[table].add(row)
                missing = [metric for metric in tables[table]['Metrics'] if metric not in metrics(model)]
                assert not missing, f'{model["Name"]} is a row of {table} without {missing}'
    assert {table: len(labels) for table, labels in rows.items()} == ROWS


@pytest.mark.parametrize('collection', ['iclip', 'image', 'multitrain', 'text4vis'])
def test_nothing_claims_to_be_trained_by_us(collection):
    for model in yaml.safe_load((ROOT / collection / 'metafile.yml').read_text())['Models']:
        assert model['Metadata']['Trained By Us'] is False
        assert all(key.startswith(('Paper', 'Released')) for key in metrics(model))
        header = ast.get_docstring(ast.parse((REPO / model['Config']).read_text()))
        assert 'not trained by us' in ' '.join(header.split())


def test_readme_is_up_to_date(capsys):
    assert TOOL['main'](['--check']) == 0, capsys.readouterr().out


#: How the names of a collection's configs begin.
PREFIXES = {
    'iclip': ('clip_', 'iclip_', 'unicl_'),
    'image': 'text4vis_',
    'multitrain': 'multitrain_',
    'text4vis': 'text4vis_',
}


@pytest.mark.parametrize('collection', PREFIXES)
def test_the_readme_links_every_config(collection):
    """That links lead somewhere is tested with the documentation."""
    readme = ROOT / collection / 'README.md'
    text = readme.read_text()
    links = re.findall(r'\]\(([^)\s]+)\)', text)
    assert {Path(link).name for link in links if link.startswith(PREFIXES[collection])} == {
        Path(config).name for config in CONFIGS if config.startswith(f'{collection}/')
    }
    for path in re.findall(r'`((?:_base_|tools|tests|docs)/[\w./-]+\.py)`', text):
        assert (ROOT / path).exists() or (REPO / path).exists(), path


def test_tables_are_made_of_rows_and_metrics():
    metafile = dict(
        Collections=[dict(Metadata=dict(Tables={'Table 9': dict(Title='Beer', Metrics=['Paper Top 1 Accuracy (x)'])}))],
        Models=[
            dict(
                Name=f'text4vis_a_split{split}-rgb',
                Config=f'configs/b/a{split}.py',
                Metadata=dict(Rows={'Table 9': 'ale'}),
                Results=[dict(Metrics={'Paper Top 1 Accuracy (x)': 50.0, 'Top 1 Accuracy': 40.5})],
            )
            for split in (1, 2)
        ],
    )
    assert TOOL['render'](metafile).splitlines() == [
        '### Table 9: Beer',
        '',
        '| row | paper: top-1 (x) | our numbers | config |',
        '| --- | --- | --- | --- |',
        '| ale | 50.00 | Top 1 Accuracy: 40.50, Top 1 Accuracy: 40.50 | [split1](a1.py), [split2](a2.py) |',
    ]


def test_stale_readmes_are_told_and_written(tmp_path, monkeypatch, capsys):
    main = TOOL['main']
    monkeypatch.setitem(main.__globals__, 'ROOT', tmp_path)
    (tmp_path / 'x').mkdir()
    (tmp_path / 'model-index.yml').write_text('Import: [x/metafile.yml]')
    (tmp_path / 'x' / 'metafile.yml').write_text((ROOT / 'text4vis' / 'metafile.yml').read_text())
    readme = tmp_path / 'x' / 'README.md'
    readme.write_text('before\n<!-- tables: begin -->\nold\n<!-- tables: end -->\nafter\n')
    assert main(['--check']) == 1
    assert 'x/README.md is out of date: run python tools/misc/readme_tables.py' in capsys.readouterr().out
    assert 'old' in readme.read_text()
    assert main([]) == 0
    text = readme.read_text()
    assert text.startswith('before\n<!-- tables: begin -->\n\n### Table 1: ')
    assert text.endswith('\n\n<!-- tables: end -->\nafter\n')
    assert main(['--check']) == 0
    readme.write_text('no markers')
    with pytest.raises(ValueError, match='no <!-- tables: begin -->'):
        main(['--check'])
