"""Finds dependencies that no source file uses, and units that mailkiln.lock does not know as they are: `python3 -m driver.dependencies`.

In each crate, a dependency's name must occur in the crate's own sources; in each workspace's table, each entry must be
a dependency of some member. Without the second, a changed Cargo.lock is found only when an image is built, after minutes.
"""

import hashlib
import re
import sys
import tomllib

from driver.scripts import files
from driver.workplace import ROOT

# Named for their features or for their version alone: crate, dependency, why.
KEPT = {
    ("mailkiln-fuzz", "cfb"): "used by units/filter/inspect/tests/made, which the seeds include",
    ("mailkiln-fuzz", "lzma-rust2"): "the same",
    ("mailkiln-fuzz", "ruzstd"): "the same",
    ("mailkiln-fuzz", "sevenz-rust2"): "the same",
    ("mailkiln-mail-server", "stalwart-lite"): "its library has another name",
    ("mailkiln-upload", "md-5"): "the same",
}
KINDS = {
    "dependencies": ("src", "build.rs", "fuzz_targets"),
    "dev-dependencies": ("src", "tests", "examples", "benches"),
    "build-dependencies": ("build.rs",),
}


def manifests():
    """The manifests of the checkout."""
    for name in files():
        if name.endswith("Cargo.toml") and (ROOT / name).is_file():
            yield ROOT / name, tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def sources(folder, names):
    """The text of a crate's sources below some of its folders."""
    paths = [path for name in names for path in ([folder / name] if name.endswith(".rs") else sorted((folder / name).rglob("*.rs")))]
    texts = [path.read_text(encoding="utf-8") for path in paths if path.is_file()]
    # A build script can include modules of its crate.
    included = [folder / name for text in texts for name in re.findall(r'#\[path = "(src/[^"]+)"\]', text)]
    return "\n".join(texts + [path.read_text(encoding="utf-8") for path in included if path.is_file()])


def stale():
    """What the lock's components say of files of their units, and which is not so."""
    for unit in tomllib.loads((ROOT / "mailkiln.lock").read_text(encoding="utf-8"))["component"]:
        folder = ROOT / unit["directory"]
        named = [("Cargo.lock", unit["cargo-lock"])] + [(patch["path"], patch["sha256"]) for patch in unit.get("patches", ())]
        for path, digest in named:
            if hashlib.sha256((folder / path).read_bytes()).hexdigest() != digest:
                yield f"mailkiln.lock: {unit['name']}: {unit['directory']}/{path} has changed; run `mailkiln lock`"


def main():
    """Prints the unused and the changed ones; fails when there are any."""
    found, used = list(stale()), set()
    tables = {}
    for path, manifest in manifests():
        tables.update({(path, name): path for name in manifest.get("workspace", {}).get("dependencies", {})})
        crate = manifest.get("package", {}).get("name")
        for section in (manifest, *manifest.get("target", {}).values()):
            for kind, folders in KINDS.items():
                text = sources(path.parent, folders) if section.get(kind) else ""
                for name, value in section.get(kind, {}).items():
                    if isinstance(value, dict) and value.get("workspace"):
                        used.add((workspace_of(path, tables), name))
                    if not re.search(rf"\b{name.replace('-', '_')}\b", text) and (crate, name) not in KEPT:
                        found.append(f"{path.relative_to(ROOT)}: {kind}: {name} is used nowhere")
    for table, name in tables:
        if (table, name) not in used:
            found.append(f"{table.relative_to(ROOT)}: workspace.dependencies: {name} is a dependency of no member")
    print("\n".join(found))
    sys.exit(1 if found else 0)


def workspace_of(path, tables):
    """The manifest of the workspace that a crate is in."""
    known = {table for table, _ in tables}
    return next((folder / "Cargo.toml" for folder in path.parents if folder / "Cargo.toml" in known), None)


if __name__ == "__main__":
    main()
