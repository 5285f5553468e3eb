"""The names of ``textxfer_mm.apis``: one list, for type checkers and for Python."""

from importlib import import_module

import pytest

from textxfer_mm import apis


@pytest.mark.parametrize('name', apis.__all__)
def test_every_name_is_there(name):
    assert getattr(apis, name).__module__.startswith('textxfer_mm.')


def test_other_names_are_not():
    with pytest.raises(AttributeError, match='no attribute recognise'):
        import_module('textxfer_mm.apis').recognise()
