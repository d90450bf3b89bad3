"""What units/*/unit.toml says: which workspaces there are, what is tested, what runs. A new unit changes nothing here.

`python3 -m driver.units` writes the table of units in README.md.
"""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def units():
    """Every unit by its name, in the order of the builder."""
    found = {path.parent.name: tomllib.loads(path.read_text()) for path in (ROOT / "units").glob("*/unit.toml")}
    return dict(sorted(found.items(), key=lambda unit: unit[1]["order"]))


UNITS = units()


def workspaces():
    """Name and manifest of every workspace that units are compiled from, but for those of patched crates: without the patches
    cargo can't compile them."""
    own = {pathlib.Path(unit["build"]["workspace"]) for unit in UNITS.values() if "upstream" not in unit["build"]}
    return {folder.name: f"{folder}/Cargo.toml" for folder in sorted(own)}


def patched():
    """Manifests of the workspaces of patched crates."""
    return [f"{unit['build']['workspace']}/Cargo.toml" for unit in UNITS.values() if "upstream" in unit["build"]]


def tested():
    """The units whose programs are tested on loopback: the folder with `run`, and the units whose programs it takes."""
    tests = {name: unit["tests"] for name, unit in UNITS.items() if "tests" in unit}
    return {name: (f"units/{name}/{one['folder']}", tuple(one["programs"])) for name, one in tests.items()}


def services():
    """Every service that units declare."""
    return [service for unit in UNITS.values() for service in unit.get("service", [])]


def users():
    """Every user of the units, with its number."""
    return {user["name"]: user["id"] for unit in UNITS.values() for user in unit.get("user", [])}


README = ROOT / "README.md"
BASE = "| base | "


def readme():
    """README.md with its table of units as the units' `summary` has it: the rows after that of the base."""
    lines = README.read_text().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith(BASE)) + 1
    end = next(number for number in range(first, len(lines)) if not lines[number].startswith("|"))
    rows = [f"| {name} | {unit['summary']} |\n" for name, unit in reversed(UNITS.items())]
    return "".join([*lines[:first], *rows, *lines[end:]])


if __name__ == "__main__":
    README.write_text(readme())
