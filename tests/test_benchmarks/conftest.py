"""The long runs of benchmarks, minutes in all, are left to those who change them: TEXTXFER_TEST_BENCHMARKS=1."""

import os
from pathlib import Path

import pytest

LONG_FILES = {'test_towers'}
LONG_FIXTURES = {'done'}
LONG = ('from_end_to_end', 'test_a_round_of_it')


def pytest_collection_modifyitems(items):
    """Skip them, with the reason."""
    if os.environ.get('TEXTXFER_TEST_BENCHMARKS') == '1':
        return
    here = Path(__file__).parent
    skip = pytest.mark.skip(reason='a long run of a benchmark: TEXTXFER_TEST_BENCHMARKS=1 runs it')
    for item in items:
        if here in item.path.parents and (
            item.path.stem in LONG_FILES or LONG_FIXTURES & set(item.fixturenames) or any(w in item.name for w in LONG)
        ):
            item.add_marker(skip)
