"""What every tool answers at once, before torch or anything larger is imported: its help, and a mistyped path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ('torch', 'torchvision', 'mmcv', 'mmaction', 'mmengine.runner', 'open_clip', 'sklearn', 'matplotlib', 'cv2')
TOOLS = {
    'train.py': (['nosuch.py'], 'config nosuch.py does not exist'),
    'test.py': (['a.py', 'nosuch.pth'], 'checkpoint nosuch.pth does not exist'),
    'extract_features.py': (['nosuch.py', 'a.safetensors'], 'config nosuch.py does not exist'),
    'analysis_tools/flops.py': (['nosuch.py'], 'config nosuch.py does not exist'),
    'analysis_tools/loss_curves.py': (['a.png', 'nosuch'], 'nosuch does not exist'),
    'analysis_tools/class_correlation.py': (['a.png', 'nosuch.pth'], 'checkpoint nosuch.pth does not exist'),
    'analysis_tools/cross_dataset_pairs.py': (['nosuch.pth', 'a.png'], 'checkpoint nosuch.pth does not exist'),
    'analysis_tools/zero_shot_sets.py': (['nosuch.py'], 'config nosuch.py does not exist'),
    'deployment/publish_model.py': (['nosuch.pth', 'a.pth'], 'IN nosuch.pth does not exist'),
    'model_converters/convert_checkpoint.py': (['--source', 'openai', 'nosuch.pt', 'b.pth'], 'SRC nosuch.pt does not'),
    'model_converters/add_backbone.py': (['nosuch.py', 'a.pth', 'b.pth'], 'config nosuch.py does not exist'),
    'model_converters/export_backbone.py': (['nosuch.pth', 'a.pth'], 'nosuch.pth does not exist'),
}
MISTAKES = [
    *((tool, words, message) for tool, (words, message) in TOOLS.items()),
    ('train.py', ['a.py', '--work-dir', 'a.py'], '--work-dir a.py is no folder'),
    ('train.py', ['a.py', '--resume', 'nosuch.pth'], 'checkpoint nosuch.pth does not exist'),
    ('test.py', ['a.py', 'a.pth', '--dump', 'scores.txt'], '--dump writes a pickle file'),
    ('test.py', ['a.py', 'a.pth', '--class-names', 'nosuch.txt'], 'nosuch.txt'),
    ('test.py', ['nosuch.py', 'a.pth'], 'config nosuch.py does not exist'),
    ('extract_features.py', ['a.py', 'folder'], 'OUT folder is a folder'),
    ('analysis_tools/flops.py', ['a.py', '--json', 'folder'], '--json folder is a folder'),
    ('analysis_tools/class_correlation.py', ['a.png', 'nosuch.safetensors'], 'bundle nosuch.safetensors does not'),
    ('analysis_tools/class_correlation.py', ['a.pdf', 'a.pth'], 'figures are PNG files'),
    ('model_converters/convert_checkpoint.py', ['--source', 'openai', 'a.pth', 'folder'], 'DST folder is a folder'),
]


def run(tool, words, folder):
    """Run a tool in a fresh process; return it and the heavy modules that it imported."""
    code = f"""
import atexit, runpy, sys
sys.argv = [{tool!r}, *{words!r}]
atexit.register(lambda: print('heavy:', [name for name in {HEAVY!r} if name in sys.modules]))
runpy.run_path({str(ROOT / 'tools' / tool)!r}, run_name='__main__')
"""
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(
        [sys.executable, '-c', code], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


def test_every_tool_is_looked_at():
    names = {str(p.relative_to(ROOT / 'tools')) for p in (ROOT / 'tools').rglob('[!_]*.py')}
    assert names - set(TOOLS) == {'misc/readme_tables.py', 'misc/draw_scenes.py'}  # the maintainers' own


@pytest.mark.parametrize('tool', TOOLS)
def test_help_is_light(tool, tmp_path):
    done = run(tool, ['--help'], tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'usage: ' in done.stdout
    assert 'heavy: []' in done.stdout


@pytest.mark.parametrize(('tool', 'words', 'message'), MISTAKES)
def test_a_mistake_is_told_of_before_any_heavy_import(tool, words, message, tmp_path):
    (tmp_path / 'a.py').write_text('model = dict()')
    (tmp_path / 'a.pth').touch()
    (tmp_path / 'folder').mkdir()
    done = run(tool, words, tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count('\n') == 1
    assert 'heavy: []' in done.stdout
