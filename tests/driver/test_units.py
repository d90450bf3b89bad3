"""The tables that units are read from."""

from driver import units
from driver.parts import WORKSPACES


def test_readme():
    """README's table of units is current."""
    assert units.README.read_text() == units.readme(), "run `PYTHONPATH=tests python3 -m driver.units`"


def test_every_unit_is_compiled_and_linted():
    """Each unit's workspace is among those that are linted and tested, or is one of patched crates."""
    for unit in units.UNITS.values():
        manifest = f"{unit['build']['workspace']}/Cargo.toml"
        assert manifest in [*WORKSPACES.values(), *units.patched()]
        assert (units.ROOT / manifest).is_file()


def test_tests_exist():
    """Each unit that says where its tests are has the script that starts them, and names programs that there are."""
    for folder, programs in units.tested().values():
        assert (units.ROOT / folder / "run").is_file(), folder
        assert set(programs) <= set(units.UNITS)
