"""The configs for MMSegmentation and MMDetection, which need not be installed: what is read of them alone."""

import runpy
from importlib.util import find_spec

import pytest
from mmengine.config import Config
from tiny_configs import ROOT

FOLDER = ROOT / 'downstream'
SEGMENTATION = FOLDER / 'maskformer_swin-t_iclip_upernet_8xb2-160k_ade20k-512x512.py'
DETECTION = FOLDER / 'faster-rcnn_swin-t_iclip_fpn_8xb2-ms-2x_lvis-v1.py'


def test_readme_lists_them_all():
    page = (FOLDER / 'README.md').read_text()
    assert sorted(FOLDER.glob('*.py')) == sorted((SEGMENTATION, DETECTION))
    assert all(f'({file.name})' in page for file in (SEGMENTATION, DETECTION))


@pytest.mark.parametrize('file', [SEGMENTATION, DETECTION], ids=lambda file: file.stem)
def test_says_that_it_was_not_run_and_how_to(file):
    text, backbone = file.read_text(), runpy.run_path(str(file))['model']['backbone']
    assert '# NOT RUN: ' in text
    assert f'configs/downstream/{file.name}' in text
    assert f'export_backbone.py CHECKPOINT {backbone["init_cfg"]["checkpoint"]}' in text
    assert backbone['window_size'] == 7


def test_detection_trains_at_several_sizes_on_boxes_alone():
    values = runpy.run_path(str(DETECTION))
    (resize,) = [step for step in values['train_pipeline'] if step['type'] == 'RandomChoiceResize']
    assert (min(resize['scales']), max(resize['scales'])) == ((1333, 480), (1333, 800))
    assert values['model']['roi_head']['bbox_head']['num_classes'] == 1203
    assert not any(step.get('with_mask') for step in values['train_pipeline'])
    assert values['val_evaluator'] == values['test_evaluator'] == dict(metric='bbox')


@pytest.mark.parametrize(('package', 'file'), [('mmseg', SEGMENTATION), ('mmdet', DETECTION)])
def test_resolves_where_the_package_is_there(package, file):
    if find_spec(package) is None:
        pytest.skip(f'{package} is not installed')
    cfg = Config.fromfile(file)
    assert cfg.default_scope == package
    assert cfg.model.backbone.init_cfg.checkpoint.endswith('backbone.pth')
