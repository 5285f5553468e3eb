"""What pure rooms log reaches MMEngine's log, once."""

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from textxfer_mm.log_bridge import forward_to_mmengine

ROOT = Path(__file__).parents[1]


def test_warnings_of_pure_rooms_are_in_the_log_file_and_on_the_console_once(tmp_path):
    code = """
        import textxfer_mm.register, textxfer_mm
        textxfer_mm.register_all_modules()
        from mmengine.logging import MMLogger
        from textxfer_mm.classifiers.bundle import ClassifierBundle
        from textxfer_mm.classifiers.cache import cached_bundle
        from textxfer_mm.text import clip_arch
        from textxfer_mm.text.digests import cache_dir
        import torch

        MMLogger.get_instance('run', log_file='run.log')
        clip_arch._warn_on_quick_gelu('ViT-B-32', {}, True, source='weights.pt')
        (cache_dir() / 'classifiers').mkdir(parents=True)
        (cache_dir() / 'classifiers' / 'key.safetensors').write_bytes(b'damaged')
        bundle = ClassifierBundle.from_rows(torch.eye(2), class_names=('a', 'b'), encoder_id='e')
        cached_bundle('key', lambda: bundle)
    """
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code)],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'TEXTXFER_CACHE': str(tmp_path / 'cache')},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for text in (done.stdout + done.stderr, (tmp_path / 'run.log').read_text()):
        assert text.count('trained with quick GELU') == 1
        assert text.count('key.safetensors') == 1
        assert text.count('WARNING') == 2


def test_records_still_propagate_and_a_second_call_adds_nothing(caplog):
    handlers = list(logging.getLogger('textxfer_mm').handlers)
    forward_to_mmengine()
    assert logging.getLogger('textxfer_mm').handlers == handlers
    logging.getLogger('textxfer_mm.text').info('seen by pytest')
    assert 'seen by pytest' in caplog.text
