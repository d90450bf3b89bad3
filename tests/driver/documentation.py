"""Runs the examples in the documentation of a workspace's crates: `python3 -m driver.documentation MANIFEST`.

cargo-nextest leaves them out. rustdoc takes every crate apart to look for some, so that only crates that have any are given to it.
"""

import json
import pathlib
import re
import subprocess
import sys

from driver.workplace import ROOT

# What rustdoc takes for an example: a fence, or after an empty line one that is indented by four more.
EXAMPLE = re.compile(r"^\s*//[/!](\s*```|[ \t]*\n\s*//[/!]\s{5,}\S)", re.MULTILINE)


def packages(manifest):
    """Names of the workspace's packages with a library whose sources may have examples."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--locked", "--manifest-path", str(ROOT / manifest)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    for package in found:
        if any("lib" in target["kind"] for target in package["targets"]):
            sources = (pathlib.Path(package["manifest_path"]).parent / "src").rglob("*.rs")
            if any(EXAMPLE.search(path.read_text(encoding="utf-8")) for path in sources):
                yield package["name"]


def main():
    """Runs them."""
    (manifest,) = sys.argv[1:]
    names = sorted(packages(manifest))
    if not names:
        print("  ok no crate has examples in its documentation")
        return
    chosen = [word for name in names for word in ("-p", name)]
    command = ["cargo", "test", "--doc", "--locked", "--manifest-path", str(ROOT / manifest), *chosen]
    status = subprocess.run(command, check=False).returncode
    print(f"  {'FAILED:' if status else 'ok'} examples of {', '.join(names)}")
    sys.exit(1 if status else 0)


if __name__ == "__main__":
    main()
