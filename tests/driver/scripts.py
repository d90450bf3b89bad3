"""Lints the scripts of the checkout: `python3 -m driver.scripts ruff|mypy|shellcheck`.

A script is what ends in .py or .sh, or says in its first line what runs it, so that a new one is linted without being listed.
The linters come by digest (tests/lint.txt) into a folder of the cache.
"""

import collections
import os
import re
import subprocess
import sys

from driver.venv import installed
from driver.workplace import ROOT, cache_folder

PINS = ROOT / "tests/lint.txt"


def linters():
    """The folder of the linters' programs."""
    return installed(PINS, "linters")


def scripts():
    """The scripts that are committed or could be, by language: "python" and "shell"."""
    found = collections.defaultdict(list)
    for name in files():
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and (language := language_of(path)):
            found[language].append(name)
    return found


def files():
    """The files of the checkout, but for those that git ignores."""
    # Whoever owns the checkout: nothing of it is run by this.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return sorted(set(filter(None, listed.stdout.decode().split("\0"))))
    # A release as an archive has no git.
    walked = (path for path in ROOT.rglob("*") if "target" not in path.parts and path.is_file())
    return sorted(str(path.relative_to(ROOT)) for path in walked)


def language_of(path):
    """What a script is written in; nothing for what is no script."""
    endings = {".py": "python", ".sh": "shell"}
    if path.suffix in endings:
        return endings[path.suffix]
    with open(path, "rb") as file:
        first = file.readline(100)
    match = re.match(rb"#!.*\b(python3?|bash|sh)\b", first)
    return match and ("python" if match[1].startswith(b"python") else "shell")


def ruff(programs):
    """Style and likely faults of Python."""
    return run(programs / "ruff", "check", "--quiet", "--cache-dir", cache_folder() / "ruff", *scripts()["python"])


def mypy(programs):
    """Types of Python: folder by folder, as scripts import what lies beside them."""
    groups = collections.defaultdict(list)
    for name in scripts()["python"]:
        folder, file = os.path.split(name)
        # Scripts without an ending are all called __main__, so that each is looked at alone; a folder has one conftest.
        groups[folder, file.endswith("_test.py"), "" if file.endswith(".py") else file].append(name)
    failed = 0
    for (folder, is_unittest, _), names in sorted(groups.items()):
        environment = os.environ | {"MYPYPATH": f"{ROOT / folder}:{ROOT / 'tests'}"}
        # Attributes that setUpClass makes are none that mypy knows, and a subclass may set one to what its base has not.
        options = ["--disable-error-code", "attr-defined", "--disable-error-code", "assignment"] if is_unittest else []
        command = [programs / "mypy", "--config-file", "pyproject.toml", "--cache-dir", cache_folder() / "mypy", *options, *names]
        failed |= run(*command, env=environment)
    return failed


def shellcheck(programs):
    """Likely faults of shell scripts."""
    return run(programs / "shellcheck", "--external-sources", "--severity=warning", *scripts()["shell"])


def run(*command, **options):
    """Runs a linter in the checkout; its status."""
    return subprocess.run([*map(str, command)], cwd=ROOT, check=False, **options).returncode


def main():
    """Runs the linter that the argument names."""
    (name,) = sys.argv[1:]
    count = len(scripts()["shell" if name == "shellcheck" else "python"])
    status = {"ruff": ruff, "mypy": mypy, "shellcheck": shellcheck}[name](linters())
    print(f"  {'FAILED:' if status else 'ok'} {name}: {count} scripts")
    sys.exit(1 if status else 0)


if __name__ == "__main__":
    main()
