"""Runs the image's own programs, with the image's own C library, under the tests that lie beside their sources: `python3 -m driver.programs NAME FOLDER JUNIT CACHE [PYTEST ARGUMENT...]`.

FOLDER/run names the programs that it takes; it makes the network of the tests and starts them there.
"""

import os
import shlex
import subprocess
import sys

from driver import units
from driver.tools import extract
from driver.workplace import PYTHON, ROOT, workplace

PROGRAMS = tuple(name for name, unit in units.UNITS.items() if unit["build"].get("place", "bin") == "bin")
LIBRARIES = "usr/lib/x86_64-linux-gnu"


def unpacked(place):
    """The programs of the x86_64 image, by name. The host's C library may be older than the one that they were linked with."""
    folder = place.work / "programs"
    image = place.image("x86_64")
    with place.once("programs"):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            root = extract(place.mailkiln, image, "root-a", folder / "root-a")
            members = [f"usr/bin/mailkiln-{name}" for name in PROGRAMS] + [LIBRARIES]
            command = ["unsquashfs", "-quiet", "-no-progress", "-force", "-no-xattrs", "-dest", folder / "root", root, *members]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            libraries = folder / "root" / LIBRARIES
            for name in PROGRAMS:
                program = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, folder / f"root/usr/bin/mailkiln-{name}"]
                starter = folder / f"mailkiln-{name}"
                starter.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, program))} "$@"\n')
                starter.chmod(0o755)
            (folder / "done").touch()
    return {name: folder / f"mailkiln-{name}" for name in PROGRAMS}


def main():
    """Runs the tests of one program with pytest, which runs what unittest does and can select."""
    name, tests, junit, cache, *options = sys.argv[1:]
    with workplace() as place:
        found = unpacked(place)
        servers = [os.environ["PEBBLE"], os.environ["CHALLTESTSRV"]] if name == "acme" else []
        runner = place.work / f"pytest-{name}"
        words = [PYTHON, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "driver.lines", "-o", f"cache_dir={cache}"]
        runner.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
        runner.chmod(0o755)
        # A test that drops a connection on purpose is no news.
        environment = os.environ | {"PYTHONWARNINGS": "ignore::ResourceWarning", "PYTHON_TESTS": str(runner)}
        command = [ROOT / tests / "run", *(found[program] for program in units.tested()[name][1]), *servers, "--junit-xml", junit, *options, "."]
        sys.exit(subprocess.run([*map(str, command)], env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
