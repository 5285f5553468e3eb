import pytest


@pytest.fixture(autouse=True)
def _private_cache(tmp_path, monkeypatch):
    """No test reads or writes the cache of the user."""
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path / 'cache'))
