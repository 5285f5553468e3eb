"""The script that times imports."""

from scripts import load_script


def test_a_room_is_imported_whole():
    measure = load_script('benchmarks/import_time.py').measure
    seconds, modules = measure('textxfer_mm')
    assert 0 < seconds < 10
    assert modules == 2  # the package and its version
    assert measure('textxfer_mm.cli')[1] > modules + 8  # its subcommands, and what they import
