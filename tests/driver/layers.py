"""Checks the layers of the builder's crates: `python3 -m driver.layers [--write]`.

docs/internals/layers.md draws them. Each crate stands on one floor and may depend on lower floors only; below the floors,
each crate has its dependencies as `cargo metadata` reports them. `--write` draws what cargo reports: a new crate goes to the
lowest floor that its dependencies allow.
"""

import json
import re
import subprocess
import sys

from driver.workplace import ROOT

PAGE = ROOT / "docs/internals/layers.md"
START, END = "<!-- layers: written by python3 -m driver.layers --write -->\n", "<!-- end of layers -->"


def graph():
    """Every crate of the builder with those of the builder that it depends on."""
    command = ["cargo", "metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]
    found = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    packages = json.loads(found)["packages"]
    names = {package["name"]: short(package["name"]) for package in packages}
    return {
        names[package["name"]]: sorted(names[it["name"]] for it in package["dependencies"] if it["name"] in names and it["kind"] is None)
        for package in packages
    }


def short(name):
    """The folder of a crate below builder/."""
    return "cli" if name == "mailkiln" else name.removeprefix("mailkiln-")


def floors(text):
    """The floor of each crate in the drawing; the ground is 0."""
    drawn = re.findall(r"^ *(\d+) +│ (.+)$", text, re.MULTILINE)
    return {crate: int(number) for number, line in drawn for crate in line.split()}


def faults(crates, drawn):
    """What is wrong with the floors."""
    for crate, needs in crates.items():
        if crate not in drawn:
            yield f"{crate} is not in the drawing"
            continue
        for need in needs:
            if need in drawn and drawn[need] >= drawn[crate]:
                yield f"{crate} (floor {drawn[crate]}) depends on {need} (floor {drawn[need]}): a crate may only use lower floors"
    for crate in sorted(drawn.keys() - crates.keys()):
        yield f"{crate} is in the drawing, but not a crate of the builder"


def placed(crates, drawn):
    """The floors with new crates as low as they can be, and without those that are gone."""
    floor = {crate: drawn[crate] for crate in crates if crate in drawn}

    def of(crate):
        if crate not in floor:
            floor[crate] = max((of(need) + 1 for need in crates[crate]), default=0)
        return floor[crate]

    for crate in crates:
        of(crate)
    return floor


def drawing(crates, floor):
    """The page's drawing."""
    lines = ["```"]
    for number in sorted(set(floor.values()), reverse=True):
        lines.append(f"{number:>2} │ {' '.join(sorted(crate for crate, at in floor.items() if at == number))}")
    lines += ["```", "", "| crate | depends on |", "|---|---|"]
    for crate in sorted(crates, key=lambda crate: (-floor[crate], crate)):
        lines.append(f"| `{crate}` | {', '.join(f'`{need}`' for need in crates[crate]) or '–'} |")
    return "\n".join(lines) + "\n"


def main():
    """Checks or writes the drawing."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(START)
    old, after = rest.split(END)
    crates, drawn = graph(), floors(old)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(before + START + drawing(crates, placed(crates, drawn)) + END + after, encoding="utf-8")
        return
    found = list(faults(crates, drawn))
    if not found and old != drawing(crates, drawn):
        found.append("the list of dependencies is outdated: python3 -m driver.layers --write")
    print("\n".join(f"{PAGE.relative_to(ROOT)}: {fault}" for fault in found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
